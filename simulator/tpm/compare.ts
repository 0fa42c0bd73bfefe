import type { TPM_EO } from '../../src/tpm/structures.ts';

/** Whether `a operation b` holds (TPM_EO, Part 2 §6.8): big-endian numbers of the same length. */
export function holds(operation: TPM_EO, a: Uint8Array, b: Uint8Array): boolean {
  const unsigned = difference(a, b);
  const signed = difference(a, b, 0x80);
  switch (operation) {
    case 'eq':
      return unsigned === 0;
    case 'neq':
      return unsigned !== 0;
    case 'signedGt':
      return signed > 0;
    case 'unsignedGt':
      return unsigned > 0;
    case 'signedLt':
      return signed < 0;
    case 'unsignedLt':
      return unsigned < 0;
    case 'signedGe':
      return signed >= 0;
    case 'unsignedGe':
      return unsigned >= 0;
    case 'signedLe':
      return signed <= 0;
    case 'unsignedLe':
      return unsigned <= 0;
    case 'bitset':
      return b.every((bits, i) => ((a[i] ?? 0) & bits) === bits);
    case 'bitclear':
      return b.every((bits, i) => ((a[i] ?? 0) & bits) === 0);
  }
}

/** Negative, zero or positive as `a` is to `b`; with the sign bits flipped, two's complement sorts as unsigned does. */
function difference(a: Uint8Array, b: Uint8Array, flipped = 0): number {
  for (let i = 0; i < a.length; i++) {
    const mask = i === 0 ? flipped : 0;
    const byte = ((a[i] ?? 0) ^ mask) - ((b[i] ?? 0) ^ mask);
    if (byte !== 0) return byte;
  }
  return 0;
}
