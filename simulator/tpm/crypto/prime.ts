import { constants, createPublicKey, publicEncrypt } from 'node:crypto';
import { base64url } from '../../../src/core/bytes.ts';
import { fromInteger, toInteger } from './integer.ts';
import { seededBytes } from './kdf.ts';

/**
 * The first prime of `bits` bits at or above an odd start made from `chance`, with its two upper bits set and p - 1 no
 * multiple of the prime `exponent`.
 */
export function primeFrom(bits: number, exponent: bigint, chance: (count: number) => Uint8Array): bigint {
  const size = bits / 8;
  for (;;) {
    const start = chance(size);
    start[0] = (start[0] ?? 0) | 0xc0;
    start[size - 1] = (start[size - 1] ?? 0) | 1;
    const base = toInteger(start);
    const composite = sieved(base);
    for (let i = 0; i < sieveSpan; i++) {
      if (composite[i]) continue;
      const candidate = base + BigInt(2 * i);
      if ((candidate - 1n) % exponent === 0n || candidate >> BigInt(bits) !== 0n) continue;
      if (isPrime(candidate, size)) return candidate;
    }
  }
}

const sieveSpan = 4096;
const sieveLimit = 65536;
let smallPrimes: readonly number[] | undefined;

/** Odd primes below the limit, computed at first use (no work at import). */
function oddPrimes(): readonly number[] {
  if (smallPrimes === undefined) {
    const composite = new Uint8Array(sieveLimit);
    const found: number[] = [];
    for (let i = 3; i < sieveLimit; i += 2) {
      if (composite[i]) continue;
      found.push(i);
      for (let j = i * i; j < sieveLimit; j += 2 * i) composite[j] = 1;
    }
    smallPrimes = found;
  }
  return smallPrimes;
}

/** Marks each i for which base + 2i has a small factor: nine in ten need no costly test. */
function sieved(base: bigint): Uint8Array {
  const composite = new Uint8Array(sieveSpan);
  for (const small of oddPrimes()) {
    const rest = Number(base % BigInt(small));
    // base + 2i is a multiple of `small` exactly when i = (-rest) / 2 modulo small.
    const first = ((small - rest) * ((small + 1) / 2)) % small;
    for (let i = first; i < sieveSpan; i += small) composite[i] = 1;
  }
  return composite;
}

/**
 * Miller and Rabin's test, with base 2 and then as many more as FIPS 186-4 table C.3 asks for. `checkPrimeSync` would
 * run 64 rounds whatever it is told, which takes longer than the search.
 */
function isPrime(candidate: bigint, size: number): boolean {
  const strong = strongTest(candidate, size);
  if (!strong(fromInteger(2n, size))) return false;
  const chance = seededBytes(fromInteger(candidate, size), 'bases');
  for (let round = size < 128 ? 7 : 5; round > 0; round--) {
    // A byte shorter than the candidate, and so below it.
    const base = new Uint8Array(size);
    base.set(chance(size - 1), 1);
    if (!strong(base)) return false;
  }
  return true;
}

/** Whether a candidate passes for a base: base ^ d is 1 or -1, or becomes -1 by squaring, where 2^s · d = candidate - 1. */
function strongTest(candidate: bigint, size: number): (base: Uint8Array) => boolean {
  let d = (candidate - 1n) >> 1n;
  let squarings = 0;
  for (; (d & 1n) === 0n; d >>= 1n) squarings++;
  // OpenSSL's modular exponentiation, by way of an RSA public key that nobody has: ten times as fast as BigInt.
  const member = (value: bigint) => base64url(fromInteger(value, size));
  const key = createPublicKey({
    format: 'jwk',
    key: { kty: 'RSA', n: member(candidate), e: member(d) },
  });
  return (base) => {
    let power = toInteger(publicEncrypt({ key, padding: constants.RSA_NO_PADDING }, base));
    if (power === 1n || power === candidate - 1n) return true;
    for (let i = 0; i < squarings; i++) {
      power = (power * power) % candidate;
      if (power === candidate - 1n) return true;
    }
    return false;
  };
}
