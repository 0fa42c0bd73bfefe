import { concat, utf8 } from './bytes.ts';
import { TAG } from './der.ts';

/** One element. `content` parts are joined. */
export function der(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const body = concat(...content);
  return concat(Uint8Array.of(tag), lengthOf(body.length), body);
}

/** SEQUENCE of the given elements. */
export const sequence = (...content: readonly Uint8Array[]) => der(TAG.sequence, ...content);
/** SET of the given elements, in the order given. */
export const set = (...content: readonly Uint8Array[]) => der(TAG.set, ...content);
/** OCTET STRING. */
export const octetString = (content: Uint8Array) => der(TAG.octetString, content);
/** BIT STRING without unused bits. */
export const bitString = (content: Uint8Array) => der(TAG.bitString, Uint8Array.of(0), content);
/** UTF8String. */
export const utf8String = (value: string) => der(TAG.utf8String, utf8(value));
/** BOOLEAN. */
export const boolean = (value: boolean) => der(TAG.boolean, Uint8Array.of(value ? 0xff : 0));
/** NULL. */
export const nullValue = () => der(TAG.null);
/** `[n]` constructed, for EXPLICIT tags and IMPLICIT ones of SEQUENCEs. */
export const constructed = (n: number, ...content: readonly Uint8Array[]) => der(0xa0 | n, ...content);
/** `[n]` primitive, for IMPLICIT tags of strings. */
export const primitive = (n: number, content: Uint8Array) => der(0x80 | n, content);

/** INTEGER of a non-negative number or of big-endian bytes. */
export function integer(value: number | Uint8Array): Uint8Array {
  let bytes = value instanceof Uint8Array ? value : fromNumber(value);
  while (bytes.length > 1 && bytes[0] === 0) bytes = bytes.subarray(1);
  return der(TAG.integer, (bytes[0] ?? 0) >= 0x80 ? Uint8Array.of(0) : new Uint8Array(), bytes);
}

/** OBJECT IDENTIFIER from its dotted form. */
export function oid(dotted: string): Uint8Array {
  const [top = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const out: number[] = [];
  for (const arc of [top * 40 + second, ...rest]) {
    if (!Number.isSafeInteger(arc) || arc < 0) throw new TypeError(`not an object identifier: \`${dotted}\``);
    const groups = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left % 128) | 0x80);
    out.push(...groups);
  }
  return der(TAG.oid, Uint8Array.from(out));
}

/** PrintableString. @throws {TypeError} for a character it does not have. */
export function printableString(value: string): Uint8Array {
  if (!/^[A-Za-z0-9 '()+,./:=?-]*$/.test(value)) throw new TypeError('not a PrintableString');
  return der(TAG.printableString, utf8(value));
}

/** Named bits (keyUsage), trailing zero bits removed as DER asks. */
export function namedBits(bits: readonly number[]): Uint8Array {
  if (bits.length === 0) return der(TAG.bitString, Uint8Array.of(0));
  const highest = Math.max(...bits);
  const out = new Uint8Array(1 + (highest >> 3) + 1);
  out[0] = 7 - (highest & 7);
  for (const bit of bits) out[1 + (bit >> 3)] = (out[1 + (bit >> 3)] ?? 0) | (0x80 >> (bit & 7));
  return der(TAG.bitString, out);
}

function lengthOf(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  if (length < 0x100) return Uint8Array.of(0x81, length);
  if (length < 0x10000) return Uint8Array.of(0x82, length >> 8, length & 0xff);
  return Uint8Array.of(0x83, length >> 16, (length >> 8) & 0xff, length & 0xff);
}

function fromNumber(value: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0) throw new TypeError('not a non-negative whole number');
  const digits = value.toString(16);
  return new Uint8Array(Buffer.from(digits.length % 2 ? `0${digits}` : digits, 'hex'));
}
