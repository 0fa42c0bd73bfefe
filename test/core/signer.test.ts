import forge from 'node-forge';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../simulator/random.ts';
import { hex, utf8 } from '../../src/core/bytes.ts';
import { Malformed } from '../../src/core/errors.ts';
import { hkdf, hmacSha256, sha256 } from '../../src/core/hash.ts';
import { domainSeparated, slugOf } from '../../src/core/names.ts';
import {
  agree,
  generateKey,
  keyFromPem,
  pemOfKey,
  readPublicJwk,
  thumbprint,
  verifySignature,
} from '../../src/core/signer.ts';

describe('a software key', () => {
  const key = generateKey(seededRandom(7));

  it('repeats from a seed and differs between seeds', () => {
    expect(generateKey(seededRandom(7)).kid).toBe(key.kid);
    expect(generateKey(seededRandom(8)).kid).not.toBe(key.kid);
  });

  it('signs what only its public half verifies', async () => {
    const signature = await key.sign(utf8('message'));
    expect(signature).toHaveLength(64);
    expect(verifySignature(key.publicJwk, utf8('message'), signature)).toBe(true);
    expect(verifySignature(key.publicJwk, utf8('massage'), signature)).toBe(false);
    expect(verifySignature(generateKey(seededRandom(8)).publicJwk, utf8('message'), signature)).toBe(false);
    expect(verifySignature(key.publicJwk, utf8('message'), signature.subarray(1))).toBe(false);
  });

  it('survives PEM', () => {
    expect(keyFromPem(pemOfKey(key)).publicJwk).toEqual(key.publicJwk);
    expect(() => keyFromPem('nothing')).toThrow(Malformed);
  });

  it('agrees on the same secret at both ends', () => {
    const peer = generateKey(seededRandom(9));
    expect(agree(key, peer.publicJwk)).toEqual(agree(peer, key.publicJwk));
  });

  it('refuses a point that is not on the curve', () => {
    expect(() => readPublicJwk({ ...key.publicJwk, y: key.publicJwk.x })).toThrow(Malformed);
    expect(() => readPublicJwk({ ...key.publicJwk, crv: 'P-384' })).toThrow(Malformed);
    expect(() => readPublicJwk(null)).toThrow(Malformed);
  });
});

describe('hashes', () => {
  it('agree with an independent implementation', () => {
    const md = forge.md.sha256.create().update('fealty');
    expect(hex(sha256(utf8('fea'), utf8('lty')))).toBe(md.digest().toHex());
    const mac = forge.hmac.create();
    mac.start('sha256', 'key');
    mac.update('fealty');
    expect(hex(hmacSha256(utf8('key'), utf8('fealty')))).toBe(mac.digest().toHex());
  });

  it('derive as RFC 5869 test case 1 says', () => {
    const okm = hkdf(
      new Uint8Array(22).fill(0x0b),
      Uint8Array.from({ length: 13 }, (_, i) => i),
      Uint8Array.from({ length: 10 }, (_, i) => 0xf0 + i),
      42,
    );
    expect(hex(okm)).toBe(
      '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
    );
  });

  it('make the thumbprint that RFC 7638 describes', () => {
    const key = generateKey(seededRandom(7));
    const text = JSON.stringify({ crv: 'P-256', kty: 'EC', x: key.publicJwk.x, y: key.publicJwk.y });
    expect(thumbprint(key.publicJwk)).toBe(Buffer.from(sha256(utf8(text))).toString('base64url'));
  });
});

describe('names', () => {
  it('separate one use of a key from another', () => {
    expect(Buffer.from(domainSeparated('enrol', utf8('x'))).toString()).toBe('fealty/enrol/v1\0x');
    expect(() => domainSeparated('En rol', utf8('x'))).toThrow(TypeError);
  });

  it('give an agent a slug of 13 characters that a topic may hold', () => {
    expect(slugOf('spiffe://fleet.example/agent/dog')).toMatch(/^[a-z2-7]{13}$/);
    // base32 of SHA-256, checked against the RFC 4648 alphabet by long division
    const digest = BigInt(`0x${hex(sha256(utf8('spiffe://fleet.example/agent/dog')))}`);
    let expected = '';
    for (let i = 0; i < 13; i++)
      expected += 'abcdefghijklmnopqrstuvwxyz234567'[Number((digest >> BigInt(256 - 5 * (i + 1))) & 31n)];
    expect(slugOf('spiffe://fleet.example/agent/dog')).toBe(expected);
  });
});
