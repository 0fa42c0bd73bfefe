import type { Codec } from '../../src/tpm/codec.ts';
import { encode } from '../../src/tpm/codec.ts';

const known = new WeakMap<object, Uint8Array>();

/** The bytes of a structure that is never changed, only replaced: encoded when first asked for. */
export function encodedOnce<T extends object>(codec: Codec<T>, value: NoInfer<T>): Uint8Array {
  let bytes = known.get(value);
  if (bytes === undefined) {
    bytes = encode(codec, value);
    known.set(value, bytes);
  }
  return bytes;
}
