import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { hex } from '../../src/core/bytes.ts';
import { bitString, integer, nullValue, oid, sequence } from '../../src/core/der-writer.ts';
import { Malformed } from '../../src/core/errors.ts';
import { pointOfJwk } from '../../src/core/signer.ts';
import { OID } from '../../src/identity/oids.ts';
import { jwkOfSpki, keyIdOf, readSpki, spkiOfJwk, spkiOfRsa } from '../../src/identity/public-key.ts';
import { key } from './fixtures.ts';

const spkiOf = (namedCurve: string) =>
  new Uint8Array(generateKeyPairSync('ec', { namedCurve }).publicKey.export({ format: 'der', type: 'spki' }));
const ec = (curve: string, point: Uint8Array) =>
  sequence(sequence(oid(OID.ecPublicKey), oid(curve)), bitString(point));
const rsa = (modulus: Uint8Array, exponent: number, parameters: readonly Uint8Array[] = [nullValue()]) =>
  sequence(
    sequence(oid(OID.rsaEncryption), ...parameters),
    bitString(sequence(integer(modulus), integer(exponent))),
  );
const modulus = (bytes: number) => new Uint8Array(bytes).fill(0xc1);

describe('a SubjectPublicKeyInfo', () => {
  it('of P-256 is the JWK, both ways, as Node writes it', () => {
    const { publicJwk } = key();
    expect(jwkOfSpki(spkiOfJwk(publicJwk))).toEqual(publicJwk);
    const theirs = spkiOf('P-256');
    expect(spkiOfJwk(jwkOfSpki(theirs))).toEqual(theirs);
    expect(keyIdOf(theirs)).toMatch(/^[0-9a-f]{40}$/);
  });

  it.each([
    ['P-384', 'p384', 97],
    ['P-521', 'p521', 133],
  ])('of %s is read, for issuers', (curve, kind, size) => {
    const read = readSpki(spkiOf(curve));
    expect(read).toMatchObject({ kind });
    expect('point' in read && read.point.length).toBe(size);
    expect(() => jwkOfSpki(spkiOf(curve))).toThrow(Malformed);
  });

  it.each<[string, () => Uint8Array]>([
    ['another curve', () => spkiOf('secp256k1')],
    [
      'another algorithm',
      () => new Uint8Array(generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' })),
    ],
    [
      'a point off the curve',
      () => {
        const point = pointOfJwk(key().publicJwk);
        point[64] = (point[64] ?? 0) ^ 1;
        return ec(OID.p256, point);
      },
    ],
    [
      'a compressed point',
      () => {
        const point = pointOfJwk(key().publicJwk).slice(0, 33);
        point[0] = 2;
        return ec(OID.p256, point);
      },
    ],
    ['a P-384 point of another size', () => ec(OID.p384, pointOfJwk(key().publicJwk))],
    [
      'a P-384 point off the curve',
      () =>
        ec(
          OID.p384,
          Uint8Array.from({ length: 97 }, (_, i) => (i === 0 ? 4 : 1)),
        ),
    ],
    [
      'too many parameters',
      () =>
        sequence(
          sequence(oid(OID.ecPublicKey), oid(OID.p256), nullValue()),
          bitString(pointOfJwk(key().publicJwk)),
        ),
    ],
    ['RSA of 2,040 bits', () => rsa(modulus(255), 65_537)],
    [
      'RSA of 2,047 bits',
      () =>
        rsa(
          Uint8Array.from(modulus(256), (byte, i) => (i === 0 ? 0x7f : byte)),
          65_537,
        ),
    ],
    ['RSA of 8,192 bits', () => rsa(modulus(1024), 65_537)],
    ['RSA with exponent 3', () => rsa(modulus(256), 3)],
    ['RSA with an even exponent', () => rsa(modulus(256), 65_538)],
    ['RSA without NULL', () => rsa(modulus(256), 65_537, [])],
    ['something else', () => sequence()],
  ])('with %s is refused', (_what, make) => {
    expect(() => readSpki(make())).toThrow(Malformed);
  });

  it('of RSA is read and written', () => {
    const read = readSpki(spkiOfRsa(modulus(256)));
    expect(read.kind === 'rsa' && hex(read.modulus)).toBe(hex(modulus(256)));
    expect(read.kind === 'rsa' && hex(read.exponent)).toBe('010001');
  });
});
