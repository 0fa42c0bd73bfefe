import { decodeCbor, encodeCbor } from '../../src/core/cbor.ts';
import { Malformed } from '../../src/core/errors.ts';

/**
 * Bytes of a value made of numbers, big integers, text, bytes, words, lists, maps and objects: deterministic CBOR.
 *
 * @throws {TypeError} when there is anything else in it.
 */
export function encodePlain(value: unknown): Uint8Array {
  return encodeCbor(outward(value));
}

/** The inverse of {@link encodePlain}. Members that were `undefined` are absent. @throws {Malformed} */
export function decodePlain(bytes: Uint8Array): unknown {
  return inward(decodeCbor(bytes));
}

/** Whether two plain values are the same all the way down. */
export function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  const other = b as Readonly<Record<string, unknown>>;
  const entries = Object.entries(a);
  return (
    Array.isArray(a) === Array.isArray(b) &&
    entries.length === Object.keys(b).length &&
    entries.every(([key, value]) => same(value, other[key]))
  );
}

/** A copy all the way down: nothing that happens to `value` later reaches it. */
export function copyOf<T>(value: T): T {
  return mapped(value, copyOf, (bytes) => bytes.slice()) as T;
}

/** A copy of the lists, maps and objects alone: for values whose bytes are never changed, only replaced. */
export function shapeOf<T>(value: T): T {
  return mapped(value, shapeOf, (bytes) => bytes) as T;
}

/** What CBOR lacks, as an object with one member of a name that nothing else has. */
const BIG = '#big';
const MAP = '#map';
const WORDS = '#words';

function outward(value: unknown): unknown {
  if (typeof value === 'bigint') return { [BIG]: value.toString() };
  if (value instanceof Map) return { [MAP]: [...value].map((entry) => entry.map(outward)) };
  if (value instanceof Uint32Array) return { [WORDS]: [...value] };
  return mapped(value, outward, (bytes) => bytes);
}

function inward(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (BIG in value) {
    if (!/^-?\d{1,40}$/.test(String(value[BIG]))) throw new Malformed('not a big integer');
    return BigInt(String(value[BIG]));
  }
  if (MAP in value) {
    const entries = Array.isArray(value[MAP]) ? (value[MAP] as unknown[]) : [];
    return new Map(entries.map((entry) => inward(entry) as [unknown, unknown]));
  }
  if (WORDS in value) return Uint32Array.from(value[WORDS] as number[]);
  return mapped(value, inward, (bytes) => bytes);
}

function mapped(
  value: unknown,
  each: (value: unknown) => unknown,
  bytes: (value: Uint8Array) => Uint8Array,
): unknown {
  if (typeof value !== 'object' || value === null) {
    if (typeof value === 'function' || typeof value === 'symbol') throw new TypeError('not a plain value');
    return value;
  }
  if (value instanceof Uint8Array) return bytes(value);
  if (value instanceof Uint32Array) return value.slice();
  if (Array.isArray(value)) return value.map(each);
  if (value instanceof Map) return new Map([...value].map(([key, one]) => [key, each(one)]));
  const made = Object.getPrototypeOf(value) as unknown;
  if (made !== Object.prototype && made !== null) throw new TypeError('not a plain value');
  const out: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) if (member !== undefined) out[key] = each(member);
  return out;
}
