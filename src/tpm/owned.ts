import { FealtyError } from '../core/errors.ts';
import type { Tpm } from './client/tpm.ts';
import type { TpmObject, WrappedKey } from './objects.ts';
import { flush, loadKey } from './objects.ts';

/** An object that the TPM forgets at the end of its scope: `await using key = owned(tpm, await loadKey(…))`. */
export function owned<T extends { readonly handle: number }>(tpm: Tpm, object: T): T & AsyncDisposable {
  return {
    ...object,
    async [Symbol.asyncDispose]() {
      try {
        await flush(tpm, object);
      } catch (error) {
        // gone already, or out of reach: what its user met on the way there is what counts
        if (!(error instanceof FealtyError)) throw error;
      }
    },
  };
}

/** Runs `work` with a wrapped key loaded under its parent; however it ends, the TPM forgets the key. */
export async function withKey<T>(
  tpm: Tpm,
  parent: TpmObject,
  wrapped: WrappedKey,
  work: (key: TpmObject) => Promise<T>,
  auth?: Uint8Array | undefined,
): Promise<T> {
  await using key = owned(tpm, await loadKey(tpm, parent, wrapped, auth));
  return await work(key);
}
