import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { encodeRefusal } from '../chip-framing.ts';
import { TpmSilent } from '../errors.ts';
import { MESSAGE_MAX } from '../framing.ts';
import { TPM_RC_FMT1, TSS2_RESMGR_TPM_RC_LAYER } from '../response-codes.ts';
import type { Transport } from './transport.ts';

/**
 * The kernel's TPM device. `/dev/tpmrm0` (with resource manager) can be shared with other programs and forgets our
 * transient objects when it is closed; `/dev/tpm0` cannot and does not.
 */
export function deviceTransport(path = '/dev/tpmrm0'): Transport {
  let file: FileHandle | undefined;
  const forget = async () => {
    const old = file;
    file = undefined;
    await old?.close();
  };
  return {
    async exchange(command, signal) {
      file ??= await opened(path);
      const device = file;
      const fail = () => void forget().catch(() => {}); // the read below then fails
      signal?.addEventListener('abort', fail, { once: true });
      try {
        if (!(await taken(device, command))) return refusedByLinux();
        // one read gives one whole answer (drivers/char/tpm/tpm-dev-common.c)
        const { bytesRead, buffer } = await device.read(new Uint8Array(MESSAGE_MAX), 0, MESSAGE_MAX, null);
        return buffer.slice(0, bytesRead);
      } catch (cause) {
        await forget().catch(() => {});
        throw new TpmSilent(`\`${path}\` does not answer`, { cause });
      } finally {
        signal?.removeEventListener('abort', fail);
      }
    },
    close: forget,
  };
}

/** What a resource manager answers when an object or session is not one of the program's. */
const refusedByLinux = () => encodeRefusal(TSS2_RESMGR_TPM_RC_LAYER | TPM_RC_FMT1.HANDLE);

/** Writes a command; false when Linux does not know one of its handles. The device is as good as before then. */
async function taken(device: FileHandle, command: Uint8Array): Promise<boolean> {
  try {
    await device.write(command);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EINVAL') return false;
    throw error;
  }
}

async function opened(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r+');
  } catch (cause) {
    throw new TpmSilent(`\`${path}\` cannot be opened: is there a TPM, and is this user in the group tss?`, {
      cause,
    });
  }
}
