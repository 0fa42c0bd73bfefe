import type { KeyObject } from 'node:crypto';
import { checkPrimeSync, createPrivateKey, createPublicKey } from 'node:crypto';
import { base64url } from '../../../src/core/bytes.ts';
import { fromInteger, inverse, toInteger } from './integer.ts';

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
  const p = prime(bits / 2, chance);
  let q = prime(bits / 2, chance);
  while (q === p) q = prime(bits / 2, chance);
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

const sieveSpan = 4096;
let smallPrimes: readonly number[] | undefined;

/** Odd primes below 8192, computed at first use (no work at import). */
function sieve(): readonly number[] {
  if (smallPrimes === undefined) {
    const composite = new Uint8Array(8192);
    const found: number[] = [];
    for (let i = 3; i < composite.length; i += 2) {
      if (composite[i]) continue;
      found.push(i);
      for (let j = i * i; j < composite.length; j += 2 * i) composite[j] = 1;
    }
    smallPrimes = found;
  }
  return smallPrimes;
}

/** The first prime at or above a seeded odd start, with the sieve in front of the costly test. */
function prime(bits: number, chance: (count: number) => Uint8Array): bigint {
  const size = bits / 8;
  for (;;) {
    const start = chance(size);
    start[0] = (start[0] ?? 0) | 0xc0;
    start[size - 1] = (start[size - 1] ?? 0) | 1;
    const base = toInteger(start);
    const composite = new Uint8Array(sieveSpan);
    for (const small of sieve()) {
      const m = BigInt(small);
      const rest = Number(base % m);
      // base + 2i is a multiple of `small` exactly when i = (-rest) / 2 modulo small.
      const first = ((small - rest) * ((small + 1) / 2)) % small;
      for (let i = first; i < sieveSpan; i += small) composite[i] = 1;
    }
    for (let i = 0; i < sieveSpan; i++) {
      if (composite[i]) continue;
      const candidate = base + BigInt(2 * i);
      if ((candidate - 1n) % rsaExponent === 0n || candidate >> BigInt(bits) !== 0n) continue;
      if (checkPrimeSync(candidate, { checks: 5 }) && checkPrimeSync(candidate)) return candidate;
    }
  }
}
