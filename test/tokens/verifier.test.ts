import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../simulator/random.ts';
import { signJws } from '../../src/core/jws.ts';
import { generateKey } from '../../src/core/signer.ts';
import { TokenRefused } from '../../src/tokens/errors.ts';
import { verifyAccessToken } from '../../src/tokens/verifier.ts';
import { DOG, house, ISSUER, MOVE, VEHICLE } from './house.ts';

async function verified() {
  const home = await house();
  const dog = await home.agent(DOG);
  const iat = Math.floor(home.clock.now() / 1000);
  const claims: Record<string, unknown> = {
    iss: ISSUER,
    sub: DOG,
    client_id: DOG,
    aud: [VEHICLE],
    iat,
    exp: iat + 300,
    jti: 'jti-1',
    cnf: { jkt: dog.key.kid },
    authorization_details: [MOVE],
    'fealty/agent': true,
    'fealty/gen': { [`client:${DOG}`]: 1, 'owner:fleet.example': 0 },
    'fealty/family': ['g1'],
  };
  const expected = {
    bundles: home.bundles,
    audience: VEHICLE,
    at: home.clock.now(),
    presenterJkt: dog.key.kid,
    generations: dog.book,
    issuer: ISSUER,
  };
  const sign = (over: object = {}, signer = home.keys.issuer, typ = 'at+jwt', header?: object) =>
    signJws(signer, typ, { ...claims, ...over }, header === undefined ? undefined : { ...header });
  const checkOf = (token: string, over: object = {}): string => {
    try {
      verifyAccessToken(token, { ...expected, ...over });
      return 'accepted';
    } catch (error) {
      if (!(error instanceof TokenRefused)) throw error;
      return error.check;
    }
  };
  return { home, dog, iat, sign, checkOf };
}

describe('the offline verifier of access tokens', () => {
  it('refuses each single thing that is wrong, by name', async () => {
    const { home, iat, sign, checkOf } = await verified();
    expect(checkOf(await sign())).toBe('accepted');
    expect(checkOf(await sign({}, home.keys.wit))).toBe('key');
    expect(checkOf(await sign({}, home.keys.wit, 'at+jwt', { kid: home.keys.issuer.kid }))).toBe('signature');
    expect(checkOf(await sign({}, home.keys.status))).toBe('key');
    expect(checkOf(await sign({}, home.keys.issuer, 'wit+jwt'))).toBe('form');
    expect(checkOf(await sign(), { bundles: [] })).toBe('trust-domain');
    expect(checkOf(await sign({ iss: 'https://other.example' }))).toBe('issuer');
    expect(checkOf(await sign({ aud: [DOG] }))).toBe('audience');
    expect(checkOf(await sign({ aud: VEHICLE }))).toBe('claims');
    expect(checkOf(await sign({ authorization_details: [{ ...MOVE, locations: [DOG] }] }))).toBe('audience');
    expect(checkOf(await sign(), { audience: DOG })).toBe('audience');
    expect(checkOf(await sign(), { at: (iat + 300) * 1000 })).toBe('expired');
    expect(checkOf(await sign(), { at: (iat + 300) * 1000 - 1 })).toBe('accepted');
    expect(checkOf(await sign(), { at: (iat - 61) * 1000 })).toBe('not-yet-valid');
    expect(checkOf(await sign(), { presenterJkt: home.keys.wit.kid })).toBe('presenter');
    expect(checkOf(await sign({ 'fealty/agent': false }))).toBe('claims');
    expect(checkOf(await sign({ 'fealty/family': [] }))).toBe('claims');
    expect(checkOf(await sign({ 'fealty/family': ['a', 'b'] }))).toBe('claims');
    expect(checkOf(await sign({ cnf: { jkt: home.keys.wit.kid, kid: 'x' } }))).toBe('claims');
    expect(checkOf(await sign({ authorization_details: [{ ...MOVE, surprise: 1 }] }))).toBe(
      'authorization-details',
    );
    expect(checkOf(await sign({ authorization_details: [{ ...MOVE, type: 'other' }] }))).toBe(
      'authorization-details',
    );
  });

  it("asks the audience's own trust domain for the key, never the token's issuer or subject", async () => {
    const { home, sign, checkOf } = await verified();
    const foreign = generateKey(seededRandom(8));
    const bundles = [
      ...home.bundles,
      {
        trustDomain: 'evil.example',
        sequence: 1,
        keys: [{ use: 'fealty/issuer' as const, kid: foreign.kid, jwk: foreign.publicJwk }],
      },
    ];
    const evil = 'spiffe://evil.example/agent/x';
    const token = await sign({ sub: evil, client_id: evil }, foreign);
    expect(checkOf(token, { bundles })).toBe('key');
  });

  it('refuses what was revoked, and accepts what was issued since', async () => {
    const { dog, sign, checkOf } = await verified();
    await dog.book.raise([{ tag: `client:${DOG}`, generation: 1, until: 4_000_000_000 }]);
    expect(checkOf(await sign())).toBe('accepted');
    await dog.book.raise([{ tag: `client:${DOG}`, generation: 2, until: 4_000_000_000 }]);
    expect(checkOf(await sign())).toBe('revoked');
    expect(checkOf(await sign({ 'fealty/gen': { [`client:${DOG}`]: 2 } }))).toBe('accepted');
    await dog.book.raise([{ tag: 'token:jti-1', generation: 1, until: 4_000_000_000 }]);
    expect(checkOf(await sign({ 'fealty/gen': {} }))).toBe('revoked');
  });

  it('refuses every token with one bit changed', async () => {
    const { sign, checkOf } = await verified();
    const token = await sign();
    fc.assert(
      fc.property(fc.nat(token.length - 1), fc.constantFrom(...'ABCxyz019-_.= '), (at, char) => {
        const changed = token.slice(0, at) + char + token.slice(at + 1);
        if (changed !== token) expect(checkOf(changed)).not.toBe('accepted');
      }),
      { seed: 5, numRuns: 300 },
    );
  });

  it('meets hostile text with a refusal and nothing else', async () => {
    const { checkOf } = await verified();
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), fc.base64String()), (text) => {
        expect(checkOf(text)).toBe('form');
      }),
      { seed: 6, numRuns: 300 },
    );
    expect(checkOf('a'.repeat(70_000))).toBe('form');
  });
});
