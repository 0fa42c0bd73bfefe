import { Malformed } from './errors.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** UTF-8 bytes of `text`. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** The text of UTF-8 bytes. @throws {Malformed} when they are not UTF-8. */
export function text(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new Malformed('bytes are not UTF-8', { cause });
  }
}

/** One array holding all parts in order. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Whether both hold the same bytes, in time that depends only on their lengths. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}

/** Lower-case hexadecimal. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

/** Bytes of a hexadecimal string, either case. @throws {Malformed} on anything else. */
export function fromHex(value: string): Uint8Array {
  if (value.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(value)) throw new Malformed('not hexadecimal');
  return new Uint8Array(Buffer.from(value, 'hex'));
}

/** Base64url without padding (RFC 4648 §5, RFC 7515 §2). */
export function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64url');
}

/** Bytes of *canonical* base64url: no padding, no white space, unused bits zero. @throws {Malformed} otherwise. */
export function fromBase64url(value: string): Uint8Array {
  const bytes = Buffer.from(value, 'base64url');
  if (bytes.toString('base64url') !== value) throw new Malformed('not canonical base64url');
  return new Uint8Array(bytes);
}

/** Base64 with padding (RFC 4648 §4), as X.509 members of JWKs (`x5c`) use it. */
export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}

/** Bytes of canonical base64. @throws {Malformed} otherwise. */
export function fromBase64(value: string): Uint8Array {
  const bytes = Buffer.from(value, 'base64');
  if (bytes.toString('base64') !== value) throw new Malformed('not canonical base64');
  return new Uint8Array(bytes);
}

/** Unsigned 32-bit big endian. */
export function u32(value: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, value);
  return out;
}

/** The unsigned 32-bit number at `at`, big endian. @throws {RangeError} when the bytes end before. */
export function u32At(bytes: Uint8Array, at: number): number {
  if (at < 0 || at + 4 > bytes.length) throw new RangeError('the bytes end too early');
  const high = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  return high * 0x1_0000 + (((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0));
}

/** Unsigned 64-bit big endian. */
export function u64(value: bigint | number): Uint8Array {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, BigInt(value));
  return out;
}

/** Overwrites `bytes` with zeros: the most that JavaScript offers for forgetting a secret. */
export function wipe(bytes: Uint8Array): void {
  bytes.fill(0);
}
