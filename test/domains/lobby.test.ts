import { describe, expect, it } from 'vitest';
import { generateKey } from '../../src/core/signer.ts';
import type { HandshakeRefused, Invitation } from '../../src/domains/index.ts';
import { readFrame } from '../../src/domains/messages.ts';
import { lobbyTopic } from '../../src/messaging/index.ts';
import { Owner, World } from './world.ts';

const outcome = (world: World, work: Promise<void>) =>
  world.settle(work.then(() => 'admitted').catch((cause: HandshakeRefused) => cause.check));

describe('a lobby', () => {
  it('asks the join policy, and declines in its name', async () => {
    const world = await World.make();
    const console = await world.machine('console');
    const dog = await world.machine('dog');
    const domain = await world.convene(console);
    const asked: Invitation[] = [];
    await world.lobby(dog, {
      joinPolicy: (invitation) => {
        asked.push(invitation);
        return { join: false, reason: 'it rains' };
      },
    });
    expect(await outcome(world, domain.invite(dog.candidate, 'scout'))).toBe('declined');
    expect(asked[0]).toMatchObject({
      task: 'rescue-7',
      mission: 'clear the road',
      role: 'scout',
      convener: console.candidate.agentId,
    });
    expect(dog.refused).toEqual([['declined', console.candidate.agentId]]);
    expect(console.refused).toEqual([['declined', dog.candidate.agentId]]);
    expect(domain.roster()).toHaveLength(1);
  });

  it('with an impostor in it is refused at `ldevid-signature`, at both ends, and nothing else happens', async () => {
    const world = await World.make();
    const console = await world.machine('console');
    const dog = await world.machine('dog');
    const impostor = {
      ...dog,
      identity: { ...dog.identity, keys: { ...dog.identity.keys, ldevid: generateKey(dog.platform.random) } },
    };
    const domain = await world.convene(console);
    const { joined } = await world.lobby(impostor);
    expect(await outcome(world, domain.invite(dog.candidate, 'scout'))).toBe('ldevid-signature');
    expect(console.refused).toEqual([['ldevid-signature', dog.candidate.agentId]]);
    expect(dog.refused).toEqual([['ldevid-signature', console.candidate.agentId]]);
    expect(joined).toEqual([]);
    expect(domain.roster()).toHaveLength(1);
    expect(console.audit.entries.at(-1)).toMatchObject({
      action: 'refused',
      resource: dog.candidate.agentId,
      cause: 'ldevid-signature',
    });
  });

  it('lets the true dog in although an impostor answers first', async () => {
    const world = await World.make();
    const console = await world.machine('console');
    const dog = await world.machine('dog');
    const thief = await world.machine('thief');
    const domain = await world.convene(console);
    // The thief has a copy of the dog's lobby key and hears its lobby, because the broker is on its side.
    const stolen = {
      ...thief,
      identity: {
        credentials: dog.identity.credentials,
        keys: { ...dog.identity.keys, ldevid: generateKey(thief.platform.random) },
      },
      link: world.broker.connect(dog.candidate.slug),
    };
    await world.lobby(stolen);
    const invited = domain.invite(dog.candidate, 'scout');
    await world.clock.advance(500);
    const back = { ...dog, link: world.broker.connect(dog.candidate.slug) };
    const { joined } = await world.lobby(back);
    await world.clock.advance(1); // the invitation is sent again only after a while: hand it over now
    const [invitation] = world.broker.seen.filter(({ topic }) => topic === lobbyTopic(dog.candidate.slug));
    world.broker.lie(lobbyTopic(dog.candidate.slug), invitation?.payload ?? new Uint8Array());
    expect(await outcome(world, invited)).toBe('admitted');
    expect(console.refused).toEqual([['ldevid-signature', dog.candidate.agentId]]);
    expect(joined).toHaveLength(1);
  });

  it('limits the work that strangers can cause, before any asymmetric cryptography', async () => {
    const world = await World.make();
    const dog = await world.machine('dog');
    await world.lobby(dog, { options: { perSecond: 2, burst: 5 } });
    const topic = lobbyTopic(dog.candidate.slug);
    const { encodeCbor } = await import('../../src/core/cbor.ts');
    for (let i = 0; i < 20; i++) {
      const sealed = dog.platform.random.bytes(200);
      world.broker.lie(topic, encodeCbor(['td1', 1, dog.platform.random.bytes(32), sealed]));
    }
    world.broker.lie(topic, new Uint8Array([1, 2, 3]));
    world.broker.lie(topic, new Uint8Array(200_000));
    await world.clock.advance(10);
    const counts = Object.fromEntries(
      ['seal', 'rate', 'form'].map((name) => [name, dog.refused.filter(([check]) => check === name).length]),
    );
    expect(counts).toEqual({ seal: 5, rate: 15, form: 2 });
    await world.clock.advance(1_000);
    world.broker.lie(
      topic,
      encodeCbor(['td1', 1, dog.platform.random.bytes(32), dog.platform.random.bytes(200)]),
    );
    await world.clock.advance(10);
    expect(dog.refused.at(-1)?.[0]).toBe('seal');
  });

  it('refuses every message of a handshake that comes again when it is over', async () => {
    const world = await World.make();
    const { dog, console, dogIn, truckIn } = await world.rescue();
    const topics = [dog, console].map(({ candidate }) => lobbyTopic(candidate.slug));
    const before = world.broker.seen.length;
    for (const { topic, payload } of world.broker.seen.slice(0, before))
      if (topics.includes(topic)) world.broker.lie(topic, payload);
    await world.clock.advance(100);
    expect(dog.refused.map(([check]) => check)).toEqual(['replay', 'replay']);
    expect(dogIn.roster()).toHaveLength(3);
    expect([dogIn.mode, truckIn.mode]).toEqual(['actuate', 'actuate']);
    await world.clock.advance(130_000);
    for (const { topic, payload } of world.broker.seen.slice(0, before))
      if (topics.includes(topic)) world.broker.lie(topic, payload, dog.candidate.slug);
    await world.clock.advance(100);
    expect(new Set(dog.refused.map(([check]) => check))).toEqual(new Set(['replay']));
  });

  it('asks for message 3 again when its connection is back: some brokers break it as they give rights', async () => {
    const world = await World.make({ delayMs: [5, 5] });
    const console = await world.machine('console');
    const dog = await world.machine('dog');
    const domain = await world.convene(console);
    const { joined } = await world.lobby(dog);
    const { slug } = dog.candidate;
    console.sends = (payload, topic) => {
      if (topic !== lobbyTopic(slug) || readFrame(payload).kind !== 3) return;
      console.sends = () => {};
      world.broker.cut(slug);
      world.clock.schedule(100, () => world.broker.heal(slug));
    };
    const began = world.clock.elapsed();
    await world.settle(domain.invite(dog.candidate, 'scout'));
    // By itself, the convener sends it again after 1,111 ms.
    expect(world.clock.elapsed() - began).toBeLessThanOrEqual(250);
    expect(joined).toHaveLength(1);
    expect([...console.refused, ...dog.refused]).toEqual([]);
  });

  it('gives up when message 3 does not come', async () => {
    const world = await World.make();
    const console = await world.machine('console');
    const dog = await world.machine('dog');
    const domain = await world.convene(console);
    const { lobby } = await world.lobby(dog);
    console.hears = (topic) => !topic.includes('lobby');
    expect(await outcome(world, domain.invite(dog.candidate, 'scout'))).toBe('silent');
    await world.clock.advance(1_000);
    expect(dog.refused).toEqual([['silent', console.candidate.agentId]]);
    expect(lobby.memberships).toEqual([]);
  });

  it('takes an agent of another owner under federated bundles, and refuses it without', async () => {
    const world = await World.make();
    const other = await Owner.make('rescue.example');
    const both = [world.owner.bundle, other.bundle];
    const console = await world.machine('console', { bundles: both });
    const truck = await world.machine('truck', { owner: other, bundles: both });
    const hermit = await world.machine('hermit', { owner: other, bundles: [other.bundle] });
    const domain = await world.convene(console, {
      bounds: { trustDomains: ['fleet.example', 'rescue.example'] },
    });
    const { joined } = await world.lobby(truck);
    await world.lobby(hermit);
    expect(await outcome(world, domain.invite(truck.candidate, 'carrier'))).toBe('admitted');
    expect(joined).toHaveLength(1);
    expect(await outcome(world, domain.invite(hermit.candidate, 'carrier'))).toBe('wit');
  });

  it('leaves every domain when it closes', async () => {
    const world = await World.make();
    const { dogLobby, dogIn, truckIn } = await world.rescue();
    expect(dogLobby.memberships).toEqual([dogIn]);
    await world.settle(dogLobby.close());
    await world.clock.advance(200);
    expect(dogIn.mode).toBe('ended');
    expect(truckIn.roster().map(({ role }) => role)).toEqual(['coordinator', 'carrier']);
    await dogLobby.close();
  });
});
