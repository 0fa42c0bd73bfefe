import { constants, createHash, createPublicKey, publicEncrypt, verify } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../simulator/random.ts';
import type { Curve } from '../../simulator/tpm/crypto/ecc.ts';
import {
  curves,
  eccPrivateKey,
  onCurve,
  publicPoint,
  scalarFrom,
  sharedSecret,
} from '../../simulator/tpm/crypto/ecc.ts';
import { ecdsaSign, ecdsaVerify } from '../../simulator/tpm/crypto/ecdsa.ts';
import { hmac } from '../../simulator/tpm/crypto/hash.ts';
import { kdfA, kdfE, seededBytes, xorObfuscate } from '../../simulator/tpm/crypto/kdf.ts';
import * as rsa from '../../simulator/tpm/crypto/rsa.ts';
import { rsaPrimes, rsaPrivateKey, rsaPublicKey } from '../../simulator/tpm/crypto/rsa-key.ts';
import { unwrapOnce, unwrapSensitive, wrapOnce, wrapSensitive } from '../../simulator/tpm/wrap.ts';
import { hex, utf8 } from '../../src/core/bytes.ts';

const random = seededRandom('tpm-crypto');
const chance = (count: number) => random.bytes(count);
const allCurves = Object.keys(curves) as Curve[];
const none = new Uint8Array();

describe('the key derivation functions of the software TPM', () => {
  it('count their blocks and put label, contexts and bits where Part 1 §11.4.10.2 says', () => {
    const key = utf8('key');
    const fixed = [utf8('LABEL\0'), utf8('U'), utf8('V')] as const;
    const block = (counter: number) =>
      hmac('sha256', key, Uint8Array.of(0, 0, 0, counter), ...fixed, Uint8Array.of(0, 0, 1, 0x80));
    const expected = hex(block(1)) + hex(block(2)).slice(0, 32);
    expect(hex(kdfA('sha256', key, 'LABEL', utf8('U'), utf8('V'), 384))).toBe(expected);
  });

  it('clear the surplus bits of a length that is not whole bytes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 521 }), (bits) => {
        for (const out of [
          kdfA('sha256', utf8('k'), 'L', none, none, bits),
          kdfE('sha256', utf8('z'), 'L', none, none, bits),
        ]) {
          expect(out.length).toBe(Math.ceil(bits / 8));
          if (bits % 8 !== 0) expect(out[0]).toBeLessThan(2 ** (bits % 8));
        }
      }),
      { seed: 1 },
    );
  });

  it('mask and unmask with XOR', () => {
    const data = utf8('a parameter longer than one block of the hash function in use');
    const masked = xorObfuscate('sha256', utf8('k'), utf8('n1'), utf8('n2'), data);
    expect(hex(masked)).not.toBe(hex(data));
    expect(xorObfuscate('sha256', utf8('k'), utf8('n1'), utf8('n2'), masked)).toEqual(data);
    expect(xorObfuscate('sha256', utf8('k'), utf8('n2'), utf8('n1'), masked)).not.toEqual(data);
  });
});

describe.each(allCurves)('ECDSA over a precomputed digest on %s', (curve) => {
  const scalar = scalarFrom(curve, seededBytes(utf8('seed'), 'test'));
  const point = publicPoint(curve, scalar);
  const { size } = curves[curve];
  const publicKey = createPublicKey(eccPrivateKey(curve, scalar, point));

  it.each(['sha1', 'sha256', 'sha384', 'sha512'])(
    'verifies in OpenSSL as a signature of the message (%s)',
    (hash) => {
      for (let i = 0; i < 8; i++) {
        const message = random.bytes(i * 7);
        const value = createHash(hash).update(message).digest();
        const { r, s } = ecdsaSign(curve, scalar, value, chance);
        expect([r.length, s.length]).toEqual([size, size]);
        const signature = Buffer.concat([r, s]);
        expect(verify(hash, message, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature)).toBe(true);
        expect(ecdsaVerify(curve, point, value, { r, s })).toBe(true);
        value[0] = (value[0] ?? 0) ^ 0x80;
        expect(ecdsaVerify(curve, point, value, { r, s })).toBe(false);
      }
    },
  );

  it('refuses r and s of zero and out of range', () => {
    const value = random.bytes(32);
    const good = ecdsaSign(curve, scalar, value, chance);
    const zero = new Uint8Array(size);
    const huge = new Uint8Array(size).fill(0xff);
    for (const bad of [zero, huge]) {
      expect(ecdsaVerify(curve, point, value, { r: bad, s: good.s })).toBe(false);
      expect(ecdsaVerify(curve, point, value, { r: good.r, s: bad })).toBe(false);
    }
  });

  it('agrees on a secret from both ends and knows a point off the curve', () => {
    const other = scalarFrom(curve, chance);
    expect(sharedSecret(curve, scalar, publicPoint(curve, other))).toEqual(sharedSecret(curve, other, point));
    expect(onCurve(curve, point)).toBe(true);
    expect(onCurve(curve, { x: point.x, y: point.x })).toBe(false);
    expect(() => sharedSecret(curve, scalar, { x: point.x, y: point.x })).toThrow();
  });
});

describe('RSA keys from a seed', () => {
  const make = (seed: string) => rsaPrimes(2048, seededBytes(utf8(seed), 'test'));
  const { n, p } = make('one');
  const privateKey = rsaPrivateKey(n, p);
  const publicKey = rsaPublicKey(n);
  const message = utf8('message');
  const value = new Uint8Array(createHash('sha256').update(message).digest());

  it('are the same for the same seed, another for another, and have exactly 2048 bits', () => {
    expect(make('one').n).toEqual(n);
    expect(make('two').n).not.toEqual(n);
    expect(n.length).toBe(256);
    expect(n[0]).toBeGreaterThanOrEqual(0x80);
  });

  it('refuse a prime of another key', () => {
    expect(() => rsaPrivateKey(n, make('two').p)).toThrow(RangeError);
  });

  it('sign a digest with PKCS #1 and PSS so that OpenSSL verifies the message', () => {
    const pkcs1 = rsa.encodeRsassa('sha256', value, 256);
    const pss = rsa.encodePss('sha256', value, 256, random.bytes(32));
    if (pkcs1 === undefined || pss === undefined) throw new Error('did not fit');
    expect(verify('sha256', message, publicKey, rsa.rsaPrivate(privateKey, pkcs1))).toBe(true);
    const signature = rsa.rsaPrivate(privateKey, pss);
    const options = { key: publicKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
    expect(verify('sha256', message, options, signature)).toBe(true);
    expect(rsa.checkPss('sha256', value, rsa.rsaPublic(publicKey, signature))).toBe(true);
    expect(rsa.checkPss('sha256', random.bytes(32), rsa.rsaPublic(publicKey, signature))).toBe(false);
  });

  it('open what OpenSSL sealed with OAEP, and only with the right label', () => {
    const label = utf8('IDENTITY\0');
    const sealed = publicEncrypt({ key: publicKey, oaepHash: 'sha256', oaepLabel: label }, message);
    const block = rsa.rsaPrivate(privateKey, sealed);
    expect(rsa.decodeOaep('sha256', block, label)).toEqual(message);
    expect(rsa.decodeOaep('sha256', block, utf8('SECRET\0'))).toBeUndefined();
  });
});

describe('what leaves the TPM wrapped', () => {
  const protector = { hash: 'sha256', seed: utf8('seed'), keyBits: 128 } as const;
  const name = utf8('name');
  const secret = utf8('secret');

  it('comes back under the same parent and Name, and not when a bit is flipped', () => {
    const sensitive = wrapSensitive(protector, secret, name, random.bytes(16));
    const credential = wrapOnce(protector, secret, name);
    expect(unwrapSensitive(protector, sensitive, name)).toEqual(secret);
    expect(unwrapOnce(protector, credential, name)).toEqual(secret);
    expect(unwrapSensitive(protector, sensitive, utf8('mane'))).toBeUndefined();
    expect(unwrapOnce({ ...protector, seed: utf8('deed') }, credential, name)).toBeUndefined();
    fc.assert(
      fc.property(fc.nat({ max: sensitive.length * 8 - 1 }), (bit) => {
        const broken = sensitive.slice();
        broken[bit >> 3] = (broken[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(unwrapSensitive(protector, broken, name)).toBeUndefined();
      }),
      { seed: 2, numRuns: 200 },
    );
  });

  it('may be any bytes at all from outside', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(unwrapSensitive(protector, bytes, name)).toBeUndefined();
        expect(unwrapOnce(protector, bytes, name)).toBeUndefined();
      }),
      { seed: 3 },
    );
  });
});
