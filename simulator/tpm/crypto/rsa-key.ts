import type { KeyObject } from 'node:crypto';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { base64url } from '../../../src/core/bytes.ts';
import { fromInteger, inverse, toInteger } from './integer.ts';
import { primeFrom } from './prime.ts';

/** The public exponent every key of this TPM has. */
export const rsaExponent = 65537n;

/**
 * The first prime of an RSA key of `bits` bits, found from repeatable bytes and so always the same for a seed.
 * Two primes of half the size with both upper bits set, so that the product has exactly `bits` bits.
 * The key is `{ p, n }`: like a real TPM we keep one prime and recompute the rest.
 */
export function rsaPrimes(
  bits: number,
  chance: (count: number) => Uint8Array,
): { readonly p: Uint8Array; readonly n: Uint8Array } {
  const prime = () => primeFrom(bits / 2, rsaExponent, chance);
  const p = prime();
  let q = prime();
  while (q === p) q = prime();
  return { p: fromInteger(p, bits / 16), n: fromInteger(p * q, bits / 8) };
}

/** The private key of a modulus and one of its primes. @throws RangeError when `p` does not divide `n`. */
export function rsaPrivateKey(n: Uint8Array, p: Uint8Array): KeyObject {
  const modulus = toInteger(n);
  const first = toInteger(p);
  if (first <= 1n || modulus % first !== 0n) throw new RangeError('the prime does not divide the modulus');
  const second = modulus / first;
  const d = inverse(rsaExponent, (first - 1n) * (second - 1n));
  const half = Math.ceil(n.length / 2);
  const member = (value: bigint, size: number) => base64url(fromInteger(value, size));
  return createPrivateKey({
    format: 'jwk',
    key: {
      kty: 'RSA',
      n: base64url(n),
      e: 'AQAB',
      d: member(d, n.length),
      p: member(first, half),
      q: member(second, half),
      dp: member(d % (first - 1n), half),
      dq: member(d % (second - 1n), half),
      qi: member(inverse(second, first), half),
    },
  });
}

/** The public key of a modulus. `exponent` 0 means 65537, as in TPMS_RSA_PARMS. */
export function rsaPublicKey(n: Uint8Array, exponent = 0): KeyObject {
  const e = exponent === 0 ? rsaExponent : BigInt(exponent);
  const size = Math.ceil(e.toString(16).length / 2);
  return createPublicKey({
    format: 'jwk',
    key: { kty: 'RSA', n: base64url(n), e: base64url(fromInteger(e, size)) },
  });
}
