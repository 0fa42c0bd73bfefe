import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../simulator/random.ts';
import { base64url, utf8 } from '../../src/core/bytes.ts';
import { BadSignature, FealtyError, Malformed } from '../../src/core/errors.ts';
import { readJws, signJws, verifyJws, verifyJwsSync } from '../../src/core/jws.ts';
import { generateKey } from '../../src/core/signer.ts';

const kind = { typ: 'wit+jwt', what: 'workload identity token' };
const key = generateKey(seededRandom(1));
const other = generateKey(seededRandom(2));
const token = await signJws(key, 'wit+jwt', { sub: 'spiffe://fleet.example/agent/dog' });
const [head = '', body = '', signature = ''] = token.split('.');
const header = (value: object) => `${base64url(utf8(JSON.stringify(value)))}.${body}.${signature}`;

describe('a compact JWS', () => {
  it('is read and verified, both ways', async () => {
    expect((await verifyJws(token, kind, key.publicJwk)).payload['sub']).toBe(
      'spiffe://fleet.example/agent/dog',
    );
    expect(verifyJwsSync(token, kind, key.publicJwk).header['kid']).toBe(key.kid);
  });

  it.each([
    [
      'white space inside a part, which other readers accept',
      `${head}.${body.slice(0, 4)}\n${body.slice(4)}.${signature}`,
    ],
    ['padding', `${head}.${body}=.${signature}`],
    ['four parts', `${token}.x`],
    ['two parts', `${head}.${body}`],
    ['an empty signature', `${head}.${body}.`],
    ['alg none', header({ alg: 'none', typ: 'wit+jwt' })],
    ['alg HS256', header({ alg: 'HS256', typ: 'wit+jwt' })],
    ['another typ', header({ alg: 'ES256', typ: 'at+jwt' })],
    ['no typ', header({ alg: 'ES256' })],
    ['crit', header({ alg: 'ES256', typ: 'wit+jwt', crit: ['exp'] })],
    ['b64', header({ alg: 'ES256', typ: 'wit+jwt', b64: false })],
    ['a payload that is not an object', `${head}.${base64url(utf8('[1]'))}.${signature}`],
    ['a duplicate member', `${head}.${base64url(utf8('{"sub":"a","sub":"b"}'))}.${signature}`],
    ['more than its bound', `${head}.${'A'.repeat(20_000)}.${signature}`],
  ])('is refused with %s', (_, text) => {
    expect(() => readJws(text, kind)).toThrow(Malformed);
  });

  it('is refused under another key', async () => {
    await expect(verifyJws(token, kind, other.publicJwk)).rejects.toThrow(BadSignature);
    expect(() => verifyJwsSync(token, kind, other.publicJwk)).toThrow(BadSignature);
  });

  it('is refused with any character changed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), fc.constantFrom(...'AZaz09-_.'), async (at, character) => {
        if (token[at] === character) return;
        const changed = token.slice(0, at) + character + token.slice(at + 1);
        await expect(verifyJws(changed, kind, key.publicJwk)).rejects.toThrow(FealtyError);
        expect(() => verifyJwsSync(changed, kind, key.publicJwk)).toThrow(FealtyError);
      }),
      { seed: 4, numRuns: 150 },
    );
  });
});
