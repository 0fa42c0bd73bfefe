import { describe, expect, it } from 'vitest';
import { generateKey } from '../../src/core/signer.ts';
import type { Grant } from '../../src/grants/grant.ts';
import { TokenClient } from '../../src/tokens/client.ts';
import type { HeldToken } from '../../src/tokens/client-types.ts';
import { verifyAccessToken } from '../../src/tokens/verifier.ts';
import { DOG, house, ISSUER, MOVE, VEHICLE } from './house.ts';

const HORN: Grant = { ...MOVE, device: 'horn', actions: ['sound'], arguments: undefined };

describe('a robot that asks for a token of its own', () => {
  it('gets one that the enforcing robot accepts offline (ID-05, OBO-self)', async () => {
    const home = await house();
    const family = await home.grant(DOG, MOVE);
    const dog = await home.agent(DOG);
    const vehicle = await home.agent(VEHICLE);
    const token = await dog.client.token({ authorizationDetails: [MOVE] });
    const verified = verifyAccessToken(token.accessToken, {
      bundles: home.bundles,
      audience: VEHICLE,
      at: home.clock.now(),
      presenterJkt: dog.key.kid,
      generations: vehicle.book,
    });
    expect(verified.claims).toMatchObject({
      sub: DOG,
      client_id: DOG,
      aud: [VEHICLE],
      'fealty/agent': true,
      cnf: { jkt: dog.key.kid },
      'fealty/family': [family],
    });
    expect(verified.held).toHaveLength(1);
    expect(verified.held[0]).toMatchObject({ family, subject: DOG, grant: MOVE, ancestors: [] });
  });

  it('gets a token for one of its functions, with the function as actor and its key (seed S1 figure 2)', async () => {
    const home = await house();
    await home.grant(DOG, MOVE);
    const dog = await home.agent(DOG);
    const key = generateKey(dog.platform.random);
    const narrowed: Grant = { ...MOVE, actions: ['stop'], arguments: undefined };
    const token = await dog.client.functionToken({
      function: 'planner',
      key,
      authorizationDetails: [narrowed],
    });
    const vehicle = await home.agent(VEHICLE);
    const verified = verifyAccessToken(token.accessToken, {
      bundles: home.bundles,
      audience: VEHICLE,
      at: home.clock.now(),
      presenterJkt: key.kid,
      generations: vehicle.book,
    });
    expect(verified.actor).toEqual({ sub: `${DOG}#planner` });
    expect(verified.claims.sub).toBe(DOG);
    expect(verified.held[0]?.grant.actions).toEqual(['stop']);
  });
});

describe('the token client', () => {
  it('asks once for what many ask for at a time, and again when a quarter of its life is left', async () => {
    const home = await house();
    await home.grant(DOG, MOVE);
    const { client } = await home.agent(DOG);
    const tokens = await Promise.all([1, 2, 3].map(() => client.token({ authorizationDetails: [MOVE] })));
    expect(new Set(tokens.map(({ id }) => id)).size).toBe(1);
    expect(home.sent).toHaveLength(1);
    await home.clock.advance(224_000);
    await client.token({ authorizationDetails: [MOVE] });
    expect(home.sent).toHaveLength(1);
    await home.clock.advance(2_000);
    const next = await client.token({ authorizationDetails: [MOVE] });
    expect(home.sent).toHaveLength(2);
    expect(next.id).not.toBe(tokens[0]?.id);
  });

  it('keeps one token for each thing that was asked for', async () => {
    const home = await house();
    await home.grant(DOG, MOVE);
    await home.grant(DOG, HORN);
    const { client } = await home.agent(DOG);
    const ids = [
      (await client.token({ authorizationDetails: [MOVE] })).id,
      (await client.token({ authorizationDetails: [HORN] })).id,
      (await client.token({ authorizationDetails: [MOVE], resources: [VEHICLE] })).id,
      (await client.token({ authorizationDetails: [MOVE], txn: 'rescue-7-txn' })).id,
    ];
    expect(new Set(ids).size).toBe(4);
  });

  it("asks anew after its credential was renewed, because the old token is the old key's", async () => {
    const home = await house();
    await home.grant(DOG, MOVE);
    const first = await home.agent(DOG);
    const second = await home.agent(DOG);
    let credential = first.credential;
    const client = new TokenClient({
      platform: first.platform,
      issuer: ISSUER,
      credential: () => credential,
    });
    const before = await client.token();
    expect(before.key.kid).toBe(first.key.kid);
    credential = { ...second.credential, key: generateKey(second.platform.random) };
    await expect(client.token()).rejects.toMatchObject({ check: 'dpop-key', remedy: 'renew' });
    credential = first.credential;
    expect((await client.token()).id).toBe(before.id);
  });

  it('lives on with a token that is still good while the service is out of reach, and no longer', async () => {
    const home = await house();
    await home.grant(DOG, MOVE);
    const { client } = await home.agent(DOG);
    const token = await client.token();
    await home.clock.advance(280_000);
    home.network.down = true;
    expect((await client.token()).id).toBe(token.id);
    await home.clock.advance(20_000);
    await expect(client.token()).rejects.toMatchObject({ code: 'core.unreachable' });
  });

  it('does not live on with a token that the service refuses to renew', async () => {
    const home = await house();
    const id = await home.grant(DOG, MOVE);
    const { client } = await home.agent(DOG);
    await client.token();
    await home.clock.advance(280_000);
    await home.issuer.revoke({ format: 'fealty/grant', id }, 'owner', 'test');
    await expect(client.token()).rejects.toMatchObject({ check: 'no-grant' });
  });

  it("finds the service's nonce by itself, and sends no assertion twice", async () => {
    const home = await house({ nonceRequired: true });
    await home.grant(DOG, MOVE);
    const dog = await home.agent(DOG);
    const key = generateKey(dog.platform.random);
    await dog.client.functionToken({ function: 'planner', key, authorizationDetails: [MOVE] });
    expect(home.sent).toHaveLength(2);
    const bodies = home.sent.map(({ body }) =>
      new URLSearchParams(Buffer.from(body ?? []).toString()).get('assertion'),
    );
    expect(new Set(bodies).size).toBe(2);
    await dog.client.token();
    expect(home.sent).toHaveLength(3);
  });

  it('gives one who stops waiting its leave, and the others their token', async () => {
    const home = await house();
    await home.grant(DOG, MOVE);
    const { client } = await home.agent(DOG);
    const stop = new AbortController();
    const one = client.token({ signal: stop.signal });
    const other = client.token();
    stop.abort(new Error('enough'));
    await expect(one).rejects.toThrow('enough');
    await expect(other).resolves.toMatchObject({ authorizationDetails: [MOVE] });
  });

  it('keeps a token fresh until told to stop, through failures', async () => {
    const home = await house();
    await home.grant(DOG, MOVE);
    const { client } = await home.agent(DOG);
    const tokens: HeldToken[] = [];
    const failures: unknown[] = [];
    const stop = client.keep(
      () => client.token(),
      (token) => tokens.push(token),
      (error) => failures.push(error),
    );
    await home.clock.advance(1);
    expect(tokens).toHaveLength(1);
    await home.clock.advance(226_000);
    expect(tokens).toHaveLength(2);
    home.network.down = true;
    await home.clock.advance(400_000);
    expect(failures.length).toBeGreaterThan(2);
    home.network.down = false;
    await home.clock.advance(90_000);
    expect(tokens.length).toBeGreaterThan(2);
    stop();
    const count = tokens.length;
    await home.clock.advance(1_000_000);
    expect(tokens).toHaveLength(count);
  });

  it('says what the service said, and refuses an answer that is not one', async () => {
    const home = await house();
    const dog = await home.agent(DOG);
    await expect(dog.client.token()).rejects.toMatchObject({
      code: 'tokens.issuer-refused',
      error: 'invalid_authorization_details',
      check: 'no-grant',
      status: 400,
      remedy: 'ask-owner',
    });
    const answering = (status: number, type: string, body: string) =>
      new TokenClient({
        platform: {
          ...dog.platform,
          network: {
            ...dog.platform.network,
            request: async () => ({ status, headers: { 'content-type': type }, body: Buffer.from(body) }),
          },
        },
        issuer: ISSUER,
        credential: () => dog.credential,
      }).token();
    await expect(answering(502, 'text/html', '<p>bad gateway</p>')).rejects.toMatchObject({
      status: 502,
      remedy: 'retry',
    });
    await expect(answering(200, 'text/html', '<p>hello</p>')).rejects.toMatchObject({
      code: 'core.malformed',
    });
    const bearer = JSON.stringify({
      access_token: 'x'.repeat(40),
      token_type: 'Bearer',
      expires_in: 60,
      authorization_details: [],
    });
    await expect(answering(200, 'application/json', bearer)).rejects.toMatchObject({
      code: 'core.malformed',
    });
    expect(
      () =>
        new TokenClient({
          platform: dog.platform,
          issuer: `${ISSUER}/path`,
          credential: () => dog.credential,
        }),
    ).toThrow(TypeError);
  });

  it('holds nothing and asks for nothing once it is closed', async () => {
    const home = await house();
    await home.grant(DOG, MOVE);
    const { client } = await home.agent(DOG);
    await client.token();
    client.close();
    client.close();
    await expect(client.token()).rejects.toThrow(TypeError);
    expect(home.sent).toHaveLength(1);
  });
});
