import { decodeCbor, encodeCbor } from '../../src/core/cbor.ts';

/**
 * A record of plain values as bytes, for what this TPM gives away and alone reads again. Members that are `undefined` are
 * left out, and integers that may be larger than a number can be keep their type.
 */
export function freeze(value: object): Uint8Array {
  return encodeCbor(outgoing(value));
}

/** The inverse of {@link freeze}, of bytes that were not altered. */
export function thaw(bytes: Uint8Array): object {
  return incoming(decodeCbor(bytes)) as object;
}

const large = 'bigint';

function outgoing(value: unknown): unknown {
  if (typeof value === 'bigint') return { [large]: value.toString() };
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(outgoing);
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([key, member]) => [key, outgoing(member)]),
  );
}

function incoming(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(incoming);
  const entries = Object.entries(value);
  const [first] = entries;
  if (first?.[0] === large && typeof first[1] === 'string') return BigInt(first[1]);
  return Object.fromEntries(entries.map(([key, member]) => [key, incoming(member)]));
}
