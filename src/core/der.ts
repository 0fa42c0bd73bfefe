import { text as decodeText, hex } from './bytes.ts';
import { Malformed } from './errors.ts';

/** One element of DER (X.690 §10): an identifier octet, a definite minimal length, the contents. */
export interface DerElement {
  /** The identifier octet, for example 0x30 for SEQUENCE. High tag numbers (0x1f) are refused. */
  readonly tag: number;
  readonly content: Uint8Array;
  /** Identifier, length and contents as they came. */
  readonly raw: Uint8Array;
}

/** Identifier octets. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Largest input and greatest number of children of one element. */
const MAX_BYTES = 65_536;
const MAX_CHILDREN = 256;

/** The one element `bytes` hold. @throws {Malformed} when anything is not DER, or follows it. */
export function readDer(bytes: Uint8Array, tag?: number): DerElement {
  if (bytes.length > MAX_BYTES) throw new Malformed(`DER of more than ${MAX_BYTES} bytes`);
  const element = readAt(bytes, 0);
  if (element.raw.length !== bytes.length) throw new Malformed('bytes after the end of DER');
  if (tag !== undefined) expectTag(element, tag);
  return element;
}

/** The first element of `bytes`, whatever follows (an NV index pads a certificate). @throws {Malformed} */
export function readDerPrefix(bytes: Uint8Array): DerElement {
  return readAt(bytes, 0);
}

/** The elements inside a constructed one, in order. @throws {Malformed} */
export function childrenOf(element: DerElement): DerElement[] {
  const out: DerElement[] = [];
  let at = 0;
  while (at < element.content.length) {
    if (out.length === MAX_CHILDREN) throw new Malformed(`more than ${MAX_CHILDREN} elements in one`);
    const child = readAt(element.content, at);
    out.push(child);
    at += child.raw.length;
  }
  return out;
}

/** {@link childrenOf} a SEQUENCE. @throws {Malformed} for another tag. */
export function readSequence(element: DerElement | undefined): DerElement[] {
  return childrenOf(expectTag(element, TAG.sequence));
}

/** `element`, when it is there and has `tag`. @throws {Malformed} */
export function expectTag(element: DerElement | undefined, tag: number): DerElement {
  if (element === undefined) throw new Malformed('DER ends too early');
  if (element.tag !== tag)
    throw new Malformed(`expected DER tag 0x${tag.toString(16)}, found 0x${element.tag.toString(16)}`);
  return element;
}

/** Dotted form of an OBJECT IDENTIFIER. @throws {Malformed} */
export function readOid(element: DerElement | undefined): string {
  const { content } = expectTag(element, TAG.oid);
  if (content.length === 0 || content.length > 64) throw new Malformed('an object identifier of wrong size');
  const arcs: number[] = [];
  let value = 0;
  let begun = false;
  for (const byte of content) {
    if (!begun && byte === 0x80) throw new Malformed('an object identifier that is not minimal');
    value = value * 128 + (byte & 0x7f);
    if (value > Number.MAX_SAFE_INTEGER / 256)
      throw new Malformed('an object identifier arc that is too large');
    begun = true;
    if (byte < 0x80) {
      arcs.push(value);
      value = 0;
      begun = false;
    }
  }
  if (begun) throw new Malformed('an object identifier that ends too early');
  const [first = 0, ...rest] = arcs;
  const top = Math.min(2, Math.floor(first / 40));
  return [top, first - top * 40, ...rest].join('.');
}

/** Contents of a non-negative INTEGER without its sign octet. @throws {Malformed} also for negative ones. */
export function readUnsigned(element: DerElement | undefined): Uint8Array {
  const { content } = expectTag(element, TAG.integer);
  const [first, second] = content;
  if (first === undefined) throw new Malformed('an integer without contents');
  if (first >= 0x80) throw new Malformed('a negative integer');
  if (first === 0 && second !== undefined) {
    if (second < 0x80) throw new Malformed('an integer that is not minimal');
    return content.subarray(1);
  }
  return content;
}

/** A small non-negative INTEGER. @throws {Malformed} above 2^31 - 1. */
export function readSmallInteger(element: DerElement | undefined): number {
  const bytes = readUnsigned(element);
  if (bytes.length > 4) throw new Malformed('an integer that is too large');
  let value = 0;
  for (const byte of bytes) value = value * 256 + byte;
  if (value > 0x7fffffff) throw new Malformed('an integer that is too large');
  return value;
}

/** A BOOLEAN; DER allows 00 and FF only. @throws {Malformed} */
export function readBoolean(element: DerElement | undefined): boolean {
  const { content } = expectTag(element, TAG.boolean);
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff))
    throw new Malformed('not a DER boolean');
  return content[0] === 0xff;
}

/** Bytes of a BIT STRING with no unused bits. @throws {Malformed} */
export function readBitString(element: DerElement | undefined): Uint8Array {
  const { content } = expectTag(element, TAG.bitString);
  if (content[0] !== 0) throw new Malformed('a bit string with unused bits');
  return content.subarray(1);
}

/** Numbers of the bits that are set in a named-bit BIT STRING (keyUsage). @throws {Malformed} */
export function readNamedBits(element: DerElement | undefined): number[] {
  const { content } = expectTag(element, TAG.bitString);
  const [unused] = content;
  if (unused === undefined || unused > 7 || content.length > 5 || (content.length === 1 && unused !== 0))
    throw new Malformed('not a named bit string');
  const last = content.at(-1) ?? 0;
  if (content.length > 1 && (last & ((1 << unused) - 1)) !== 0)
    throw new Malformed('unused bits that are set');
  const out: number[] = [];
  for (let bit = 0; bit < (content.length - 1) * 8; bit++)
    if (((content[1 + (bit >> 3)] ?? 0) >> (7 - (bit & 7))) & 1) out.push(bit);
  return out;
}

/** Text of any directory or general-name string type. @throws {Malformed} */
export function readText(element: DerElement | undefined): string {
  if (element === undefined) throw new Malformed('DER ends too early');
  switch (element.tag) {
    case TAG.utf8String:
      return decodeText(element.content);
    case TAG.printableString:
    case TAG.ia5String:
      return asciiOf(element.content);
    case TAG.teletexString:
      return [...element.content].map((byte) => String.fromCharCode(byte)).join('');
    case TAG.bmpString: {
      if (element.content.length % 2 !== 0) throw new Malformed('a BMPString of odd length');
      let out = '';
      for (let i = 0; i < element.content.length; i += 2)
        out += String.fromCharCode(((element.content[i] ?? 0) << 8) | (element.content[i + 1] ?? 0));
      return out;
    }
    default:
      throw new Malformed('not a string type');
  }
}

/** ASCII text of contents (IA5String under an implicit tag). @throws {Malformed} */
export function asciiOf(content: Uint8Array): string {
  if (content.some((byte) => byte >= 0x80)) throw new Malformed('not ASCII');
  return decodeText(content);
}

/**
 * Milliseconds since 1970 of a UTCTime (years 1950 to 2049) or GeneralizedTime, in the one form RFC 5280 §4.1.2.5
 * allows (seconds, `Z`). 99991231235959Z is a time like any other.
 *
 * @throws {Malformed}
 */
export function readTime(element: DerElement | undefined): number {
  if (element === undefined) throw new Malformed('DER ends too early');
  const text = asciiOf(element.content);
  const match =
    element.tag === TAG.utcTime
      ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text)
      : element.tag === TAG.generalizedTime
        ? /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text)
        : null;
  if (match === null) throw new Malformed('not a time');
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  const full = element.tag === TAG.utcTime ? year + (year < 50 ? 2000 : 1900) : year;
  const iso = `${String(full).padStart(4, '0')}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}:${two(second)}.000Z`;
  const at = Date.parse(iso);
  if (Number.isNaN(at) || new Date(at).toISOString() !== iso)
    throw new Malformed('not a time of the calendar');
  return at;
}

/** A hexadecimal serial number as certificates print it. */
export function serialText(element: DerElement | undefined): string {
  return hex(readUnsigned(element));
}

function readAt(bytes: Uint8Array, start: number): DerElement {
  const tag = bytes[start];
  const first = bytes[start + 1];
  if (tag === undefined || first === undefined) throw new Malformed('DER ends too early');
  if ((tag & 0x1f) === 0x1f) throw new Malformed('DER with a high tag number');
  let at = start + 2;
  let length = first;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0) throw new Malformed('DER of indefinite length');
    if (count > 3) throw new Malformed('DER that is too long');
    length = 0;
    for (let i = 0; i < count; i++) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Malformed('DER ends too early');
      length = length * 256 + byte;
    }
    if (length < 0x80 || length < 2 ** (8 * (count - 1)))
      throw new Malformed('a DER length that is not minimal');
  }
  const end = at + length;
  if (end > bytes.length) throw new Malformed('DER ends too early');
  return { tag, content: bytes.subarray(at, end), raw: bytes.subarray(start, end) };
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
