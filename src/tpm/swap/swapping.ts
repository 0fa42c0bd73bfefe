import { oneAfterTheOther } from '../../core/turns.ts';
import type { TpmOptions } from '../client/tpm.ts';
import { Tpm } from '../client/tpm.ts';
import type { Transport } from '../transport/transport.ts';
import { chipOn } from './chip.ts';
import type { SwappingOptions } from './swapper.ts';
import { Swapper } from './swapper.ts';

/**
 * A resource manager for one process: a transport that has room for any number of transient objects and for as many
 * sessions as the TPM can tell apart (64 and more), by saving and loading contexts (Part 1 §30). Objects have handles of
 * its own; what other programs left in the TPM is not touched. Over the kernel's manager (`/dev/tpmrm0`), which has three
 * places for each program, it works as well.
 */
export function swapping(transport: Transport, options: SwappingOptions = {}): Transport {
  let signal: AbortSignal | undefined;
  const swapper = new Swapper(
    chipOn(transport, () => signal),
    options,
  );
  const inTurn = oneAfterTheOther();
  return {
    exchange: (command, given) =>
      inTurn(async () => {
        signal = given;
        return await swapper.exchange(command);
      }),
    async close() {
      await inTurn(async () => {
        signal = undefined;
        await swapper.flushAll().catch(() => {}); // a broken way to the TPM is no reason not to let go of it
      });
      await transport.close?.();
    },
  };
}

/** Opens a TPM behind {@link swapping}, with up to `sessionsMax` (default 32) sessions in use at a time. */
export function openSharedTpm(
  options: TpmOptions & { readonly swap?: SwappingOptions | undefined },
): Promise<Tpm> {
  const transport = swapping(options.transport, options.swap);
  return Tpm.open({ ...options, transport, sessionsMax: options.sessionsMax ?? 32 });
}
