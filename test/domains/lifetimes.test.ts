import { describe, expect, it } from 'vitest';
import type { HandshakeRefused, Mode } from '../../src/domains/index.ts';
import { ModeTooLow } from '../../src/domains/index.ts';
import { readFrame } from '../../src/domains/messages.ts';
import { lobbyTopic, logHeadTopic, multicastTopic, PublishRefused } from '../../src/messaging/index.ts';
import { World } from './world.ts';

/** How often somebody was told by its lobby that it is thrown out. */
const notices = (world: World, slug: string) =>
  world.broker.seen.filter(
    ({ topic, payload }) => topic === lobbyTopic(slug) && readFrame(payload).kind === 6,
  ).length;

describe('a member that is thrown out (AR-03, GP-04)', () => {
  it('reads nothing further, although the broker shows it everything', async () => {
    const world = await World.make();
    const { domain, dog, dogIn, truckIn } = await world.rescue();
    const heard: unknown[] = [];
    await dogIn.subscribe('plan', (body) => heard.push(body));
    await truckIn.publish('plan', 'before');
    await world.clock.advance(10);
    const epoch = truckIn.epoch;
    const from = world.broker.seen.length;
    await world.settle(domain.evict(dogIn.agentId, 'it barks'));
    await world.clock.advance(100);
    expect(truckIn.epoch).toBe(epoch + 1);
    await truckIn.publish('plan', 'after');
    await world.clock.advance(10);
    for (const { topic, payload } of world.broker.seen.slice(from))
      world.broker.lie(topic, payload, dog.candidate.slug);
    await world.clock.advance(10);
    expect(heard).toEqual(['before']);
    expect(dogIn.mode).toBe('ended');
    expect(dog.events.slice(-3)).toEqual(['evicted: it barks', 'ended: it barks', 'ended: it barks']);
    expect(truckIn.roster().map(({ role }) => role)).toEqual(['coordinator', 'carrier']);
  });

  it('is cut off even if it does not hear that it is: neither epoch nor log key reach it', async () => {
    const world = await World.make();
    const { domain, dog, dogIn, truckIn, console } = await world.rescue();
    const heard: unknown[] = [];
    await dogIn.subscribe('plan', (body) => heard.push(body));
    dog.hears = (topic) => topic.includes('/m/') || topic.includes('/log');
    const from = world.broker.seen.length;
    await world.settle(domain.evict(dogIn.agentId, 'it barks'));
    await world.clock.advance(100);
    await truckIn.publish('plan', 'after');
    await world.clock.advance(10);
    for (const { topic, payload } of world.broker.seen.slice(from))
      world.broker.lie(topic, payload, dog.candidate.slug);
    await world.clock.advance(2_100); // what might have been a message ahead of its epoch is given up
    expect(heard).toEqual([]);
    expect(dog.refused.map(([check]) => check)).toContain('epoch');
    expect(dogIn.roster()).toHaveLength(3); // the entry that says so is sealed under a key it does not have
    expect(console.events).toContain('evicted dog it barks');
    await world.clock.advance(10_000);
    expect(dogIn.mode).toBe('ended'); // its tenure bounds what it believes
  });

  it('is not told again and again when the domain has ended: no timer is left behind', async () => {
    const world = await World.make();
    const { domain, dog, dogIn } = await world.rescue();
    dog.hears = () => false;
    await world.settle(domain.evict(dogIn.agentId, 'it barks'));
    await world.clock.advance(300);
    const before = notices(world, dog.candidate.slug);
    expect(before).toBeGreaterThan(1);
    await world.settle(domain.end('done'));
    const atEnd = notices(world, dog.candidate.slug);
    await world.clock.advance(20_000);
    expect(notices(world, dog.candidate.slug)).toBe(atEnd);
  });

  it('is heard by nobody any more', async () => {
    const world = await World.make();
    const { domain, dog, dogIn, truck, truckIn } = await world.rescue();
    const heard: unknown[] = [];
    await truckIn.subscribe('plan', (body) => heard.push(body));
    await dogIn.publish('plan', 'while it was a member');
    await world.clock.advance(10);
    dog.hears = () => false;
    await world.settle(domain.evict(dogIn.agentId, 'it barks'));
    await world.clock.advance(100);
    const denied: Uint8Array[] = [];
    dog.sends = (payload) => denied.push(payload);
    await expect(dogIn.publish('plan', 'I am here', { control: true })).rejects.toThrow(PublishRefused);
    const topic = multicastTopic(domain.domain, dog.candidate.slug, 'plan');
    for (const payload of denied) world.broker.lie(topic, payload, truck.candidate.slug);
    expect(heard).toEqual(['while it was a member']);
    expect(truck.refused).toEqual([['unknown-sender', topic]]);
  });

  it('is disturbed by nobody when it was no member', async () => {
    const world = await World.make();
    const { domain, console, truckIn } = await world.rescue();
    const cat = await world.machine('cat');
    const lost: string[] = [];
    cat.link.on('lost', (reason) => lost.push(reason));
    const { epoch } = truckIn;
    await world.settle(domain.evict(cat.candidate.agentId, 'who is that'));
    await world.clock.advance(100);
    expect([lost, truckIn.epoch, console.events.length]).toEqual([[], epoch, 2]);
  });

  it('loses its rights at the broker also when it goes by itself, or falls silent', async () => {
    const world = await World.make();
    const { dog, dogIn, truck, console } = await world.rescue();
    const lost: string[] = [];
    for (const machine of [dog, truck]) machine.link.on('lost', () => lost.push(machine.name));
    await world.settle(dogIn.leave('home'));
    truck.hears = () => false;
    await world.clock.advance(20_000);
    expect(lost).toEqual(['dog']);
    truck.sends = () => {
      throw new Error('no more');
    };
    await world.clock.advance(20_000);
    expect(lost).toEqual(['dog', 'truck']);
    expect(console.events.slice(2)).toEqual(['evicted dog home', 'evicted truck silent']);
  });

  it('takes its assignment with it: every holder of it is told by the generation of its token', async () => {
    const world = await World.make();
    const { domain, dogIn, truck, truckIn } = await world.rescue();
    const [held] = truckIn.grantsOf(dogIn.agentId);
    expect(truck.generations.revoked(held?.tags ?? {})).toBeUndefined();
    await world.settle(domain.evict(dogIn.agentId, 'it barks'));
    expect(truck.generations.revoked(held?.tags ?? {})).toMatch(/^token:/);
    expect(truckIn.grantsOf(dogIn.agentId)).toEqual([]);
  });

  it('may be invited again, and comes back with new keys', async () => {
    const world = await World.make();
    const { domain, dog, dogIn, truckIn } = await world.rescue();
    await world.settle(domain.evict(dogIn.agentId, 'it barks'));
    await world.clock.advance(100);
    await world.settle(domain.invite(dog.candidate, 'scout'));
    expect(truckIn.grantsOf(dogIn.agentId)).toHaveLength(1);
    expect(truckIn.roster().map(({ role }) => role)).toEqual(['coordinator', 'carrier', 'scout']);
  });

  it('is not told any more that it was thrown out once it is back', async () => {
    const world = await World.make();
    const { domain, dog, dogIn } = await world.rescue();
    await world.settle(domain.evict(dogIn.agentId, 'it barks'));
    await world.clock.advance(100);
    await world.settle(domain.invite(dog.candidate, 'scout'));
    const whenBack = notices(world, dog.candidate.slug);
    expect(whenBack).toBeGreaterThan(0);
    await world.clock.advance(20_000);
    expect(notices(world, dog.candidate.slug)).toBe(whenBack);
  });
});

describe('the end of a domain (GP-04, GP-08)', () => {
  it('stops what runs, then wipes, then is acknowledged; a second domain is untouched', async () => {
    const world = await World.make();
    const { domain, dog, dogIn, truckIn } = await world.rescue();
    const console2 = await world.machine('console-2');
    const other = await world.convene(console2, { task: 'other-8' });
    await world.settle(other.invite(dog.candidate, 'scout'));
    const order: string[] = [];
    dogIn.whenWeaker(async (to, cause) => {
      order.push(`stopping ${to} ${cause}`);
      await world.clock.sleep(300);
      order.push('stopped');
    });
    dogIn.on('ended', () => order.push('ended'));
    domain.on('ended', () => order.push('domain ended'));
    const held = dogIn.assignment?.held[0]?.tags ?? {};
    await world.settle(domain.end('the road is clear'));
    expect(order).toEqual(['stopping ended the road is clear', 'stopped', 'ended', 'domain ended']);
    expect(dog.generations.revoked(held)).toMatch(/^group:|^token:/);
    expect([dogIn.mode, truckIn.mode, domain.membership.mode]).toEqual(['ended', 'ended', 'ended']);
    expect(other.membership.mode).toBe('actuate');
    expect(other.roster().map(({ mode }) => mode)).toEqual(['actuate', 'actuate']);
    await world.clock.advance(15_000);
    expect(other.roster()).toHaveLength(2);
  });

  it('reaches a member through the retained tombstone alone', async () => {
    const world = await World.make();
    const { domain, dog, dogIn } = await world.rescue();
    const from = world.broker.seen.length;
    dog.hears = () => false;
    await world.settle(domain.end('over'));
    expect(dogIn.mode).not.toBe('ended');
    dog.hears = () => true;
    const head = world.broker.seen.slice(from).find(({ topic }) => topic === logHeadTopic(domain.domain));
    world.broker.lie(logHeadTopic(domain.domain), head?.payload ?? new Uint8Array(), dog.candidate.slug);
    await world.clock.advance(10);
    expect(dogIn.mode).toBe('ended');
  });

  it('is told once more to a member that did not hear it', async () => {
    const world = await World.make();
    const { domain, dog, dogIn } = await world.rescue();
    dog.hears = () => false;
    world.clock.schedule(500, () => {
      dog.hears = () => true;
    });
    const began = world.clock.elapsed();
    await world.settle(domain.end('over'));
    expect(world.clock.elapsed() - began).toBe(1_000);
    expect(dogIn.mode).toBe('ended');
  });

  it('does not wait for a member that leaves in the same moment', async () => {
    const world = await World.make({ delayMs: [50, 50] });
    const { domain, dogIn, console } = await world.rescue();
    const began = world.clock.elapsed();
    await world.settle(Promise.all([domain.end('over'), dogIn.leave('home')]));
    expect(world.clock.elapsed() - began).toBe(100);
    expect(console.events.slice(-2)).toEqual(['evicted dog home', 'ended over']);
  });

  it('comes by itself with the group grant’s, everywhere', async () => {
    const world = await World.make();
    const console = await world.machine('console');
    const dog = await world.machine('dog');
    const domain = await world.convene(console, { lifeS: 180 });
    const { joined } = await world.lobby(dog);
    await world.settle(domain.invite(dog.candidate, 'scout'));
    await world.clock.advance(119_000);
    expect([joined[0]?.mode, domain.membership.mode]).toEqual(['actuate', 'actuate']);
    await world.clock.advance(3_000);
    expect([joined[0]?.mode, domain.membership.mode]).toEqual(['ended', 'ended']);
  });

  it('is idempotent, and also ends invitations under way', async () => {
    const world = await World.make();
    const { domain, console } = await world.rescue();
    const cat = await world.machine('cat');
    const invited = domain.invite(cat.candidate, 'carrier').catch((cause: unknown) => cause);
    await world.settle(Promise.all([domain.end('a'), domain.end('b')]));
    expect(await invited).toMatchObject({ code: 'domains.ended' });
    expect(console.events.filter((event) => event.startsWith('ended'))).toEqual(['ended a']);
  });
});

describe('a member’s tenure', () => {
  it('demotes it to observe, then wipes it, when the coordinator is silent', async () => {
    const world = await World.make();
    const { dogIn, dog, truckIn } = await world.rescue();
    const stopped: Mode[] = [];
    dogIn.whenWeaker((to) => {
      stopped.push(to);
    });
    world.broker.cut(dog.candidate.slug);
    await world.clock.advance(2_900);
    expect(dogIn.mode).toBe('actuate');
    await world.clock.advance(2_200);
    expect(dogIn.mode).toBe('observe');
    await expect(dogIn.publish('lidar', {}, { control: true })).rejects.toThrow(ModeTooLow);
    await expect(dogIn.ask(truckIn.agentId, {})).rejects.toThrow(ModeTooLow);
    await world.clock.advance(5_000);
    expect(dogIn.mode).toBe('ended');
    expect(stopped).toEqual(['observe', 'ended']);
    await world.clock.advance(5_000);
    expect(truckIn.roster().map(({ role }) => role)).toEqual(['coordinator', 'carrier']);
  });

  it('is taken up again when the coordinator answers in time', async () => {
    const world = await World.make();
    const { dogIn, dog } = await world.rescue();
    world.broker.cut(dog.candidate.slug);
    await world.clock.advance(6_000);
    expect(dogIn.mode).toBe('observe');
    world.broker.heal(dog.candidate.slug);
    await world.clock.advance(2_500);
    expect(dogIn.mode).toBe('actuate');
  });

  it('counts from when the nonce was sent: held-back and replayed echoes give nothing', async () => {
    const world = await World.make();
    const { dogIn, dog, domain } = await world.rescue();
    const inbox = `td1/${domain.domain}/in/${dog.candidate.slug}/`;
    const replay = () => {
      for (const { topic, payload } of world.broker.seen)
        if (topic.startsWith(inbox)) world.broker.lie(topic, payload, dog.candidate.slug);
    };
    await world.clock.advance(2_000);
    dog.hears = () => false;
    await world.clock.advance(3_900);
    dog.hears = () => true;
    replay();
    // The newest of them answers a nonce that was sent up to a heartbeat ago: not a moment is won.
    const until = dogIn.tenureUntil;
    expect(until).toBeGreaterThan(world.clock.elapsed() + 10_000 - 2_000);
    expect(until).toBeLessThan(world.clock.elapsed() + 10_000);
    dog.refused.length = 0;
    await world.clock.advance(100);
    replay();
    expect(dogIn.tenureUntil).toBe(until);
    expect(new Set(dog.refused.map(([check]) => check))).toEqual(new Set(['replay']));
    dog.hears = () => false;
    await world.clock.advance(until - world.clock.elapsed());
    expect(dogIn.mode).toBe('ended');
    dog.hears = () => true;
    replay();
    expect(dogIn.mode).toBe('ended');
  });
});

describe('a late member', () => {
  it('reads the whole log, gets a new epoch, and others see it', async () => {
    const world = await World.make();
    const { domain, dogIn, truckIn, truck } = await world.rescue();
    await world.settle(domain.evict(truckIn.agentId, 'broken'));
    await world.clock.advance(70_000);
    const cat = await world.machine('cat');
    const { joined } = await world.lobby(cat);
    const before = dogIn.epoch;
    await world.settle(domain.invite(cat.candidate, 'carrier'));
    expect(joined[0]?.roster()).toEqual(dogIn.roster());
    expect(dogIn.epoch).toBe(before + 1);
    expect(joined[0]?.grantsOf(dogIn.agentId)[0]?.grant.locations).toEqual([cat.candidate.agentId]);
    expect(truck.candidate.agentId).not.toBe(cat.candidate.agentId);
  });

  it('is refused when the group grant takes none', async () => {
    const world = await World.make();
    const console = await world.machine('console');
    const dog = await world.machine('dog');
    const domain = await world.convene(console, { bounds: { assignLate: false } });
    await world.lobby(dog);
    await world.clock.advance(61_000);
    const refused = await world.settle(
      domain.invite(dog.candidate, 'scout').catch((cause: unknown) => cause),
    );
    expect(refused).toMatchObject({ code: 'domains.handshake-refused', check: 'members' });
  });
});

describe('bounds of the group grant', () => {
  it('hold for the convener: role, holders, members, trust domain', async () => {
    const world = await World.make();
    const { domain } = await world.rescue();
    const check = async (work: Promise<void>) =>
      await world.settle(work.then(() => 'admitted').catch((cause: HandshakeRefused) => cause.check));
    const cat = await world.machine('cat');
    const owl = await world.machine('owl');
    const fox = await world.machine('fox');
    for (const machine of [cat, owl, fox]) await world.lobby(machine);
    expect(await check(domain.invite(cat.candidate, 'pilot'))).toBe('role');
    expect(
      await check(
        domain.invite({ ...cat.candidate, agentId: 'spiffe://elsewhere.example/agent/cat' }, 'scout'),
      ),
    ).toBe('trust-domain');
    expect(await check(domain.invite({ ...cat.candidate, wit: owl.candidate.wit }, 'scout'))).toBe(
      'identity',
    );
    expect(
      await check(
        domain.invite({ ...cat.candidate, lobbyCertificate: owl.candidate.lobbyCertificate }, 'scout'),
      ),
    ).toBe('lobby-certificate');
    expect(await check(domain.invite(cat.candidate, 'scout'))).toBe('admitted');
    expect(await check(domain.invite(cat.candidate, 'scout'))).toBe('members');
    expect(await check(domain.invite(owl.candidate, 'scout'))).toBe('role');
    expect(await check(domain.invite(owl.candidate, 'carrier'))).toBe('admitted');
    expect(await check(domain.invite(fox.candidate, 'carrier'))).toBe('members');
  });
});
