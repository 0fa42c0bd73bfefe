import { describe, expect, it } from 'vitest';
import { OWNER_HEADER, signOwnerRequest } from '../../src/authority/owner-proof.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { generateKey } from '../../src/core/signer.ts';
import type { Grant } from '../../src/grants/grant.ts';
import { CONSOLE, DOG, MOVE, VEHICLE } from '../tokens/house.ts';
import type { Served } from './served.ts';
import { served } from './served.ts';

const GRANTS = '/owner/v1/grants';

async function send(
  home: Served,
  over: {
    readonly signed?: { method?: 'GET' | 'POST'; url?: string; body?: string };
    readonly sent?: { method?: string; path?: string; body?: string };
    readonly key?: ReturnType<typeof generateKey>;
    readonly skewMs?: number;
    readonly proof?: string | null;
  } = {},
) {
  const body = JSON.stringify({ client: DOG, authorization_details: [MOVE] });
  const { platform } = home;
  const proof =
    over.proof !== undefined
      ? over.proof
      : await signOwnerRequest(
          over.key ?? home.ownerKey,
          {
            random: platform.random,
            clock: { ...platform.clock, now: () => platform.clock.now() + (over.skewMs ?? 0) },
          },
          {
            method: over.signed?.method ?? 'POST',
            url: over.signed?.url ?? `${home.authority.url}${GRANTS}`,
            body: utf8(over.signed?.body ?? body),
          },
        );
  const method = over.sent?.method ?? 'POST';
  const answer = await home.authority.handle(
    new Request(`${home.authority.url}${over.sent?.path ?? GRANTS}`, {
      method,
      headers: proof === null ? {} : { [OWNER_HEADER]: proof },
      ...(method === 'GET' ? {} : { body: over.sent?.body ?? body }),
    }),
  );
  const json = (await answer.json()) as { check?: string };
  return { status: answer.status, check: json.check, proof };
}

describe("an owner's request", () => {
  it('counts once, with exactly the method, address and body that were signed', async () => {
    await using home = await served();
    const good = await send(home);
    expect(good.status).toBe(200);
    expect(await send(home, { proof: good.proof })).toMatchObject({ status: 401, check: 'proof-replayed' });
    expect(await send(home, { proof: null })).toMatchObject({ status: 401, check: 'proof-missing' });
    expect(await send(home, { proof: 'x' })).toMatchObject({ status: 401, check: 'proof-form' });
    expect(await send(home, { key: generateKey(home.platform.random) })).toMatchObject({
      check: 'proof-key',
    });
    expect(await send(home, { signed: { method: 'GET' } })).toMatchObject({ check: 'proof-method' });
    expect(await send(home, { signed: { url: `https://other.example${GRANTS}` } })).toMatchObject({
      check: 'proof-url',
    });
    expect(await send(home, { sent: { path: `${GRANTS}?x=1` } })).toMatchObject({ check: 'proof-url' });
    expect(await send(home, { sent: { body: '{}' } })).toMatchObject({ check: 'proof-body' });
    expect(await send(home, { skewMs: 121_000 })).toMatchObject({ check: 'proof-iat' });
    expect(await send(home, { skewMs: -121_000 })).toMatchObject({ check: 'proof-iat' });
    expect(await send(home, { sent: { method: 'DELETE' } })).toMatchObject({ status: 405, check: 'method' });
    expect(await home.owner.grants()).toHaveLength(1);
  });

  it.each([
    ['a member nobody knows', { client: DOG, authorization_details: [MOVE], admin: true }],
    ['a client that is no agent', { client: 'dog', authorization_details: [MOVE] }],
    ['details of an unknown type', { client: DOG, authorization_details: [{ type: 'payment' }] }],
    [
      'a grant with an unknown condition',
      { client: DOG, authorization_details: [{ ...MOVE, condition: { op: 'always' } }] },
    ],
    ['no details', { client: DOG, authorization_details: [] }],
  ])('is refused with %s', async (_name, value) => {
    await using home = await served();
    const body = JSON.stringify(value);
    expect(await send(home, { signed: { body }, sent: { body } })).toMatchObject({
      status: 400,
      check: 'request-form',
    });
    expect(await home.owner.grants()).toEqual([]);
  });

  it('adds, lists and ends grants, and the right to convene is one of them', async () => {
    await using home = await served();
    const right = {
      type: 'fealty/convene',
      trustDomains: ['fleet.example'],
      authorization_details: [MOVE],
      maxMembers: 4,
    } as const;
    const [id = '', convene = ''] = await home.owner.addGrants(CONSOLE, [MOVE, right]);
    expect((await home.owner.grants(CONSOLE)).map((grant) => [grant.id, grant.revoked])).toEqual([
      [id, false],
      [convene, false],
    ]);
    const { client } = await home.client(CONSOLE);
    expect((await client.token()).authorizationDetails).toEqual([MOVE]);
    expect(await home.owner.revokeGrant(id)).toBe(1);
    expect((await home.owner.grants(CONSOLE)).map((grant) => grant.revoked)).toEqual([true, false]);
    await expect(home.owner.revokeGrant('nothing')).rejects.toMatchObject({
      status: 404,
      check: 'not-found',
    });
  });

  it('ends everything of a task in one call and gives back what was closed by name (RV-01, RV-05)', async () => {
    await using home = await served();
    const picnic: Grant = { ...MOVE, task: 'picnic' };
    await home.owner.addGrants(DOG, [picnic]);
    const { client } = await home.client(DOG);
    const token = await client.token();
    await home.owner.revokeAll({ format: 'fealty/task', id: 'picnic' }, 'rain');
    expect(await home.authority.store.issuer.token(token.id)).toMatchObject({ status: 1 });
    expect(await home.owner.reopen({ format: 'fealty/task', id: 'picnic' })).toBe(false);
    await home.owner.revokeAll({ format: 'uri', uri: VEHICLE });
    expect(await home.owner.reopen({ format: 'uri', uri: VEHICLE })).toBe(true);
    await expect(home.owner.revokeAll({ format: 'email' } as never)).rejects.toMatchObject({
      check: 'sub-id',
    });
  });

  it('changes whom and what the authority trusts, durably', async () => {
    await using home = await served();
    const anchors = await home.owner.anchors();
    const provider = generateKey(home.platform.random).publicJwk;
    await home.owner.setAnchors({ ...anchors, providers: [provider] });
    await home.owner.setReference({
      version: 1,
      measurements: [{ kind: 'bundle', name: 'agent', digests: ['0'.repeat(64)] }],
    });
    await home.owner.setPolicy({ version: 1, id: 'strict', unknown: 'refuse' });
    await expect(home.owner.setPolicy({ version: 1, id: 'x', runtimePcr: 16 })).rejects.toMatchObject({
      check: 'request-form',
    });
    await home.restart();
    expect((await home.owner.anchors()).providers).toEqual([provider]);
    expect(home.authority.trust.reference().measurements).toHaveLength(1);
    expect(home.authority.trust.policy().id).toBe('strict');
  });

  it('leaves a record that verifies', async () => {
    await using home = await served();
    await home.owner.addGrants(DOG, [MOVE]);
    await home.owner.revokeAgent(DOG, 'stolen');
    const head = home.authority.audit.head();
    expect(head.index).toBeGreaterThanOrEqual(2);
    await home.restart();
    expect(home.authority.audit.head().index).toBeGreaterThanOrEqual(head.index);
  });
});

describe('the authority as a whole', () => {
  it('answers nonsense with a name and nothing else', async () => {
    await using home = await served();
    const ask = async (path: string, init: RequestInit = {}) =>
      home.authority.handle(new Request(`${home.authority.url}${path}`, init));
    expect((await ask('/')).status).toBe(404);
    expect((await ask('/token')).status).toBe(405);
    expect((await ask('/enrol/v1/begin', { method: 'POST', body: '{' })).status).toBe(400);
    expect((await ask('/registry/v1/seek', { method: 'POST', body: '[]' })).status).toBeGreaterThanOrEqual(
      400,
    );
    expect((await ask('/status/99')).status).toBe(404);
    expect((await ask('/status/../token')).status).toBe(405);
    const metadata = (await (await ask('/.well-known/oauth-authorization-server')).json()) as {
      issuer: string;
    };
    expect(metadata.issuer).toBe(home.authority.url);
    const bundle = (await (await ask('/.well-known/spiffe-bundle')).json()) as { keys: { use: string }[] };
    expect(bundle.keys.map(({ use }) => use).sort()).toEqual(
      ['fealty/issuer', 'fealty/status', 'fealty/verifier', 'wit-svid', 'x509-svid'].sort(),
    );
  });
});
