import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { base64url, fromBase64url, utf8 } from '../../src/core/bytes.ts';
import { signJws } from '../../src/core/jws.ts';
import type { TrustBundle } from '../../src/identity/bundle.ts';
import { CredentialRefused } from '../../src/identity/errors.ts';
import {
  issueClientAttestation,
  issueWit,
  verifyClientAttestation,
  verifyWit,
} from '../../src/identity/wit.ts';
import { AGENT, HOUR, key, NOW, random } from './fixtures.ts';

const aca = key();
const credential = key();
const bundles: readonly TrustBundle[] = [
  {
    trustDomain: 'fleet.example',
    sequence: 1,
    keys: [
      { use: 'wit-svid', kid: aca.kid, jwk: aca.publicJwk },
      { use: 'fealty/issuer', kid: 'issuer', jwk: aca.publicJwk },
    ],
  },
  { trustDomain: 'other.example', sequence: 1, keys: [] },
];
const request = {
  signer: aca,
  random,
  sub: AGENT,
  key: credential.publicJwk,
  issuedAt: NOW,
  expiresAt: NOW + HOUR,
};
const claims = {
  sub: AGENT,
  iat: NOW / 1000,
  exp: NOW / 1000 + 3600,
  jti: 'j',
  cnf: { jwk: { ...credential.publicJwk, alg: 'ES256' } },
};

const checkOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof CredentialRefused) return error.check;
    throw error;
  }
  return 'accepted';
};
const judge = (compact: string, at: number = NOW) => checkOf(() => verifyWit(compact, bundles, at));

describe('a WIT (ID-02, draft-ietf-wimse-workload-creds)', () => {
  it('says who, by which key, until when', async () => {
    const wit = await issueWit(request);
    expect(verifyWit(wit, bundles, NOW)).toMatchObject({
      compact: wit,
      sub: AGENT,
      trustDomain: 'fleet.example',
      key: credential.publicJwk,
      issuedAt: NOW,
      expiresAt: NOW + HOUR,
    });
    const [head = '', body = ''] = wit.split('.').map((part) => Buffer.from(part, 'base64url').toString());
    expect(JSON.parse(head)).toEqual({ alg: 'ES256', typ: 'wit+jwt', kid: aca.kid });
    expect(Object.keys(JSON.parse(body) as object).sort()).toEqual(['cnf', 'exp', 'iat', 'jti', 'sub']);
  });

  it('is valid to the millisecond before `exp` and not at it', async () => {
    const wit = await issueWit(request);
    expect(judge(wit, NOW + HOUR - 1)).toBe('accepted');
    expect(judge(wit, NOW + HOUR)).toBe('expired');
    expect(judge(wit, NOW - 60_001)).toBe('not-yet-valid');
    expect(judge(wit, NOW - 60_000)).toBe('accepted');
  });

  it.each([
    ['an `aud`', { ...claims, aud: 'https://x' }, 'malformed'],
    ['no `sub`', { ...claims, sub: undefined }, 'malformed'],
    ['a `sub` that is no identifier', { ...claims, sub: 'robot-7' }, 'malformed'],
    ['a `sub` with a query', { ...claims, sub: `${AGENT}?x` }, 'malformed'],
    ['no `exp`', { ...claims, exp: undefined }, 'malformed'],
    ['an `exp` that is text', { ...claims, exp: '9999999999' }, 'malformed'],
    ['an `exp` that is a fraction', { ...claims, exp: NOW / 1000 + 0.5 }, 'malformed'],
    ['a life of more than a day', { ...claims, exp: claims.iat + 86_401 }, 'lifetime'],
    ['a far `exp` and no `iat`', { ...claims, iat: undefined, exp: claims.exp + 86_401 }, 'lifetime'],
    ['no `cnf`', { ...claims, cnf: undefined }, 'malformed'],
    ['another member in `cnf`', { ...claims, cnf: { ...claims.cnf, jkt: 'x' } }, 'malformed'],
    ['a key without `alg`', { ...claims, cnf: { jwk: credential.publicJwk } }, 'confirmation'],
    [
      'a key for EdDSA',
      { ...claims, cnf: { jwk: { ...credential.publicJwk, alg: 'EdDSA' } } },
      'confirmation',
    ],
    ['a private key', { ...claims, cnf: { jwk: { ...claims.cnf.jwk, d: 'x' } } }, 'confirmation'],
    [
      'a key off the curve',
      { ...claims, cnf: { jwk: { ...claims.cnf.jwk, x: credential.publicJwk.y } } },
      'confirmation',
    ],
    ['a trust domain nobody knows', { ...claims, sub: 'spiffe://evil.example/agent/x' }, 'trust-domain'],
    ['a trust domain that has no such key', { ...claims, sub: 'spiffe://other.example/agent/x' }, 'key'],
  ])('with %s is refused', async (_what, payload, expected) => {
    expect(judge(await signJws(aca, 'wit+jwt', payload))).toBe(expected);
  });

  it('is refused with another type, `kid`, use of key, or a header that carries a key', async () => {
    expect(judge(await signJws(aca, 'at+jwt', claims))).toBe('malformed');
    expect(judge(await signJws(aca, 'wit+jwt', claims, {}))).toBe('key');
    expect(judge(await signJws(aca, 'wit+jwt', claims, { kid: 'issuer' }))).toBe('key');
    const stranger = key();
    expect(judge(await signJws(stranger, 'wit+jwt', claims, { jwk: stranger.publicJwk }))).toBe('key');
    expect(judge(await signJws(stranger, 'wit+jwt', claims, { kid: aca.kid }))).toBe('signature');
  });

  it('with any byte of its signed parts changed is refused', async () => {
    const wit = await issueWit(request);
    fc.assert(
      fc.property(fc.nat(wit.length - 1), fc.nat(63), (position, letter) => {
        const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
        const changed = wit.slice(0, position) + alphabet[letter] + wit.slice(position + 1);
        fc.pre(changed !== wit);
        expect(judge(changed)).not.toBe('accepted');
      }),
      { seed: 4, numRuns: 300 },
    );
  });

  it('made of hostile text is refused by name', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc
            .json()
            .map(
              (json) =>
                `${base64url(utf8('{"alg":"ES256","typ":"wit+jwt"}'))}.${base64url(utf8(json))}.${base64url(new Uint8Array(64))}`,
            ),
        ),
        (text) => {
          expect(judge(text)).not.toBe('accepted');
        },
      ),
      { seed: 5, numRuns: 300 },
    );
  });

  it('is not issued for longer than a day or for a bad identifier', () => {
    expect(() => issueWit({ ...request, expiresAt: NOW + 25 * HOUR })).toThrow(TypeError);
    expect(() => issueWit({ ...request, sub: 'robot' })).toThrow(/agent identifier/);
  });
});

describe('a client attestation (draft-ietf-oauth-attestation-based-client-auth)', () => {
  it('is verified like a WIT and never taken for one', async () => {
    const attestation = await issueClientAttestation({ ...request, iss: 'https://authority.example' });
    expect(verifyClientAttestation(attestation, bundles, NOW)).toMatchObject({
      iss: 'https://authority.example',
      sub: AGENT,
      key: credential.publicJwk,
    });
    expect(judge(attestation)).toBe('malformed');
    const wit = await issueWit(request);
    expect(checkOf(() => verifyClientAttestation(wit, bundles, NOW))).toBe('malformed');
    expect(checkOf(() => verifyClientAttestation(attestation, bundles, NOW + HOUR))).toBe('expired');
  });

  it('has an identifier of its own each time', async () => {
    const read = (compact: string) =>
      JSON.parse(Buffer.from(fromBase64url(compact.split('.')[1] ?? '')).toString()) as { jti: string };
    const two = await Promise.all([1, 2].map(() => issueClientAttestation({ ...request, iss: 'i' })));
    expect(new Set(two.map((one) => read(one).jti)).size).toBe(2);
  });
});
