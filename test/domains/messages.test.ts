import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import { AskFailed, DomainEnded, NotAMember } from '../../src/domains/index.ts';
import { inboxTopic, multicastTopic } from '../../src/messaging/index.ts';
import { World } from './world.ts';

describe('messages in a domain', () => {
  it('reach every other member, with who said them', async () => {
    const world = await World.make();
    const { dogIn, truckIn, domain } = await world.rescue();
    const heard: unknown[] = [];
    const console: unknown[] = [];
    await truckIn.subscribe('lidar', (body, from, meta) => heard.push([body, from, meta.control, meta.mode]));
    const stop = await domain.membership.subscribe('lidar', (body, from) => console.push([body, from]));
    await dogIn.subscribe('lidar', () => heard.push('its own'));
    await dogIn.publish('lidar', { clear: true });
    await dogIn.publish('lidar', { clear: false }, { control: true });
    await world.clock.advance(10);
    expect(heard).toEqual([
      [{ clear: true }, dogIn.agentId, false, 'actuate'],
      [{ clear: false }, dogIn.agentId, true, 'actuate'],
    ]);
    expect(console).toEqual([
      [{ clear: true }, dogIn.agentId],
      [{ clear: false }, dogIn.agentId],
    ]);
    await stop();
    await dogIn.publish('lidar', { clear: true });
    await world.clock.advance(10);
    expect([heard.length, console.length]).toEqual([3, 2]);
  });

  it('are asked and answered between two members under their own key, once each', async () => {
    const world = await World.make({ duplicate: 0.5 }, 3);
    const { dogIn, truckIn, domain } = await world.rescue();
    const asked: unknown[] = [];
    truckIn.answer((body, from, meta) => {
      asked.push([body, from, meta.control]);
      return { done: true };
    });
    expect(await world.settle(dogIn.ask(truckIn.agentId, { act: 'lift' }))).toEqual({ done: true });
    expect(await world.settle(domain.membership.ask(truckIn.agentId, { act: 'lift' }))).toEqual({
      done: true,
    });
    await world.clock.advance(2_000);
    expect(asked).toEqual([
      [{ act: 'lift' }, dogIn.agentId, true],
      [{ act: 'lift' }, domain.membership.agentId, true],
    ]);
  });

  it('tell an asker a code, and never what went wrong inside', async () => {
    const world = await World.make();
    const { dogIn, truckIn } = await world.rescue();
    truckIn.answer(() => {
      throw new Error('the secret is 42');
    });
    const failed = await world.settle(dogIn.ask(truckIn.agentId, {}).catch((cause: AskFailed) => cause));
    expect(failed).toBeInstanceOf(AskFailed);
    expect(failed).toMatchObject({ reason: 'failed', message: expect.not.stringContaining('42') });
    await expect(dogIn.ask('spiffe://fleet.example/agent/cat', {})).rejects.toThrow(NotAMember);
    await expect(dogIn.ask(dogIn.agentId, {})).rejects.toThrow(NotAMember);
  });

  it('time out when nobody answers', async () => {
    const world = await World.make();
    const { dogIn, truckIn, truck } = await world.rescue();
    world.broker.cut(truck.candidate.slug);
    const failed = await world.settle(
      dogIn.ask(truckIn.agentId, {}, { timeoutMs: 1_500 }).catch((cause: unknown) => cause),
    );
    expect(failed).toMatchObject({ reason: 'silent' });
  });

  it('are refused by name: replayed, moved, altered, a stranger’s (UC-S1b)', async () => {
    const world = await World.make();
    const { dogIn, truckIn, truck, dog, domain } = await world.rescue();
    const heard: unknown[] = [];
    await truckIn.subscribe('lidar', (body) => heard.push(body));
    await truckIn.subscribe('motion', (body) => heard.push(body));
    const from = world.broker.seen.length;
    await dogIn.publish('lidar', { clear: true });
    await world.clock.advance(10);
    const sent = world.broker.seen.slice(from).find(({ topic }) => topic.includes('/m/'));
    if (sent === undefined) throw new Error('nothing was sent');
    const lie = (topic: string, payload: Uint8Array) =>
      world.broker.lie(topic, payload, truck.candidate.slug);
    lie(sent.topic, sent.payload);
    lie(multicastTopic(domain.domain, dog.candidate.slug, 'motion'), sent.payload);
    lie(multicastTopic(domain.domain, truck.candidate.slug, 'lidar'), sent.payload); // our own name: not even looked at
    lie(inboxTopic(domain.domain, truck.candidate.slug, dog.candidate.slug), sent.payload);
    const altered = sent.payload.slice();
    altered[altered.length - 1] = (altered[altered.length - 1] ?? 0) ^ 1;
    lie(sent.topic, altered);
    lie(sent.topic, utf8('hello'));
    await world.clock.advance(10);
    expect(heard).toEqual([{ clear: true }]);
    expect(truck.refused.map(([check]) => check)).toEqual(['replay', 'replay', 'replay', 'replay', 'form']);
  });

  it('moved to another topic before they arrived are refused at `seal`', async () => {
    const world = await World.make();
    const { dogIn, truckIn, truck, dog, domain } = await world.rescue();
    const heard: unknown[] = [];
    await truckIn.subscribe('lidar', (body) => heard.push(body));
    const from = world.broker.seen.length;
    await dogIn.publish('odometry', { clear: true });
    await dogIn.publish('odometry', { clear: true });
    await world.clock.advance(10);
    const [first, second] = world.broker.seen.slice(from).filter(({ topic }) => topic.includes('/m/'));
    if (first === undefined || second === undefined) throw new Error('nothing was sent');
    const lidar = multicastTopic(domain.domain, dog.candidate.slug, 'lidar');
    world.broker.lie(lidar, first.payload, truck.candidate.slug);
    const altered = second.payload.slice();
    altered[altered.length - 1] = (altered[altered.length - 1] ?? 0) ^ 1;
    world.broker.lie(lidar, altered, truck.candidate.slug);
    world.broker.lie(
      multicastTopic(domain.domain, domain.membership.roster()[0]?.slug ?? '', 'lidar'),
      second.payload,
      truck.candidate.slug,
    );
    expect(truck.refused.map(([check]) => check)).toEqual(['seal', 'seal', 'topic']);
    expect(heard).toEqual([]);
  });

  it('of the epoch before count for 2 s, control not at all', async () => {
    const world = await World.make();
    const { dogIn, truckIn, truck, domain } = await world.rescue();
    const heard: unknown[] = [];
    await truckIn.subscribe('lidar', (body) => heard.push(body));
    truck.hears = (topic) => !topic.includes('/m/');
    const from = world.broker.seen.length;
    await dogIn.publish('lidar', 'old', { lifeMs: 60_000 });
    await dogIn.publish('lidar', 'older', { lifeMs: 60_000 });
    await dogIn.publish('lidar', 'control', { control: true, lifeMs: 60_000 });
    const [old, older, control] = world.broker.seen.slice(from).filter(({ topic }) => topic.includes('/m/'));
    if (old === undefined || older === undefined || control === undefined)
      throw new Error('nothing was sent');
    const cat = await world.machine('cat');
    await world.lobby(cat);
    const { epoch } = truckIn;
    const rekeyed = new Promise((resolve) => truckIn.once('rekeyed', resolve));
    const invited = domain.invite(cat.candidate, 'scout');
    await world.settle(rekeyed);
    expect(truckIn.epoch).toBe(epoch + 1);
    truck.hears = () => true;
    world.broker.lie(old.topic, old.payload, truck.candidate.slug);
    world.broker.lie(control.topic, control.payload, truck.candidate.slug);
    await world.clock.advance(2_000);
    world.broker.lie(older.topic, older.payload, truck.candidate.slug);
    expect(heard).toEqual(['old']);
    expect(truck.refused.map(([check]) => check)).toEqual(['epoch', 'epoch']);
    await world.settle(invited);
  });

  it('of somebody who is no member are refused as such', async () => {
    const world = await World.make();
    const one = await world.rescue();
    const console2 = await world.machine('console-2');
    const cat = await world.machine('cat');
    const { joined } = await world.lobby(cat);
    const other = await world.convene(console2, { task: 'other-8' });
    await world.settle(other.invite(cat.candidate, 'scout'));
    await one.truckIn.subscribe('lidar', () => {});
    const from = world.broker.seen.length;
    await joined[0]?.publish('lidar', { clear: true });
    const sent = world.broker.seen.slice(from).find(({ topic }) => topic.includes('/m/'));
    if (sent === undefined) throw new Error('nothing was sent');
    world.broker.lie(multicastTopic(one.domain.domain, cat.candidate.slug, 'lidar'), sent.payload);
    world.broker.lie(multicastTopic(one.domain.domain, one.dog.candidate.slug, 'lidar'), sent.payload);
    await world.clock.advance(10);
    expect(one.truck.refused.map(([check]) => check)).toEqual(['unknown-sender', 'unknown-sender']);
  });

  it('are over with the domain', async () => {
    const world = await World.make();
    const { dogIn, domain } = await world.rescue();
    await world.settle(domain.end('done'));
    await expect(dogIn.publish('lidar', {})).rejects.toThrow(DomainEnded);
    await expect(dogIn.ask(domain.membership.agentId, {})).rejects.toThrow(DomainEnded);
    await expect(dogIn.subscribe('lidar', () => {})).rejects.toThrow(DomainEnded);
    expect(dogIn.roster()).toEqual([]);
    expect(dogIn.grantsOf(dogIn.agentId)).toEqual([]);
    expect(dogIn.mode).toBe('ended');
  });
});
