import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { simulatedPlatform } from '../../simulator/platform.ts';
import { signJws } from '../../src/core/jws.ts';
import { generateKey } from '../../src/core/signer.ts';
import { makeDpop, verifyDpop } from '../../src/tokens/dpop.ts';
import { ProofRefused } from '../../src/tokens/errors.ts';
import type { ProofBindings } from '../../src/tokens/proof.ts';
import { makeWpt, verifyWpt } from '../../src/tokens/proof.ts';
import { replayCache } from '../../src/tokens/replay.ts';
import { hashOf } from '../../src/tokens/verifier.ts';

const WIT = 'eyJ.wit.sig';
const everything: ProofBindings = {
  accessToken: 'at',
  transactionToken: 'txn',
  otherTokens: { 'x-badge': 'badge' },
  topic: 'td1/abc/m/dog/lidar',
  payload: Uint8Array.of(1, 2, 3),
  responseTopic: 'td1/abc/in/dog/arm',
  correlation: 'c-1',
  transcript: new Uint8Array(32).fill(7),
  nonce: 'n'.repeat(22),
};

async function wpt(over: { made?: ProofBindings; lifeS?: number; audience?: string } = {}) {
  const platform = simulatedPlatform({ seed: 1 });
  const key = generateKey(platform.random);
  const proof = await makeWpt({
    signer: key,
    platform,
    audience: over.audience ?? 'spiffe://fleet.example/agent/vehicle',
    wit: WIT,
    lifeS: over.lifeS,
    ...(over.made ?? everything),
  });
  const expected = {
    audience: 'spiffe://fleet.example/agent/vehicle',
    wit: { compact: WIT, key: key.publicJwk },
    at: platform.clock.now(),
    replay: replayCache({ clock: platform.clock, windowMs: 300_000 }),
    ...everything,
  };
  return { platform, key, proof, expected };
}

const checkOf = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'accepted',
    (error: unknown) => {
      if (!(error instanceof ProofRefused)) throw error;
      return error.check;
    },
  );

describe('a workload proof token', () => {
  it('covers everything it travels with, and counts once', async () => {
    const { proof, expected } = await wpt();
    expect((await verifyWpt(proof, expected)).jti).toHaveLength(22);
    expect(await checkOf(verifyWpt(proof, expected))).toBe('replayed');
  });

  const others: readonly (readonly [keyof ProofBindings, unknown, string])[] = [
    ['accessToken', 'another', 'ath'],
    ['transactionToken', 'another', 'tth'],
    ['otherTokens', { 'x-badge': 'another' }, 'oth'],
    ['otherTokens', { 'x-badge': 'badge', 'x-more': 'x' }, 'oth'],
    ['topic', 'td1/abc/m/dog/arm', 'binding'],
    ['payload', Uint8Array.of(1, 2, 4), 'binding'],
    ['responseTopic', 'td1/abc/in/dog/eve', 'binding'],
    ['correlation', 'c-2', 'binding'],
    ['transcript', new Uint8Array(32).fill(8), 'transcript'],
    ['nonce', 'm'.repeat(22), 'nonce'],
  ];
  it.each(others)('is refused when %s is another', async (name, value, check) => {
    const { proof, expected } = await wpt();
    expect(await checkOf(verifyWpt(proof, { ...expected, [name]: value }))).toBe(check);
  });
  it.each(others)('is refused when it covers %s and the message has none', async (name, _value, check) => {
    const { proof, expected } = await wpt();
    expect(await checkOf(verifyWpt(proof, { ...expected, [name]: undefined }))).toBe(check);
  });
  it.each(others)(
    'is refused when the message has %s and it does not cover it',
    async (name, _value, check) => {
      const { proof, expected } = await wpt({ made: { ...everything, [name]: undefined } });
      expect(await checkOf(verifyWpt(proof, expected))).toBe(check);
    },
  );

  it('is refused for another receiver, WIT or key, when it is over, and when it lives too long', async () => {
    const { proof, expected, key, platform } = await wpt();
    expect(
      await checkOf(verifyWpt(proof, { ...expected, audience: 'spiffe://fleet.example/agent/eve' })),
    ).toBe('audience');
    expect(await checkOf(verifyWpt(proof, { ...expected, wit: { ...expected.wit, compact: 'x' } }))).toBe(
      'wth',
    );
    const other = generateKey(platform.random).publicJwk;
    expect(await checkOf(verifyWpt(proof, { ...expected, wit: { compact: WIT, key: other } }))).toBe(
      'signature',
    );
    expect(await checkOf(verifyWpt(proof, { ...expected, at: expected.at + 60_000 }))).toBe('expired');
    const claims = { aud: expected.audience, exp: 4_000_000_000, jti: 'x'.repeat(22), wth: hashOf(WIT) };
    const eternal = await signJws(key, 'wpt+jwt', claims);
    expect(await checkOf(verifyWpt(eternal, { ...expected, ...nothing }))).toBe('life');
    await expect(wpt({ lifeS: 301 })).rejects.toThrow(TypeError);
  });

  const nothing: ProofBindings = Object.fromEntries(Object.keys(everything).map((name) => [name, undefined]));

  it('is refused with a binding of ours that this version does not know', async () => {
    const { expected, key } = await wpt();
    const claims = {
      aud: expected.audience,
      exp: Math.floor(expected.at / 1000) + 60,
      jti: 'x'.repeat(22),
      wth: hashOf(WIT),
    };
    const odd = await signJws(key, 'wpt+jwt', { ...claims, 'fealty/speed': 9 });
    expect(await checkOf(verifyWpt(odd, { ...expected, ...nothing }))).toBe('binding');
  });

  it('is refused, and nothing else happens, for hostile text', async () => {
    const { expected } = await wpt();
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string(), fc.base64String(), fc.json()), async (text) => {
        expect(await checkOf(verifyWpt(text, expected))).toBe('form');
      }),
      { seed: 3, numRuns: 200 },
    );
  });
});

describe('a DPoP proof', () => {
  const make = async (over: object = {}) => {
    const platform = simulatedPlatform({ seed: 1 });
    const key = generateKey(platform.random);
    const proof = await makeDpop({
      signer: key,
      platform,
      method: 'POST',
      url: 'https://a.example/token?x=1#y',
      ...over,
    });
    const expected = {
      method: 'POST',
      url: 'https://a.example/token',
      at: platform.clock.now(),
      replay: { admit: () => {} },
    };
    return { platform, key, proof, expected };
  };

  it('names its key, and covers method, address and access token', async () => {
    const { proof, key, expected } = await make({ accessToken: 'at' });
    expect(await verifyDpop(proof, { ...expected, accessToken: 'at' })).toMatchObject({ jkt: key.kid });
    expect(await checkOf(verifyDpop(proof, { ...expected, accessToken: 'bt' }))).toBe('ath');
    expect(await checkOf(verifyDpop(proof, expected))).toBe('ath');
    expect(await checkOf(verifyDpop((await make()).proof, { ...expected, accessToken: 'at' }))).toBe('ath');
  });

  it('is refused when its header holds a private key, no key, or another key than signed', async () => {
    const { key, expected, platform } = await make();
    const claims = {
      jti: 'x'.repeat(22),
      htm: 'POST',
      htu: expected.url,
      iat: Math.floor(expected.at / 1000),
    };
    const by = (header: object) => signJws(key, 'dpop+jwt', claims, { ...header });
    expect(await checkOf(verifyDpop(await by({ jwk: { ...key.publicJwk, d: 'AA' } }), expected))).toBe('key');
    expect(await checkOf(verifyDpop(await by({}), expected))).toBe('form');
    const other = generateKey(platform.random).publicJwk;
    expect(await checkOf(verifyDpop(await by({ jwk: other }), expected))).toBe('signature');
    expect(await checkOf(verifyDpop(await by({ jwk: key.publicJwk }), expected))).toBe('accepted');
  });

  it('is refused for an address with user, query, other port or other scheme', async () => {
    for (const url of [
      'https://a.example:444/token',
      'http://a.example/token',
      'https://u@a.example/token',
      'https://a.example/token/',
    ]) {
      const { key, expected } = await make();
      const claims = { jti: 'x'.repeat(22), htm: 'POST', htu: url, iat: Math.floor(expected.at / 1000) };
      const proof = await signJws(key, 'dpop+jwt', claims, { jwk: { ...key.publicJwk } });
      expect(await checkOf(verifyDpop(proof, expected))).toBe('url');
    }
  });
});

describe('a replay cache', () => {
  const proof = (id: string, nonce = true, forMs = 60_000) => ({ id, forMs, nonce });

  it('forgets by time alone and refuses when it is full', async () => {
    const { clock } = simulatedPlatform({ seed: 1 });
    const cache = replayCache({ clock, capacity: 3, windowMs: 60_000 });
    for (const id of ['a', 'b', 'c']) await cache.admit(proof(id));
    expect(() => cache.admit(proof('d'))).toThrow(
      expect.objectContaining({ check: 'replay-full', remedy: 'retry' }),
    );
    expect(() => cache.admit(proof('a'))).toThrow(expect.objectContaining({ check: 'replayed' }));
    await clock.advance(59_999);
    expect(() => cache.admit(proof('a'))).toThrow(expect.objectContaining({ check: 'replayed' }));
    await clock.advance(1);
    await cache.admit(proof('d'));
  });

  it('asks for its nonce until nothing from before its start can be alive', async () => {
    const { clock } = simulatedPlatform({ seed: 1 });
    const cache = replayCache({ clock, windowMs: 60_000 });
    expect(() => cache.admit(proof('a', false))).toThrow(
      expect.objectContaining({ check: 'nonce-required' }),
    );
    await cache.admit(proof('a', true));
    await clock.advance(60_000);
    await cache.admit(proof('b', false));
    expect(() => cache.admit(proof('c', true, 60_001))).toThrow(expect.objectContaining({ check: 'life' }));
  });

  it('lets each proof count exactly once, in any order of proofs and pauses', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(5), fc.nat(40_000)), { maxLength: 60 }), async (steps) => {
        const { clock } = simulatedPlatform({ seed: 1 });
        const cache = replayCache({ clock, windowMs: 60_000 });
        const until = new Map<number, number>();
        for (const [id, pause] of steps) {
          const fresh = (until.get(id) ?? -1) <= clock.elapsed();
          let admitted = true;
          try {
            await cache.admit(proof(String(id)));
          } catch {
            admitted = false;
          }
          expect(admitted).toBe(fresh);
          if (admitted) until.set(id, clock.elapsed() + 60_000);
          await clock.advance(pause);
        }
      }),
      { seed: 4, numRuns: 25 },
    );
  });
});
