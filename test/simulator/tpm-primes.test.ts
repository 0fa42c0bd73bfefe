import { checkPrimeSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { fromInteger, toInteger } from '../../simulator/tpm/crypto/integer.ts';
import { seededBytes } from '../../simulator/tpm/crypto/kdf.ts';
import { primeFrom } from '../../simulator/tpm/crypto/prime.ts';
import { rsaPrimes } from '../../simulator/tpm/crypto/rsa-key.ts';
import { utf8 } from '../../src/core/bytes.ts';

/** Chance that first gives these bytes, and then others from a seed. */
const beginning = (...first: readonly Uint8Array[]) => {
  const later = seededBytes(utf8('primes'), 'test');
  const left = first.map((bytes) => bytes.slice());
  return (count: number) => left.shift() ?? later(count);
};

describe('a prime for an RSA key', () => {
  it('is one, and one less is no multiple of the exponent', () => {
    for (let seed = 0; seed < 20; seed++) {
      const prime = primeFrom(64, 3n, seededBytes(utf8(`${seed}`), 'test'));
      expect(checkPrimeSync(prime)).toBe(true);
      expect(prime % 3n).toBe(2n);
    }
  });

  it('has the bits that were asked for, wherever the search begins', () => {
    const prime = primeFrom(128, 65537n, beginning(new Uint8Array(16).fill(0xff)));
    expect(prime >> 126n).toBe(3n);
    expect(checkPrimeSync(prime)).toBe(true);
  });

  it('is no composite number that looks like one to base 2', () => {
    const pseudoprime = 2630120641n * 5260241281n;
    expect(checkPrimeSync(pseudoprime)).toBe(false);
    expect(power(2n, pseudoprime - 1n, pseudoprime)).toBe(1n);
    const prime = primeFrom(64, 65537n, beginning(fromInteger(pseudoprime, 8)));
    expect(prime).toBeGreaterThan(pseudoprime);
    expect(checkPrimeSync(prime)).toBe(true);
  });
});

describe('the two primes of an RSA key', () => {
  it('are two, also when chance repeats itself', () => {
    const once = new Uint8Array(32).fill(0xc5);
    const { p, n } = rsaPrimes(512, beginning(once, once));
    expect(toInteger(n) % toInteger(p)).toBe(0n);
    expect(toInteger(n)).not.toBe(toInteger(p) ** 2n);
  });
});

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (let bits = exponent, square = base; bits > 0n; bits >>= 1n, square = (square * square) % modulus)
    if (bits & 1n) result = (result * square) % modulus;
  return result;
}
