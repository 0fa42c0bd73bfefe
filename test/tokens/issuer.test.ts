import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../simulator/random.ts';
import { signJws } from '../../src/core/jws.ts';
import { generateKey } from '../../src/core/signer.ts';
import type { Grant } from '../../src/grants/grant.ts';
import { issueClientAttestation, issueWit } from '../../src/identity/wit.ts';
import { createIssuer } from '../../src/tokens/issuer.ts';
import type { House, TestAgent } from './house.ts';
import { DOG, house, ISSUER, MOVE, VEHICLE } from './house.ts';
import type { RawRequest } from './raw.ts';
import { forDetails, raw } from './raw.ts';

async function ready(): Promise<{ home: House; dog: TestAgent }> {
  const home = await house();
  await home.grant(DOG, MOVE);
  return { home, dog: await home.agent(DOG) };
}

const stranger = generateKey(seededRandom(1, 'stranger'));

describe('the token endpoint', () => {
  it('gives an honest client what it asks for, and says what it gave (RFC 9396 §7)', async () => {
    const { home, dog } = await ready();
    const answer = await raw(home, dog, forDetails(dog, [MOVE]));
    expect(answer).toMatchObject({ status: 200 });
    expect(answer.json).toMatchObject({ token_type: 'DPoP', expires_in: 300, authorization_details: [MOVE] });
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });

  const probes: readonly (readonly [string, (dog: TestAgent) => RawRequest | Promise<RawRequest>, object])[] =
    [
      [
        'without an attestation',
        (dog) => ({ ...forDetails(dog, [MOVE]), attestation: null }),
        { error: 'invalid_client', check: 'attestation-missing', status: 401 },
      ],
      [
        'without a DPoP proof',
        (dog) => ({ ...forDetails(dog, [MOVE]), dpop: null }),
        { error: 'invalid_dpop_proof', check: 'dpop-missing' },
      ],
      [
        'with a proof by another key',
        (dog) => ({ ...forDetails(dog, [MOVE]), dpopKey: stranger }),
        { error: 'invalid_client_attestation', check: 'dpop-key', status: 401 },
      ],
      [
        'with a proof for another address',
        (dog) => ({ ...forDetails(dog, [MOVE]), htu: `${ISSUER}/revoke` }),
        { error: 'invalid_dpop_proof', check: 'dpop-url' },
      ],
      [
        'with a proof for another host',
        (dog) => ({ ...forDetails(dog, [MOVE]), htu: 'https://evil.example/token' }),
        { error: 'invalid_dpop_proof', check: 'dpop-url' },
      ],
      [
        'with a proof for another method',
        (dog) => ({ ...forDetails(dog, [MOVE]), htm: 'GET' }),
        { error: 'invalid_dpop_proof', check: 'dpop-method' },
      ],
      [
        'with a proof that covers an access token',
        (dog) => ({ ...forDetails(dog, [MOVE]), accessToken: 'x' }),
        { error: 'invalid_dpop_proof', check: 'dpop-ath' },
      ],
      [
        'with a nonce that is not ours',
        (dog) => ({ ...forDetails(dog, [MOVE]), nonce: 'AAAAAAAAAAAAAAAAAAAAAA' }),
        { error: 'use_dpop_nonce', check: 'dpop-nonce' },
      ],
      [
        'with a proof that is no proof',
        (dog) => ({ ...forDetails(dog, [MOVE]), dpop: 'a.b.c' }),
        { error: 'invalid_dpop_proof', check: 'dpop-form' },
      ],
      [
        'for another client',
        (dog) => forDetails(dog, [MOVE], { client_id: VEHICLE }),
        { error: 'invalid_client', check: 'client-id', status: 401 },
      ],
      [
        'with a bearer token besides',
        (dog) => ({ ...forDetails(dog, [MOVE]), headers: { authorization: 'Bearer x' } }),
        { error: 'invalid_request', check: 'two-authentications' },
      ],
      [
        'with a client assertion besides',
        (dog) => forDetails(dog, [MOVE], { client_assertion: 'x' }),
        { error: 'invalid_request', check: 'two-authentications' },
      ],
      ['for a scope', (dog) => forDetails(dog, [MOVE], { scope: 'everything' }), { error: 'invalid_scope' }],
      [
        'of an unknown grant type',
        (dog) => forDetails(dog, [MOVE], { grant_type: 'password' }),
        { error: 'unsupported_grant_type' },
      ],
      [
        'named like a member of Object',
        (dog) => forDetails(dog, [MOVE], { grant_type: 'constructor' }),
        { error: 'unsupported_grant_type' },
      ],
      [
        'with a parameter twice',
        (dog) => ({ body: `grant_type=client_credentials&client_id=${DOG}&client_id=${dog.id}` }),
        { error: 'invalid_request', check: 'repeated-parameter' },
      ],
      [
        'as JSON',
        () => ({ body: '{}', contentType: 'application/json' }),
        { error: 'invalid_request', check: 'content-type' },
      ],
      ['with a body without end', () => ({ body: 'a'.repeat(70_000) }), { status: 413, check: 'body-size' }],
      [
        'for details of an unknown type',
        (dog) => forDetails(dog, [{ ...MOVE, type: 'payment' }]),
        { error: 'invalid_authorization_details', check: 'details-form' },
      ],
      [
        'for details with an unknown member',
        (dog) => forDetails(dog, [{ ...MOVE, unless: true }]),
        { error: 'invalid_authorization_details', check: 'details-form' },
      ],
      [
        'for details with a member twice',
        (dog) => forDetails(dog, [], { authorization_details: '[{"type":"a","type":"b"}]' }),
        { error: 'invalid_authorization_details', check: 'details-form' },
      ],
      [
        'for an empty list',
        (dog) => forDetails(dog, []),
        { error: 'invalid_authorization_details', check: 'details-form' },
      ],
      [
        'for another device',
        (dog) => forDetails(dog, [{ ...MOVE, device: 'horn' }]),
        { error: 'invalid_authorization_details', check: 'owner-policy' },
      ],
      [
        'for another place',
        (dog) => forDetails(dog, [{ ...MOVE, locations: [DOG] }]),
        { error: 'invalid_authorization_details', check: 'owner-policy' },
      ],
      [
        'for one place more',
        (dog) => forDetails(dog, [{ ...MOVE, locations: [VEHICLE, DOG] }]),
        { error: 'invalid_authorization_details', check: 'owner-policy' },
      ],
      [
        'for an action more',
        (dog) => forDetails(dog, [{ ...MOVE, actions: ['move', 'stop', 'throw'] }]),
        { error: 'invalid_authorization_details', check: 'owner-policy' },
      ],
      [
        'for a greater speed',
        (dog) => forDetails(dog, [{ ...MOVE, arguments: { move: { speed: { max: 5 } } } }]),
        { error: 'invalid_authorization_details', check: 'owner-policy' },
      ],
      [
        'for what is over already',
        (dog) => forDetails(dog, [{ ...MOVE, until: 1 }]),
        { error: 'invalid_authorization_details', check: 'until' },
      ],
      [
        'for a place that is no agent',
        (dog) => forDetails(dog, [{ ...MOVE, locations: ['role:vehicle'] }]),
        { error: 'invalid_authorization_details', check: 'details-form' },
      ],
      [
        'for a resource outside',
        (dog) => forDetails(dog, [MOVE], { resource: DOG }),
        { error: 'invalid_target' },
      ],
      [
        'for a resource that is no agent',
        (dog) => forDetails(dog, [MOVE], { resource: 'https://api.example' }),
        { error: 'invalid_target' },
      ],
    ];
  it.each(probes)('refuses a request %s', async (_name, make, expected) => {
    const { home, dog } = await ready();
    const answer = await raw(home, dog, await make(dog));
    expect(answer).toMatchObject({ status: 400, ...expected });
    expect(answer.json['access_token']).toBeUndefined();
  });

  it('refuses a proof that was shown before, at any time and after thousands of others', async () => {
    const { home, dog } = await ready();
    const first = await raw(home, dog, forDetails(dog, [MOVE]));
    expect(first.status).toBe(200);
    const { dpop } = first;
    for (let i = 0; i < 1_300; i++)
      await home.store.issuer.consume(`other:${i}`, home.clock.now() + 1e6, home.clock.now());
    expect(await raw(home, dog, { ...forDetails(dog, [MOVE]), dpop })).toMatchObject({
      error: 'invalid_dpop_proof',
      check: 'dpop-replayed',
    });
    await home.clock.advance(59_000);
    expect(await raw(home, dog, { ...forDetails(dog, [MOVE]), dpop })).toMatchObject({
      check: 'dpop-replayed',
    });
    await home.clock.advance(10_000);
    expect(await raw(home, dog, { ...forDetails(dog, [MOVE]), dpop })).toMatchObject({ check: 'dpop-iat' });
  });

  it('remembers no proof of a stranger, so that strangers cannot fill its memory', async () => {
    const { home, dog } = await ready();
    const { dpop } = await raw(home, dog, { ...forDetails(dog, [MOVE]), dpopKey: stranger });
    const { jti } = JSON.parse(Buffer.from(dpop?.split('.')[1] ?? '', 'base64url').toString()) as {
      jti: string;
    };
    const now = home.clock.now();
    expect(await home.store.issuer.consume(`dpop:${stranger.kid}:${jti}`, now + 1, now)).toBe('fresh');
  });

  it('lets only one of two win that show one proof at the same moment', async () => {
    const { home, dog } = await ready();
    const once = forDetails(dog, [MOVE]);
    const { dpop } = await raw(home, dog, { ...once, form: { grant_type: 'x' } });
    const answers = await Promise.all([1, 2, 3, 4].map(() => raw(home, dog, { ...once, dpop })));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400, 400]);
  });

  it('accepts a robot whose clock is wrong once it proves with our nonce, and no nonce for ever', async () => {
    const { home, dog } = await ready();
    const real = dog.platform.clock.now();
    const late = { ...dog.platform, clock: { ...home.clock, now: () => real - 40 * 86_400_000 } };
    const slow: TestAgent = { ...dog, platform: late as TestAgent['platform'] };
    const refused = await raw(home, slow, forDetails(dog, [MOVE]));
    expect(refused).toMatchObject({ error: 'use_dpop_nonce', check: 'dpop-iat' });
    const nonce = refused.headers.get('dpop-nonce') ?? '';
    expect(await raw(home, slow, { ...forDetails(dog, [MOVE]), nonce })).toMatchObject({ status: 200 });
    await home.clock.advance(300_000);
    expect(await raw(home, slow, { ...forDetails(dog, [MOVE]), nonce })).toMatchObject({
      check: 'dpop-nonce',
    });
  });

  it('refuses an attestation that is over, of another trust domain, of another kind, or signed by nobody', async () => {
    const { home, dog } = await ready();
    const at = home.clock.now();
    const make = {
      random: seededRandom(2),
      sub: DOG,
      key: dog.key.publicJwk,
      issuedAt: at,
      expiresAt: at + 60_000,
    };
    const wit = await issueWit({ ...make, signer: home.keys.wit });
    const forged = await issueClientAttestation({ ...make, signer: stranger, iss: ISSUER });
    const foreign = await issueClientAttestation({
      ...make,
      signer: home.keys.wit,
      iss: ISSUER,
      sub: 'spiffe://evil.example/agent/dog',
    });
    const by = (attestation: string) => raw(home, dog, { ...forDetails(dog, [MOVE]), attestation });
    expect(await by(wit)).toMatchObject({
      error: 'invalid_client_attestation',
      check: 'attestation-malformed',
    });
    expect(await by(forged)).toMatchObject({ error: 'invalid_client_attestation', check: 'attestation-key' });
    expect(await by(foreign)).toMatchObject({
      error: 'invalid_client_attestation',
      check: 'attestation-trust-domain',
    });
    await home.clock.advance(3_600_000);
    expect(await by(dog.credential.clientAttestation)).toMatchObject({
      error: 'use_fresh_attestation',
      check: 'attestation-expired',
      status: 401,
    });
  });

  it('never lets a token outlive the credential it was asked with', async () => {
    const { home } = await ready();
    const brief = await home.agent(DOG, { lifeMs: 120_000 });
    await home.clock.advance(30_000);
    const answer = await raw(home, brief, forDetails(brief, [MOVE]));
    expect(answer.json).toMatchObject({ expires_in: 90 });
  });

  it("fills in the owner's conditions and limits where a request leaves them out, and lets none be dropped", async () => {
    const home = await house();
    const guarded: Grant = {
      ...MOVE,
      condition: { op: 'expires', at: 2_000_000_000 },
      limits: [{ kind: 'count', max: 3 }],
      task: 'rescue-7',
      until: 1_900_000_000,
    };
    await home.grant(DOG, guarded);
    const dog = await home.agent(DOG);
    const plain = await raw(home, dog, forDetails(dog, [{ ...MOVE, arguments: undefined }]));
    expect(plain.json).toMatchObject({ authorization_details: [guarded] });
    const looser = [{ ...MOVE, condition: { op: 'expires', at: 2_100_000_000 } }];
    expect(await raw(home, dog, forDetails(dog, looser))).toMatchObject({ check: 'owner-policy' });
  });

  it('gives everything the owner granted when nothing is named, and nothing to whom nothing was granted', async () => {
    const { home, dog } = await ready();
    const form = { grant_type: 'client_credentials' };
    expect((await raw(home, dog, { form })).json).toMatchObject({ authorization_details: [MOVE] });
    const vehicle = await home.agent(VEHICLE);
    expect(await raw(home, vehicle, { form })).toMatchObject({
      error: 'invalid_authorization_details',
      check: 'no-grant',
    });
  });

  it('records every decision before it answers, and hands out nothing it cannot record (OB-04)', async () => {
    const { home, dog } = await ready();
    await raw(home, dog, forDetails(dog, [MOVE]));
    await raw(home, dog, forDetails(dog, [{ ...MOVE, device: 'horn' }]));
    expect(home.audit.records.map(({ decision, cause, agent }) => [agent, decision, cause])).toEqual([
      [DOG, 'permit', undefined],
      [DOG, 'deny', 'owner-policy'],
    ]);
    expect(JSON.stringify(home.audit.records)).not.toContain('eyJ');
    await raw(home, dog, { ...forDetails(dog, [MOVE]), dpopKey: stranger });
    expect(home.audit.records.at(-1)).toMatchObject({
      agent: 'unauthenticated',
      decision: 'deny',
      cause: 'dpop-key',
      action: 'client_credentials',
    });
    home.audit.broken = true;
    expect(await raw(home, dog, forDetails(dog, [MOVE]))).toMatchObject({ status: 503, check: 'audit' });
  });
});

describe('a grant an agent signs for one of its functions', () => {
  const key = generateKey(seededRandom(3, 'function'));
  const claims = (home: House, over: object = {}) => {
    const iat = Math.floor(home.clock.now() / 1000);
    return {
      iss: DOG,
      sub: DOG,
      aud: ISSUER,
      iat,
      exp: iat + 60,
      jti: 'abcdefghijklmnopqrstuv',
      act: { sub: `${DOG}#planner` },
      cnf: { jkt: key.kid },
      authorization_details: [MOVE],
      ...over,
    };
  };
  const redeem = async (
    home: House,
    dog: TestAgent,
    over: object = {},
    signer = dog.key,
    request: Partial<RawRequest> & { form?: Record<string, string> } = {},
    typ = 'fealty-self-grant+jwt',
  ) =>
    raw(home, dog, {
      dpopKey: key,
      ...request,
      form: {
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        client_id: DOG,
        assertion: await signJws(signer, typ, claims(home, over)),
        ...request.form,
      },
    });

  it("is redeemed with the function's key, once", async () => {
    const { home, dog } = await ready();
    expect(await redeem(home, dog)).toMatchObject({ status: 200 });
    expect(await redeem(home, dog)).toMatchObject({ error: 'invalid_grant', check: 'assertion-replayed' });
  });

  it.each([
    ['addressed to the token endpoint', { aud: `${ISSUER}/token` }, 'assertion-audience'],
    ['addressed to several', { aud: [ISSUER] }, 'assertion-form'],
    ['of another agent', { iss: VEHICLE, sub: VEHICLE }, 'assertion-subject'],
    ["for another agent's function", { act: { sub: `${VEHICLE}#planner` } }, 'assertion-actor'],
    ['for an agent instead of a function', { act: { sub: VEHICLE } }, 'assertion-actor'],
    ['for another key', { cnf: { jkt: stranger.kid } }, 'assertion-key'],
    ['that has expired', { exp: 1 }, 'assertion-expired'],
    ['that lives for ever', { exp: 4_000_000_000 }, 'assertion-life'],
    ['with a member nobody knows', { admin: true }, 'assertion-form'],
    [
      'for an action more',
      { authorization_details: [{ ...MOVE, actions: ['move', 'throw'] }] },
      'owner-policy',
    ],
  ])('is refused when it is one %s', async (_name, over, check) => {
    const { home, dog } = await ready();
    expect(await redeem(home, dog, over)).toMatchObject({ status: 400, check });
  });

  it('is refused when another key signed it, or it is another kind of token', async () => {
    const { home, dog } = await ready();
    expect(await redeem(home, dog, {}, stranger)).toMatchObject({ check: 'assertion-signature' });
    expect(await redeem(home, dog, {}, dog.key, {}, 'at+jwt')).toMatchObject({ check: 'assertion-form' });
    expect(await redeem(home, dog, {}, dog.key, { form: { authorization_details: '[]' } })).toMatchObject({
      check: 'details-twice',
    });
    expect(await redeem(home, dog, {}, dog.key, { dpopKey: stranger })).toMatchObject({
      check: 'assertion-key',
    });
  });
});

describe('what a token is exchanged for (RFC 8693)', () => {
  const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
  const TYPE = 'urn:ietf:params:oauth:token-type:access_token';
  const start = async () => {
    const { home, dog } = await ready();
    const vehicle = await home.agent(VEHICLE);
    const parent = await raw(home, dog, forDetails(dog, [MOVE], { may_act: VEHICLE, txn: 'rescue-7-1' }));
    const form = {
      grant_type: EXCHANGE,
      subject_token: String(parent.json['access_token']),
      subject_token_type: TYPE,
    };
    return { home, dog, vehicle, form };
  };
  const narrower = [{ ...MOVE, actions: ['stop'], arguments: undefined }];

  it('is a narrower token for the named actor, with the transaction kept', async () => {
    const { home, vehicle, form } = await start();
    const answer = await raw(home, vehicle, {
      form: { ...form, authorization_details: JSON.stringify(narrower) },
    });
    expect(answer).toMatchObject({ status: 200 });
    const claims = JSON.parse(
      Buffer.from(String(answer.json['access_token']).split('.')[1] ?? '', 'base64url').toString(),
    );
    expect(claims).toMatchObject({
      sub: DOG,
      client_id: VEHICLE,
      act: { sub: VEHICLE },
      txn: 'rescue-7-1',
      cnf: { jkt: vehicle.key.kid },
    });
  });

  it('is nothing wider, nothing for another actor, nothing after its ancestor ended', async () => {
    const { home, dog, vehicle, form } = await start();
    const wider = JSON.stringify([{ ...MOVE, arguments: { move: { speed: { max: 1 } } } }]);
    expect(await raw(home, vehicle, { form: { ...form, authorization_details: wider } })).toMatchObject({
      check: 'narrowing',
    });
    expect(await raw(home, dog, { form })).toMatchObject({ check: 'may-act' });
    const child = await raw(home, vehicle, { form });
    expect(child.status).toBe(200);
    await dog.client.revoke(form.subject_token);
    expect(await raw(home, vehicle, { form })).toMatchObject({ check: 'subject-token' });
    const { jti } = JSON.parse(
      Buffer.from(String(child.json['access_token']).split('.')[1] ?? '', 'base64url').toString(),
    ) as { jti: string };
    expect(await home.store.issuer.token(jti)).toMatchObject({ status: 1 });
  });
});

describe('the edges of the token endpoint', () => {
  const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
  const TYPE = 'urn:ietf:params:oauth:token-type:access_token';

  it('refuses an exchange of anything but access tokens, with another actor, deeper than four hops, or too late', async () => {
    const { home, dog } = await ready();
    const ask = (agent: TestAgent, form: Readonly<Record<string, string>>) => raw(home, agent, { form });
    const parent = await raw(home, dog, forDetails(dog, [MOVE], { may_act: DOG }));
    const form = {
      grant_type: EXCHANGE,
      subject_token: String(parent.json['access_token']),
      subject_token_type: TYPE,
    };
    expect(await ask(dog, { ...form, subject_token_type: 'x' })).toMatchObject({
      check: 'subject-token-type',
    });
    expect(await ask(dog, { ...form, actor_token: 'x' })).toMatchObject({ check: 'actor-token' });
    expect(await ask(dog, { ...form, requested_token_type: 'x' })).toMatchObject({
      check: 'requested-token-type',
    });
    expect(await ask(dog, { ...form, may_act: 'dog' })).toMatchObject({ check: 'may-act' });
    expect(await ask(dog, { ...form, subject_token: 'x' })).toMatchObject({ check: 'subject-token' });
    let token = form.subject_token;
    for (let hop = 0; hop < 4; hop++) {
      const next = await ask(dog, { ...form, subject_token: token, may_act: DOG });
      expect(next.status).toBe(200);
      token = String(next.json['access_token']);
    }
    expect(await ask(dog, { ...form, subject_token: token, may_act: DOG })).toMatchObject({ check: 'depth' });
    await home.clock.advance(300_000);
    expect(await ask(dog, form)).toMatchObject({ check: 'subject-token' });
  });

  it('refuses odd transactions and actors, too many details and places, and places of other owners', async () => {
    const { home, dog } = await ready();
    const check = async (details: unknown, extra = {}) =>
      (await raw(home, dog, forDetails(dog, details, extra))).check;
    expect(await check([MOVE], { txn: 'a b' })).toBe('txn');
    expect(await check([MOVE], { may_act: 'vehicle' })).toBe('may-act');
    expect(await check(Array.from({ length: 65 }, () => MOVE))).toBe('details-count');
    const foreign = 'spiffe://other.example/agent/x';
    await home.grant(DOG, {
      ...MOVE,
      device: 'horn',
      actions: ['sound'],
      arguments: undefined,
      locations: [foreign],
    });
    expect(
      await check([
        { ...MOVE, device: 'horn', actions: ['sound'], arguments: undefined, locations: [foreign] },
      ]),
    ).toBe('foreign-location');
    const places = Array.from({ length: 40 }, (_, i) => `spiffe://fleet.example/agent/a${i}`);
    const more = Array.from({ length: 40 }, (_, i) => `spiffe://fleet.example/agent/b${i}`);
    await home.grant(DOG, { ...MOVE, locations: places });
    await home.grant(DOG, { ...MOVE, locations: more });
    expect(
      await check([
        { ...MOVE, locations: places },
        { ...MOVE, locations: more },
      ]),
    ).toBe('resource-count');
  });

  it('says "later" when it can remember no more proofs, and forgets none', async () => {
    const { home, dog } = await ready();
    const store = { ...home.store.issuer, consume: async () => 'full' as const };
    const full = { ...home, issuer: createIssuer({ ...partsOf(home), store }) };
    expect(await raw(full, dog, forDetails(dog, [MOVE]))).toMatchObject({
      status: 503,
      error: 'temporarily_unavailable',
      check: 'dpop-replay-full',
    });
    let calls = 0;
    const second = {
      ...store,
      consume: async () => (calls++ === 0 ? ('fresh' as const) : ('full' as const)),
    };
    const filling = { ...home, issuer: createIssuer({ ...partsOf(home), store: second }) };
    const key = generateKey(seededRandom(3, 'function'));
    const iat = Math.floor(home.clock.now() / 1000);
    const assertion = await signJws(dog.key, 'fealty-self-grant+jwt', {
      iss: DOG,
      sub: DOG,
      aud: ISSUER,
      iat,
      exp: iat + 60,
      jti: 'abcdefghijklmnopqrstuv',
      act: { sub: `${DOG}#planner` },
      cnf: { jkt: key.kid },
      authorization_details: [MOVE],
    });
    const form = { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', client_id: DOG, assertion };
    expect(await raw(filling, dog, { form, dpopKey: key })).toMatchObject({
      status: 503,
      check: 'assertion-replay-full',
    });
  });

  it('answers a fault of its own with 500 and no word of why', async () => {
    const { home, dog } = await ready();
    const store = { ...home.store.issuer, grants: () => Promise.reject(new Error('secret path /x')) };
    const broken = { ...home, issuer: createIssuer({ ...partsOf(home), store }) };
    const answer = await raw(broken, dog, forDetails(dog, [MOVE]));
    expect(answer).toMatchObject({ status: 500, error: 'server_error' });
    expect(JSON.stringify(answer.json)).not.toContain('secret');
  });

  it('gives the time and the revocations only for a nonce that is one', async () => {
    const { home, dog } = await ready();
    const get = (path: string) => raw(home, dog, { path, method: 'GET' });
    expect(await get('/time?nonce=short')).toMatchObject({ status: 400, check: 'nonce' });
    expect(await get('/time')).toMatchObject({ status: 400, check: 'nonce' });
    expect(await get('/generations?nonce=short')).toMatchObject({ status: 400, check: 'nonce' });
    await expect(
      home.issuer.revoke({ format: 'iss_sub', iss: 'https://other.example', sub: DOG }, 'owner', 'x'),
    ).rejects.toMatchObject({ check: 'sub-id' });
  });

  const partsOf = (home: House) => ({
    issuer: ISSUER,
    trustDomain: 'fleet.example',
    clock: home.clock,
    random: seededRandom(12),
    audit: home.audit,
    keys: home.keys,
    bundles: () => home.bundles,
  });
});
