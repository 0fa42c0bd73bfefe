import { describe, expect, it } from 'vitest';
import { simulatedPlatform } from '../../simulator/platform.ts';
import { verifyOwnerRequest } from '../../src/authority/owner-proof.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { verifyJwsSync } from '../../src/core/jws.ts';
import type { PublicJwk } from '../../src/core/signer.ts';
import { thumbprint } from '../../src/core/signer.ts';
import type { TrustBundle } from '../../src/identity/bundle.ts';
import { verifyAssignment } from '../../src/tokens/assignment.ts';
import { KIND } from '../../src/tokens/claims.ts';
import { readConveneGrant } from '../../src/tokens/claims-reader.ts';
import { verifyDpop } from '../../src/tokens/dpop.ts';
import { verifyWpt } from '../../src/tokens/proof.ts';
import { Generations, verifyGenerations } from '../../src/tokens/status.ts';
import { readStatusList, statusAt } from '../../src/tokens/status-list.ts';
import { verifyAccessToken, verifyGroupGrant } from '../../src/tokens/verifier.ts';
import { chapter } from '../identity/vectors.ts';
import { CONSOLE, DOG, DOMAIN, ISSUER, VEHICLE } from './house.ts';

const page = chapter('Tokens');
const vectors = new Map(
  [...page.matchAll(/<!-- vector: ([a-z-]+) -->\n```(?:json|text)\n([\s\S]*?)\n```/g)].map(
    ([, name = '', body = '']) => [name, body],
  ),
);
const vector = (name: string): string => {
  const body = vectors.get(name);
  if (body === undefined) throw new Error(`wire.md has no vector ${name}`);
  return body;
};
const keys = JSON.parse(vector('keys')) as Record<
  'issuer' | 'status' | 'dog' | 'coordinator' | 'owner',
  PublicJwk
>;
const bundles: readonly TrustBundle[] = [
  {
    trustDomain: DOMAIN,
    sequence: 1,
    keys: [
      { use: 'fealty/issuer', kid: thumbprint(keys.issuer), jwk: keys.issuer },
      { use: 'fealty/status', kid: thumbprint(keys.status), jwk: keys.status },
    ],
  },
];
const at = Date.UTC(2026, 10, 24, 10);
const replay = { admit: () => {} };
const book = () => {
  const { clock, store } = simulatedPlatform({ seed: 1 });
  return Generations.open({ clock, store, trustDomain: DOMAIN });
};

describe('the examples of docs/reference/wire.md', () => {
  it('show in JSON what their tokens say', () => {
    const pairs = [
      ...page.matchAll(
        /```json\n(\{(?:(?!```)[\s\S])*?\})\n```\n\n<!-- vector: [a-z-]+ -->\n```text\n(.*)\n```/g,
      ),
    ];
    expect(pairs).toHaveLength(10);
    for (const [, json = '', token = ''] of pairs)
      expect(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())).toEqual(
        JSON.parse(json),
      );
  });

  it('verify: access token, self grant, group grant, assignment', async () => {
    const generations = await book();
    const token = verifyAccessToken(vector('access-token'), {
      bundles,
      audience: VEHICLE,
      at,
      presenterJkt: thumbprint(keys.dog),
      generations,
      issuer: ISSUER,
    });
    expect(token).toMatchObject({ client: DOG, held: [{ subject: DOG, grant: { task: 'rescue-7' } }] });
    expect(verifyJwsSync(vector('self-grant'), KIND.selfGrant, keys.dog).payload).toMatchObject({
      act: { sub: `${DOG}#planner` },
    });
    const groupGrant = verifyGroupGrant(vector('group-grant'), {
      bundles,
      at,
      generations,
      coordinator: CONSOLE,
    });
    const assignment = vector('assignment');
    const { cnf } = JSON.parse(Buffer.from(assignment.split('.')[1] ?? '', 'base64url').toString()) as {
      cnf: { jkt: string };
    };
    const verified = verifyAssignment(assignment, {
      groupGrant,
      coordinatorKeys: [keys.coordinator],
      member: { agentId: VEHICLE, ldevid: cnf.jkt },
      at,
      generations,
      roles: { [DOG]: 'scout' },
    });
    expect(verified).toMatchObject({ role: 'lifter', task: 'rescue-8', held: [{ subject: VEHICLE }] });
    expect(readConveneGrant(JSON.parse(vector('convene')))).toMatchObject({ maxMembers: 5 });
  });

  it('verify: generations, status list, time', async () => {
    const generations = await book();
    await generations.apply(await verifyGenerations(vector('generations'), bundles));
    expect(generations.of('task:rescue-8')).toBe(1);
    expect(() => verifyGroupGrant(vector('group-grant'), { bundles, at, generations })).toThrow(
      /task:rescue-8/,
    );
    const list = await readStatusList(vector('status-list'), {
      uri: `${ISSUER}/status/0`,
      key: keys.status,
      at,
    });
    expect([0, 1, 2].map((index) => statusAt(list, index))).toEqual([0, 0, 1]);
    expect(verifyJwsSync(vector('time'), KIND.time, keys.status).payload).toMatchObject({ ms: at });
  });

  it('verify: DPoP, workload proof token, owner proof', async () => {
    const dpop = await verifyDpop(vector('dpop'), { method: 'POST', url: `${ISSUER}/token`, at, replay });
    expect(dpop.jkt).toBe(thumbprint(keys.dog));
    await verifyWpt(vector('wpt'), {
      audience: VEHICLE,
      wit: { compact: 'header.payload.signature', key: keys.dog },
      at,
      replay,
      topic: 'td1/lobby/abcdefghijklm',
      payload: utf8('hello'),
      transcript: new Uint8Array(32),
      nonce: 'AAAAAAAAAAAAAAAAAAAAAA',
    });
    const owner = await verifyOwnerRequest(vector('owner-proof'), {
      method: 'POST',
      url: `${ISSUER}/revoke-all`,
      body: utf8('{"sub_id":{"format":"fealty/task","id":"rescue-8"}}'),
      owners: [keys.owner],
      at,
      replay: { consume: async () => 'fresh' },
    });
    expect(owner).toBe(thumbprint(keys.owner));
  });
});
