import { existsSync } from 'node:fs';
import { vi } from 'vitest';
import { startDaemon } from './swtpm.ts';

/**
 * Whether this kernel lends out TPM devices (module `tpm_vtpm_proxy`, and root). A TPM of the machine itself is never
 * touched by a test: `npm run verify:kernel` starts a kernel of its own for them.
 */
export const kernelLendsTpms = existsSync('/dev/vtpmx') && process.getuid?.() === 0;

if (process.env['FEALTY_TEST_KERNEL'] !== undefined && !kernelLendsTpms)
  throw new Error('this kernel lends out no TPM devices: is there `/dev/vtpmx`, and is this root?');
if (!kernelLendsTpms)
  process.stderr.write("skipped: tests behind Linux's resource manager; `npm run verify:kernel` runs them\n");

/** A TPM as Linux offers it, with swtpm in the place of the chip. */
export interface KernelTpm {
  /** The device without resource manager: `/dev/tpm3`, for example. */
  readonly plain: string;
  /** The device behind the kernel's resource manager: `/dev/tpmrm3`. */
  readonly managed: string;
  /** Takes the devices away. */
  close(): Promise<void>;
}

/** A device of its own, with a fresh TPM, which the kernel has started. */
export async function lendTpm(): Promise<KernelTpm> {
  const { said, close } = await startDaemon('chardev', () => ['--vtpm-proxy']);
  const number = /\/dev\/tpm(\d+)/.exec(said)?.[1];
  if (number === undefined) throw new Error(`swtpm says of no device: ${said}`);
  const [plain, managed] = [`/dev/tpm${number}`, `/dev/tpmrm${number}`];
  // The kernel makes the devices once it has started and tested the TPM.
  await vi.waitFor(() => {
    if (!existsSync(managed)) throw new Error(`no ${managed}`);
  }, 30_000);
  return {
    plain,
    managed,
    async close() {
      await close();
      await vi.waitFor(() => {
        if (existsSync(managed)) throw new Error(`${managed} stays`);
      }, 30_000);
    },
  };
}
