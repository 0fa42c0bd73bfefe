import { Malformed } from '../core/errors.ts';

/** `bytes` as a big-endian integer of `size` bytes. @throws {Malformed} when it is larger. */
export function padLeft(bytes: Uint8Array, size: number): Uint8Array {
  let start = 0;
  while (bytes.length - start > size && bytes[start] === 0) start += 1;
  if (bytes.length - start > size) throw new Malformed('an integer is too long');
  const out = new Uint8Array(size);
  out.set(bytes.subarray(start), size - (bytes.length - start));
  return out;
}

/** Big endian without leading zeros; at least one byte. */
export function minimalBytes(value: number): Uint8Array {
  const bytes = Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
  const start = bytes.findIndex((byte) => byte !== 0);
  return bytes.subarray(start < 0 ? 3 : start);
}
