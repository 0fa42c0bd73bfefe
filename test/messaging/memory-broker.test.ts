import { describe, expect, it } from 'vitest';
import { MemoryBroker } from '../../simulator/broker.ts';
import type { VirtualClock } from '../../simulator/clock.ts';
import { virtualClock } from '../../simulator/clock.ts';
import { utf8 } from '../../src/core/bytes.ts';
import {
  inboxTopic,
  LinkClosed,
  lifeTopic,
  lobbyTopic,
  multicastFilter,
  multicastTopic,
  PublishRefused,
  SubscribeRefused,
} from '../../src/messaging/index.ts';
import { mailbox } from './broker-fixture.ts';

const [console_, dog, truck] = ['aaaaaaaaaaaaa', 'bbbbbbbbbbbbb', 'ccccccccccccc'];
const domain = 'rescue-7';
const state = multicastTopic(domain, dog, 'state');

async function rescue(clock: VirtualClock = virtualClock(), seed = 1) {
  const broker = new MemoryBroker({ seed, clock });
  const rights = broker.authorizerFor(console_);
  await rights.openDomain(domain, { grant: 'any' });
  await rights.admit(domain, [dog, truck]);
  const [c, d, t] = [broker.connect(console_), broker.connect(dog), broker.connect(truck)];
  const heard = mailbox();
  await t.subscribe(multicastFilter(domain), heard.handler);
  return { broker, clock, rights, c, d, t, heard };
}

describe('a broker in memory', () => {
  it('has the rights of the embedded one', async () => {
    const { broker, d, heard } = await rescue();
    const stranger = broker.connect('ddddddddddddd');
    await expect(stranger.subscribe(multicastFilter(domain), () => {})).rejects.toThrow(SubscribeRefused);
    await expect(stranger.publish(state, utf8('x'), { qos: 1 })).rejects.toThrow(PublishRefused);
    await stranger.publish(state, utf8('x'));
    await d.publish(state, utf8('mine'), { qos: 1 });
    expect((await heard.until(1)).map((each) => each.text)).toEqual(['mine']);
  });

  it('loses, repeats and reorders the same way for the same seed, and otherwise for another', async () => {
    const run = async (seed: number) => {
      const { broker, clock, d, heard } = await rescue(virtualClock(), seed);
      broker.faults = { drop: 0.2, duplicate: 0.2, delayMs: [1, 50] };
      for (let i = 0; i < 100; i++) await d.publish(state, utf8(`${i}`));
      await clock.advance(51);
      return heard.messages.map((each) => Number(each.text));
    };
    const one = await run(1);
    expect(await run(1)).toEqual(one);
    expect(await run(2)).not.toEqual(one);
    expect(new Set(one).size).toBeLessThan(100);
    expect(one.length).toBeGreaterThan(new Set(one).size);
    expect(one).not.toEqual([...one].sort((a, b) => a - b));
  });

  it('delivers nothing that was under way to one who was thrown out meanwhile', async () => {
    const { broker, clock, rights, d, t, heard } = await rescue();
    const lost: string[] = [];
    t.on('lost', (reason) => lost.push(reason));
    broker.faults = { delayMs: [10, 10] };
    await d.publish(state, utf8('late'));
    await rights.evict(domain, truck);
    await clock.advance(20);
    expect(heard.messages).toEqual([]);
    expect(lost).toHaveLength(1);
    await expect(t.publish(inboxTopic(domain, dog, truck), utf8('x'), { qos: 1 })).rejects.toThrow(
      PublishRefused,
    );
  });

  it('cuts an agent off, publishes its will, and lets it back with its subscriptions', async () => {
    const { broker, c, d, t, heard } = await rescue();
    const will = () => ({ topic: lifeTopic(domain, truck), payload: utf8('death'), retain: true });
    const again = broker.connect(truck, { will });
    expect(t.connected).toBe(false);
    await again.subscribe(multicastFilter(domain), heard.handler);
    const lives = mailbox();
    await c.subscribe(`td1/${domain}/life/+`, lives.handler);
    broker.cut(truck);
    expect(await lives.until(1)).toMatchObject([{ text: 'death' }]);
    const waits = again.publish(lobbyTopic(dog), utf8('when I am back'), { qos: 1 });
    await d.publish(state, utf8('unheard'));
    broker.heal(truck);
    await waits;
    await d.publish(state, utf8('heard'));
    expect((await heard.until(1)).map((each) => each.text)).toEqual(['heard']);
  });

  it('lies when told to', async () => {
    const { broker, d, heard } = await rescue();
    await d.publish(state, utf8('true'));
    await heard.until(1);
    const [seen] = broker.seen;
    broker.lie(multicastTopic(domain, console_, 'order'), seen?.payload ?? utf8(''), truck);
    expect(heard.messages.at(-1)).toMatchObject({
      topic: multicastTopic(domain, console_, 'order'),
      text: 'true',
    });
  });

  it('ends domains at the time their grant says', async () => {
    const { clock, d } = await rescue();
    await clock.advance(4 * 3_600_000);
    await expect(d.publish(state, utf8('x'), { qos: 1 })).rejects.toThrow(PublishRefused);
  });

  it('closes', async () => {
    const { broker, d } = await rescue();
    broker.close();
    await expect(d.publish(state, utf8('x'), { qos: 1 })).rejects.toThrow(LinkClosed);
  });
});
