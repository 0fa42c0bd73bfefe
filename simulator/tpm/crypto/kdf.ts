import { concat, u32, utf8 } from '../../../src/core/bytes.ts';
import type { HashAlgorithm } from './hash.ts';
import { digest, hmac } from './hash.ts';

const none = new Uint8Array();
const zero = new Uint8Array(1);

/**
 * KDFa (Part 1 §11.4.10.2): SP 800-108 in counter mode over HMAC.
 * `bits` need not be a multiple of 8; surplus bits of the first byte are zero. A label ends with one zero byte.
 */
export function kdfA(
  hash: HashAlgorithm,
  key: Uint8Array,
  label: string | Uint8Array,
  contextU: Uint8Array,
  contextV: Uint8Array,
  bits: number,
): Uint8Array {
  const named = typeof label === 'string' ? utf8(label) : label;
  const end = named.at(-1) === 0 ? none : zero;
  const fixed = concat(named, end, contextU, contextV, u32(bits));
  return expand(bits, (counter) => hmac(hash, key, u32(counter), fixed));
}

/** KDFe (Part 1 §11.4.10.3): SP 800-56A concatenation, for ECDH. `partyU` and `partyV` are x coordinates. */
export function kdfE(
  hash: HashAlgorithm,
  z: Uint8Array,
  label: string,
  partyU: Uint8Array,
  partyV: Uint8Array,
  bits: number,
): Uint8Array {
  const fixed = concat(z, utf8(label), zero, partyU, partyV);
  return expand(bits, (counter) => digest(hash, u32(counter), fixed));
}

/** MGF1 (RFC 8017 §B.2.1). */
export function mgf1(hash: HashAlgorithm, seed: Uint8Array, length: number): Uint8Array {
  return expand(length * 8, (counter) => digest(hash, seed, u32(counter - 1)));
}

/** Data masked with the XOR scheme (Part 1 §11.4.7.3); masking twice gives the data back. */
export function xorObfuscate(
  hash: HashAlgorithm,
  key: Uint8Array,
  contextU: Uint8Array,
  contextV: Uint8Array,
  data: Uint8Array,
): Uint8Array {
  const mask = kdfA(hash, key, 'XOR', contextU, contextV, data.length * 8);
  return data.map((byte, i) => byte ^ (mask[i] ?? 0));
}

/** An endless, repeatable stream of bytes from a seed: KDFa with a rising counter as context. */
export function seededBytes(seed: Uint8Array, label: string): (count: number) => Uint8Array {
  let counter = 0;
  return (count) => kdfA('sha256', seed, label, u32(counter++), none, count * 8);
}

function expand(bits: number, block: (counter: number) => Uint8Array): Uint8Array {
  const out = new Uint8Array(Math.ceil(bits / 8));
  for (let at = 0, counter = 1; at < out.length; counter++) {
    const part = block(counter);
    out.set(part.subarray(0, Math.min(part.length, out.length - at)), at);
    at += part.length;
  }
  if (bits % 8 !== 0) out[0] = (out[0] ?? 0) & ((1 << (bits % 8)) - 1);
  return out;
}
