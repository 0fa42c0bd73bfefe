import { describe, expect, it } from 'vitest';
import { signJws } from '../../src/core/jws.ts';
import { keysFor } from '../../src/identity/bundle.ts';
import type { HeldToken } from '../../src/tokens/client-types.ts';
import { Generations, verifyGenerations } from '../../src/tokens/status.ts';
import { readStatusList, statusAt } from '../../src/tokens/status-list.ts';
import { verifyAccessToken } from '../../src/tokens/verifier.ts';
import type { House, TestAgent } from './house.ts';
import { CONSOLE, DOG, DOMAIN, house, ISSUER, MOVE, VEHICLE } from './house.ts';
import { raw } from './raw.ts';

const accepted = (home: House, holder: TestAgent, token: HeldToken, book: Generations) =>
  verifyAccessToken(token.accessToken, {
    bundles: home.bundles,
    audience: VEHICLE,
    at: home.clock.now(),
    presenterJkt: holder.key.kid,
    generations: book,
  });

const statusOf = async (home: House, token: string): Promise<number> => {
  const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as {
    status: { status_list: { idx: number; uri: string } };
  };
  const { idx, uri } = claims.status.status_list;
  const answer = await home.issuer.handle(new Request(uri));
  expect(answer.headers.get('content-type')).toBe('application/statuslist+jwt');
  const [key] = keysFor(home.bundles, DOMAIN, 'fealty/status');
  if (key === undefined) throw new Error('no key');
  const list = await readStatusList(await answer.text(), { uri, key: key.jwk, at: home.clock.now() });
  return statusAt(list, idx);
};

describe('bulk revocation', () => {
  it('ends everything of one task in one call, and nothing of another (RV-01, RV-02)', async () => {
    const home = await house();
    await home.grant(DOG, { ...MOVE, task: 'picnic' });
    await home.grant(DOG, {
      ...MOVE,
      device: 'horn',
      actions: ['sound'],
      arguments: undefined,
      task: 'rescue-7',
    });
    const dog = await home.agent(DOG);
    const vehicle = await home.agent(VEHICLE);
    const picnic = await dog.client.token({ authorizationDetails: [{ ...MOVE, task: 'picnic' }] });
    const horn = { ...MOVE, device: 'horn', actions: ['sound'], arguments: undefined, task: 'rescue-7' };
    const rescue = await dog.client.token({ authorizationDetails: [horn] });
    expect(await statusOf(home, picnic.accessToken)).toBe(0);

    const { tokens, raised } = await home.issuer.revoke(
      { format: 'fealty/task', id: 'picnic' },
      'owner',
      'cancelled',
    );
    expect(tokens).toBe(1);
    expect(raised).toMatchObject([{ tag: 'task:picnic', generation: 1 }]);
    expect(await statusOf(home, picnic.accessToken)).toBe(1);
    expect(await statusOf(home, rescue.accessToken)).toBe(0);

    const [pushed = ''] = home.statements;
    await vehicle.book.apply(await verifyGenerations(pushed, home.bundles));
    expect(() => accepted(home, dog, picnic, vehicle.book)).toThrow(/task:picnic/);
    expect(accepted(home, dog, rescue, vehicle.book).held).toHaveLength(1);
  });

  it('of a thousand tokens is one call, and never one more is issued after it returned (RV-06)', async () => {
    const home = await house();
    await home.grant(DOG, MOVE);
    const dog = await home.agent(DOG);
    let stopped = false;
    let issuedAfter = 0;
    let issued = 0;
    const asker = async () => {
      for (let i = 0; i < 40; i++) {
        const before = stopped;
        try {
          await dog.client.token({
            authorizationDetails: [MOVE],
            txn: `transaction-${Math.imul(i, 7919)}-${issued}`,
          });
          issued++;
          if (before) issuedAfter++;
        } catch {
          // refused: revoked
        }
      }
    };
    const askers = Promise.all(Array.from({ length: 5 }, asker));
    while (issued < 20) await new Promise((resolve) => setImmediate(resolve));
    const { tokens } = await home.issuer.revoke({ format: 'fealty/client', uri: DOG }, 'owner', 'attack');
    stopped = true;
    await askers;
    expect(tokens).toBeGreaterThanOrEqual(20);
    expect(issuedAfter).toBe(0);
    const left = await home.issuer.revoke({ format: 'fealty/client', uri: DOG }, 'owner', 'again');
    expect(left).toMatchObject({ tokens: 0, raised: [] });
  });

  it('of the owner ends every client, device and task at once (RV-03, the house is sold)', async () => {
    const home = await house();
    await home.grant(DOG, MOVE);
    const dog = await home.agent(DOG);
    const vehicle = await home.agent(VEHICLE);
    const token = await dog.client.token();
    await home.issuer.revoke({ format: 'fealty/owner' }, 'owner', 'sold');
    await vehicle.client.refreshGenerations(vehicle.book, { trustDomain: DOMAIN, bundles: home.bundles });
    expect(() => accepted(home, dog, token, vehicle.book)).toThrow(/owner:fleet\.example/);
    dog.client.forget();
    await expect(dog.client.token()).rejects.toMatchObject({ check: 'revoked' });
    expect(await home.issuer.reopen({ format: 'fealty/owner' }, 'owner')).toBe(true);
    const anew = await dog.client.token();
    expect(accepted(home, dog, anew, vehicle.book).client).toBe(DOG);
    expect(() => accepted(home, dog, token, vehicle.book)).toThrow(/owner:/);
  });

  it('of one device ends only the details that concern it', async () => {
    const home = await house();
    await home.grant(DOG, MOVE);
    const horn = { ...MOVE, device: 'horn', actions: ['sound'], arguments: undefined };
    await home.grant(DOG, horn);
    const dog = await home.agent(DOG);
    const vehicle = await home.agent(VEHICLE);
    const token = await dog.client.token();
    await home.issuer.revoke({ format: 'fealty/device', uri: VEHICLE, device: 'arm' }, 'owner', 'broken');
    await vehicle.client.refreshGenerations(vehicle.book, { trustDomain: DOMAIN, bundles: home.bundles });
    expect(accepted(home, dog, token, vehicle.book).held.map(({ grant }) => grant.device)).toEqual(['horn']);
    await home.issuer.revoke({ format: 'fealty/device', uri: VEHICLE, device: 'horn' }, 'owner', 'too');
    await vehicle.client.refreshGenerations(vehicle.book, { trustDomain: DOMAIN, bundles: home.bundles });
    expect(() => accepted(home, dog, token, vehicle.book)).toThrow(
      expect.objectContaining({ check: 'revoked' }),
    );
  });

  it('of a grant ends what stems from it and is for ever', async () => {
    const home = await house();
    const id = await home.grant(DOG, MOVE);
    const dog = await home.agent(DOG);
    const token = await dog.client.token();
    await home.issuer.revoke({ format: 'fealty/grant', id }, 'owner', 'no longer');
    expect(await statusOf(home, token.accessToken)).toBe(1);
    expect(await home.issuer.reopen({ format: 'fealty/grant', id }, 'owner')).toBe(false);
    dog.client.forget();
    await expect(dog.client.token()).rejects.toMatchObject({ check: 'no-grant', remedy: 'ask-owner' });
  });
});

describe('revocation by the client (RFC 7009)', () => {
  it("ends its own token, says nothing about rubbish, and refuses to end another's", async () => {
    const home = await house();
    await home.grant(DOG, MOVE);
    const dog = await home.agent(DOG);
    const vehicle = await home.agent(VEHICLE);
    const token = await dog.client.token();
    expect(await raw(home, dog, { path: '/revoke', form: { token: 'rubbish' } })).toMatchObject({
      status: 200,
    });
    expect(await raw(home, vehicle, { path: '/revoke', form: { token: token.accessToken } })).toMatchObject({
      status: 403,
      check: 'token-owner',
    });
    expect(await statusOf(home, token.accessToken)).toBe(0);
    await dog.client.revoke(token.accessToken);
    expect(await statusOf(home, token.accessToken)).toBe(1);
    await home.clock.advance(1_000);
    expect((await dog.client.token()).id).not.toBe(token.id);
  });
});

describe('introspection (RFC 7662)', () => {
  it('tells the client and the agents a token is for, and nobody else', async () => {
    const home = await house();
    await home.grant(DOG, MOVE);
    const dog = await home.agent(DOG);
    const vehicle = await home.agent(VEHICLE);
    const eve = await home.agent(CONSOLE);
    const { accessToken, id } = await dog.client.token();
    const ask = async (agent: TestAgent) =>
      (await raw(home, agent, { path: '/introspect', form: { token: accessToken } })).json;
    expect(await ask(vehicle)).toMatchObject({ active: true, jti: id, client_id: DOG });
    expect(await ask(dog)).toMatchObject({ active: true });
    expect(await ask(eve)).toEqual({ active: false });
    await home.issuer.revoke({ format: 'fealty/token', id }, 'owner', 'test');
    expect(await ask(vehicle)).toEqual({ active: false });
  });
});

describe('the book of generations', () => {
  const fill = async () => {
    const home = await house();
    const dog = await home.agent(DOG);
    const raise = (id: string) => home.issuer.revoke({ format: 'fealty/task', id }, 'owner', 'test');
    return { home, dog, raise };
  };

  it('is as old as the nonce that was answered, and grows old with time alone', async () => {
    const { home, dog } = await fill();
    expect(dog.book.ageMs(DOMAIN)).toBe(Number.POSITIVE_INFINITY);
    await dog.client.refreshGenerations(dog.book, { trustDomain: DOMAIN, bundles: home.bundles });
    expect(dog.book.ageMs(DOMAIN)).toBe(0);
    await home.clock.advance(61_000);
    expect(dog.book.ageMs(DOMAIN)).toBe(61_000);
    const again = await Generations.open({
      clock: home.clock,
      store: dog.platform.store,
      trustDomain: DOMAIN,
    });
    expect(again.ageMs(DOMAIN)).toBe(61_000);
    home.clock.setWall(home.clock.now() - 86_400_000);
    expect(again.ageMs(DOMAIN)).toBe(Number.POSITIVE_INFINITY);
  });

  it('never goes back, also over a restart, whatever order statements come in', async () => {
    const { home, dog, raise } = await fill();
    await raise('a');
    await raise('b');
    const [first = '', second = ''] = home.statements;
    const newer = await verifyGenerations(second, home.bundles);
    await expect(async () => dog.book.apply(newer)).rejects.toMatchObject({ check: 'gap' });
    const all = await verifyGenerations(await home.issuer.statement(), home.bundles);
    await dog.book.apply(all);
    await dog.book.apply(newer);
    const old = await verifyGenerations(first, home.bundles);
    await expect(async () => dog.book.apply(old)).rejects.toMatchObject({ check: 'rollback' });
    const again = await Generations.open({
      clock: home.clock,
      store: dog.platform.store,
      trustDomain: DOMAIN,
    });
    expect([again.of('task:a'), again.of('task:b'), again.sequenceOf(DOMAIN)]).toEqual([1, 1, 2]);
    await expect(async () => again.apply(old)).rejects.toMatchObject({ check: 'rollback' });
  });

  it('tells listeners before anything is awaited, so that no permit slips through', async () => {
    const { home, dog, raise } = await fill();
    const heard: string[] = [];
    dog.book.onRaised((raised) => heard.push(...raised.map(({ tag }) => tag)));
    await raise('a');
    const statement = await verifyGenerations(await home.issuer.statement(), home.bundles);
    const durable = dog.book.apply(statement);
    expect(heard).toEqual(['task:a']);
    await durable;
  });

  it('believes no statement signed by another key, for another nonce, or out of order in pages', async () => {
    const { home, dog, raise } = await fill();
    await raise('a');
    const claims = { iss: ISSUER, trust_domain: DOMAIN, iat: 1, sequence: 9, since: 0, raised: [] };
    const forged = await signJws(home.keys.wit, 'fealty-generations+jwt', claims);
    await expect(verifyGenerations(forged, home.bundles)).rejects.toMatchObject({ check: 'key' });
    const pretending = await signJws(home.keys.wit, 'fealty-generations+jwt', claims, {
      kid: home.keys.status.kid,
    });
    await expect(verifyGenerations(pretending, home.bundles)).rejects.toMatchObject({ check: 'signature' });
    const statement = await verifyGenerations(await home.issuer.statement(), home.bundles);
    await expect(async () => dog.book.apply(statement, { nonce: 'mine', sentAt: 0 })).rejects.toMatchObject({
      check: 'nonce',
    });
    await dog.book.apply({ ...statement, more: true });
    expect(dog.book.ageMs(DOMAIN)).toBeGreaterThan(1e12);
  });

  it('lets a foreign authority end what is its own, and not our clients, devices and owner', async () => {
    const { home, dog } = await fill();
    const foreign = (tag: string) => ({ tag, generation: 5, until: 4_000_000_000 });
    await dog.book.apply({
      issuer: 'https://other.example',
      trustDomain: 'other.example',
      sequence: 1,
      since: 0,
      iat: Math.floor(home.clock.now() / 1000),
      more: false,
      raised: [
        foreign(`client:${DOG}`),
        foreign(`owner:${DOMAIN}`),
        foreign(`device:${VEHICLE}#arm`),
        foreign('client:spiffe://other.example/agent/x'),
        foreign('group:g1'),
      ],
    });
    expect([
      dog.book.of(`client:${DOG}`),
      dog.book.of(`owner:${DOMAIN}`),
      dog.book.of(`device:${VEHICLE}#arm`),
    ]).toEqual([0, 0, 0]);
    expect([dog.book.of('client:spiffe://other.example/agent/x'), dog.book.of('group:g1')]).toEqual([5, 5]);
  });

  it('is asked for in pages when it is long', async () => {
    const { home, dog } = await fill();
    for (let i = 0; i < 2_100; i++)
      await home.store.issuer.revoke({
        tags: [`token:t${i}`],
        close: true,
        now: home.clock.now(),
        until: 4_000_000_000,
      });
    await dog.client.refreshGenerations(dog.book, { trustDomain: DOMAIN, bundles: home.bundles });
    expect([dog.book.sequenceOf(DOMAIN), dog.book.of('token:t2099'), dog.book.ageMs(DOMAIN)]).toEqual([
      2_100, 1, 0,
    ]);
  });

  it('is told only to enrolled agents', async () => {
    const { home, dog } = await fill();
    expect(
      await raw(home, dog, { path: '/generations?since=0', method: 'GET', attestation: null }),
    ).toMatchObject({ status: 401 });
    expect(await raw(home, dog, { path: '/generations?since=x', method: 'GET' })).toMatchObject({
      check: 'since',
    });
  });
});
