import { text } from '../core/bytes.ts';
import { keyIdLength } from './session.ts';

/** The parts of an envelope as they were received. */
export interface EnvelopeForm {
  readonly bodyProtected: Uint8Array;
  readonly type: string;
  readonly keyId: Uint8Array;
  readonly seq: bigint;
  readonly epoch: number;
  readonly signature: Uint8Array;
  readonly ciphertext: Uint8Array;
}

// array(3); {4: h'8 bytes', 6:, 10:, 11: [h'a10126' = {1: -7}, {}, h'64 bytes']}
const headAndKid = Uint8Array.of(0xa4, 0x04, 0x40 + keyIdLength);
const partialIv = Uint8Array.of(0x06);
const kidContext = Uint8Array.of(0x0a);
const countersignature = Uint8Array.of(0x0b, 0x83, 0x43, 0xa1, 0x01, 0x26, 0xa0, 0x58, 0x40);
// {1: 3 (A256GCM), 16: text}
const protectedStart = Uint8Array.of(0xa2, 0x01, 0x03, 0x10);

/**
 * Reads an envelope, which has exactly one encoding: fixed headers, in the order of RFC 8949 §4.2.1, shortest forms,
 * nothing after it. So nothing about a message can be changed without changing what is protected, except its
 * identifiers, and these are bound by the external data. Cheaper than general CBOR, and it comes before any key.
 *
 * @returns `undefined` for all other bytes.
 */
export function readEnvelope(bytes: Uint8Array): EnvelopeForm | undefined {
  const from = new Reader(bytes);
  if (!from.expect(Uint8Array.of(0x83))) return undefined;
  const bodyProtected = from.byteString(0x40, 128);
  if (bodyProtected === undefined || !from.expect(headAndKid)) return undefined;
  const keyId = from.take(keyIdLength);
  if (keyId === undefined || !from.expect(partialIv)) return undefined;
  const seq = unsigned(from.byteString(0x40, 8));
  if (seq === undefined || seq === 0n || !from.expect(kidContext)) return undefined;
  const epoch = unsigned(from.byteString(0x40, 8));
  if (epoch === undefined || epoch > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  if (!from.expect(countersignature)) return undefined;
  const signature = from.take(64);
  const ciphertext = from.byteString(0x40, bytes.length);
  if (signature === undefined || ciphertext === undefined || ciphertext.length < 17 || !from.atEnd)
    return undefined;
  const type = readType(bodyProtected);
  if (type === undefined) return undefined;
  return { bodyProtected, type, keyId, seq, epoch: Number(epoch), signature, ciphertext };
}

function readType(bodyProtected: Uint8Array): string | undefined {
  const from = new Reader(bodyProtected);
  if (!from.expect(protectedStart)) return undefined;
  const type = from.byteString(0x60, 64);
  if (type === undefined || !from.atEnd) return undefined;
  try {
    return text(type);
  } catch {
    return undefined;
  }
}

/** The number in shortest big-endian bytes; none at all is 0. */
function unsigned(bytes: Uint8Array | undefined): bigint | undefined {
  if (bytes === undefined || bytes[0] === 0) return undefined;
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  take(count: number): Uint8Array | undefined {
    if (this.#bytes.length - this.#at < count) return undefined;
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  expect(wanted: Uint8Array): boolean {
    const have = this.take(wanted.length);
    return have?.every((byte, at) => byte === wanted[at]) ?? false;
  }

  /** A byte (`major` 0x40) or text (0x60) string of at most `max` bytes, its length in shortest form. */
  byteString(major: 0x40 | 0x60, max: number): Uint8Array | undefined {
    const [head = 0] = this.take(1) ?? [];
    if ((head & 0xe0) !== major) return undefined;
    const short = head & 0x1f;
    if (short < 24) return short <= max ? this.take(short) : undefined;
    const width = { 24: 1, 25: 2, 26: 4 }[short];
    const digits = width === undefined ? undefined : this.take(width);
    if (digits === undefined) return undefined;
    const length = digits.reduce((sum, digit) => sum * 256 + digit, 0);
    const least = { 1: 24, 2: 0x100, 4: 0x10000 }[digits.length] ?? 0;
    return length >= least && length <= max ? this.take(length) : undefined;
  }
}
