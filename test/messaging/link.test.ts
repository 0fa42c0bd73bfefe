import { Duplex, PassThrough } from 'node:stream';
import { connect as tlsConnect } from 'node:tls';
import fc from 'fast-check';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { simulatedPlatform } from '../../simulator/platform.ts';
import { concat, utf8 } from '../../src/core/bytes.ts';
import { Unreachable } from '../../src/core/errors.ts';
import { pemOfCertificates } from '../../src/core/pem.ts';
import { pemOfKey } from '../../src/core/signer.ts';
import { EmbeddedBroker } from '../../src/hub/broker.ts';
import { wicClients } from '../../src/hub/broker-clients.ts';
import { LinkClosed, lobbyTopic, MqttLink, PublishRefused } from '../../src/messaging/index.ts';
import { limitPackets } from '../../src/messaging/packet-limit.ts';
import type { Agent } from './broker-fixture.ts';
import { Fleet, mailbox, next, platform } from './broker-fixture.ts';

let fleet: Fleet;
let dog: Agent;
let truck: Agent;
const open: { close(): Promise<void> }[] = [];
const keep = <T extends { close(): Promise<void> }>(each: T): T => {
  open.push(each);
  return each;
};

beforeAll(async () => {
  fleet = await Fleet.create();
  dog = await fleet.agent('dog-03');
  truck = await fleet.agent('truck-01');
});
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

const brokerAt = (port: number) =>
  EmbeddedBroker.start({
    platform,
    tls: { chain: fleet.serverChain, privateKeyPem: pemOfKey(fleet.serverKey) },
    verifyClient: wicClients({ anchors: () => [fleet.root.certificate], now: () => platform.clock.now() }),
    mayOpen: () => ({ until: platform.clock.now() + 60_000 }),
    port,
  });

describe('a link', () => {
  it('carries every message of a burst in order, far more than are under way at once', async () => {
    const broker = keep(await fleet.broker());
    const [a, b] = [keep(await fleet.link(broker.port, dog)), keep(await fleet.link(broker.port, truck))];
    const rights = broker.authorizerFor(dog.slug);
    await rights.openDomain('burst', { grant: 'may convene' });
    await rights.admit('burst', truck.slug);
    const heard = mailbox();
    await b.subscribe('td1/burst/m/+/+', heard.handler);
    const count = 500;
    await Promise.all(
      Array.from({ length: count }, (_, i) =>
        a.publish(`td1/burst/m/${dog.slug}/state`, utf8(`${i}`), { qos: 1 }),
      ),
    );
    const texts = (await heard.until(count)).map((each) => each.text);
    expect(texts).toEqual(Array.from({ length: count }, (_, i) => `${i}`));
  });

  it('comes back when the broker does, with its subscriptions and what waited', async () => {
    const first = await brokerAt(0);
    const { port } = first;
    const [a, b] = [keep(await fleet.link(port, dog)), keep(await fleet.link(port, truck))];
    const heard = mailbox();
    await b.subscribe(lobbyTopic(truck.slug), heard.handler);
    const lost = Promise.all([next(a, 'lost'), next(b, 'lost')]);
    await first.close();
    await lost;
    expect([a.connected, b.connected]).toEqual([false, false]);
    const listening = next(b, 'connected');
    const waiting: string[] = [];
    const sends = ['one', 'two'].map(async (text) => {
      await listening;
      await a.publish(lobbyTopic(truck.slug), utf8(text), { qos: 1 });
      waiting.push(text);
    });
    expect(waiting).toEqual([]);
    keep(await brokerAt(port));
    await Promise.all(sends);
    expect((await heard.until(2)).map((each) => each.text)).toEqual(['one', 'two']);
  });

  it('reports a refused publish instead of sending it for ever, and sends the rest', async () => {
    const broker = keep(await fleet.broker());
    let connects = 0;
    broker.on('connected', (slug) => {
      if (slug === dog.slug) connects += 1;
    });
    const [a, b] = [keep(await fleet.link(broker.port, dog)), keep(await fleet.link(broker.port, truck))];
    const heard = mailbox();
    await b.subscribe(lobbyTopic(truck.slug), heard.handler);
    const to = lobbyTopic(truck.slug);
    const sends = await Promise.allSettled([
      a.publish(to, utf8('1'), { qos: 1 }),
      a.publish('home/front-door/set', utf8('open'), { qos: 1 }),
      a.publish(to, utf8('2'), { qos: 1 }),
      a.publish(to, utf8('3'), { qos: 1 }),
    ]);
    expect(sends.map((each) => each.status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
    expect(sends[1]).toMatchObject({
      reason: { code: 'messaging.publish-refused', topic: 'home/front-door/set' },
    });
    // Once more for each loss, and no more.
    expect(connects).toBeLessThanOrEqual(5);
    await a.publish(to, utf8('4'), { qos: 1 });
    expect(connects).toBeLessThanOrEqual(5);
    // What was under way when the connection broke may come twice.
    let texts: string[] = [];
    while (!texts.includes('4')) texts = (await heard.until(texts.length + 1)).map((each) => each.text);
    expect(new Set(texts)).toEqual(new Set(['1', '2', '3', '4']));
  });

  it('closes once, rejects what waits, and takes nothing more', async () => {
    const broker = keep(await fleet.broker());
    const link = await fleet.link(broker.port, dog);
    const gone = new Promise<void>((resolve) => {
      broker.once('disconnected', () => resolve());
    });
    await Promise.all([link.close(), link.close()]);
    await gone;
    await expect(link.publish(lobbyTopic(truck.slug), utf8('x'), { qos: 1 })).rejects.toThrow(LinkClosed);
    await expect(link.subscribe(lobbyTopic(dog.slug), () => {})).rejects.toThrow(LinkClosed);
    expect(link.connected).toBe(false);
  });

  it('closes when its signal is aborted, also while it looks for a broker', async () => {
    const broker = await fleet.broker();
    const { port } = broker;
    const stop = new AbortController();
    const link = await fleet.link(port, dog, { signal: stop.signal });
    const lost = next(link, 'lost');
    await broker.close();
    await lost;
    const waits = link.publish(lobbyTopic(truck.slug), utf8('x'), { qos: 1 });
    stop.abort();
    await expect(waits).rejects.toThrow(LinkClosed);
    await link.close();
  });

  it('refuses addresses that are not TLS beyond loopback, and arguments that cannot be meant', async () => {
    const wrong = ['mqtt://broker.example:1883', 'https://127.0.0.1', 'not a url'];
    for (const url of wrong)
      await expect(MqttLink.connect({ platform, url, clientId: dog.slug }), url).rejects.toThrow(TypeError);
    const broker = keep(await fleet.broker());
    const link = keep(await fleet.link(broker.port, dog));
    expect(() => link.publish('td1/+', utf8('x'))).toThrow(TypeError);
    expect(() => link.publish('a', new Uint8Array(128 * 1024 + 1))).toThrow(TypeError);
    expect(() => link.publish('a', utf8('x'), { qos: 1, latestOnly: true })).toThrow(TypeError);
  });

  it('goes on when a handler or a listener throws', async () => {
    const broker = keep(await fleet.broker());
    const link = keep(await fleet.link(broker.port, dog));
    const other = keep(await fleet.link(broker.port, truck));
    const heard = mailbox();
    await link.subscribe(lobbyTopic(dog.slug), () => {
      throw new Error('a fault of ours');
    });
    await link.subscribe(lobbyTopic(dog.slug), heard.handler);
    link.on('refused', () => {
      throw new Error('another');
    });
    await expect(link.publish('home/x', utf8('x'), { qos: 1 })).rejects.toThrow(PublishRefused);
    await next(link, 'connected');
    await other.publish(lobbyTopic(dog.slug), utf8('hello'), { qos: 1 });
    expect(await heard.until(1)).toMatchObject([{ text: 'hello' }]);
  });

  it('waits longer after each failure, never more than 30 s, and tries all nodes of a cluster', async () => {
    const asked: { port: number; at: number }[] = [];
    const simulated = simulatedPlatform({
      seed: 3,
      network: {
        request: () => Promise.reject(new Unreachable('none')),
        connect: ({ port }) => {
          asked.push({ port, at: simulated.clock.elapsed() });
          return Promise.reject(new Unreachable('nobody there'));
        },
      },
    });
    const stop = new AbortController();
    const link = MqttLink.connect({
      platform: simulated,
      url: ['mqtt://127.0.0.1:1', 'mqtt://127.0.0.1:2'],
      clientId: dog.slug,
      keepTrying: true,
      signal: stop.signal,
    });
    link.catch(() => {});
    await simulated.clock.advance(300_000);
    const gaps = asked.slice(1).map((each, i) => each.at - (asked[i]?.at ?? 0));
    expect(gaps.length).toBeGreaterThan(10);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(30_000);
    expect(gaps[0]).toBeLessThanOrEqual(200);
    expect(gaps.at(-1)).toBeGreaterThanOrEqual(15_000);
    expect(new Set(asked.map((each) => each.port))).toEqual(new Set([1, 2]));
    stop.abort();
    await expect(link).rejects.toThrow();
  });

  it('fails at once when told not to go on trying', async () => {
    const simulated = simulatedPlatform({ seed: 4 });
    await expect(
      MqttLink.connect({ platform: simulated, url: 'mqtt://127.0.0.1:1', clientId: dog.slug }),
    ).rejects.toThrow(Unreachable);
  });

  it('gives up on a broker that accepts the connection and says nothing', async () => {
    const simulated = simulatedPlatform({
      seed: 5,
      network: {
        request: () => Promise.reject(new Unreachable('none')),
        connect: () => Promise.resolve(new PassThrough({ read: () => {}, write: (_c, _e, done) => done() })),
      },
    });
    const attempt = MqttLink.connect({ platform: simulated, url: 'mqtt://127.0.0.1:1', clientId: dog.slug });
    attempt.catch(() => {});
    await simulated.clock.advance(5001);
    await expect(attempt).rejects.toThrow(Unreachable);
  });
});

describe('an MQTT packet above the limit', () => {
  /** A socket whose other end is in the test's hand. */
  function pair() {
    const far = new PassThrough();
    const near = Duplex.from({ readable: far, writable: new PassThrough() });
    return { far, limited: limitPackets(near, 1000) };
  }

  it('closes the connection at its header, whatever the chunks', async () => {
    const packet = (length: number, announced = length) => {
      const digits: number[] = [];
      let left = announced;
      do {
        digits.push((left % 128) | (left >= 128 ? 0x80 : 0));
        left = Math.floor(left / 128);
      } while (left > 0);
      return concat(Uint8Array.of(0x30, ...digits), new Uint8Array(length).fill(0xff));
    };
    const lengths = fc.array(fc.nat(1000), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(lengths, fc.integer({ min: 1, max: 700 }), fc.boolean(), async (good, step, bad) => {
        const { far, limited } = pair();
        const received: Buffer[] = [];
        limited.on('data', (chunk: Buffer) => received.push(chunk));
        const ended = new Promise<string>((resolve) => {
          limited.once('error', () => resolve('refused'));
          limited.once('end', () => resolve('passed'));
        });
        const fine = concat(...good.map((length) => packet(length)));
        const all = bad ? concat(fine, packet(10, 1001)) : fine;
        for (let at = 0; at < all.length; at += step) far.write(all.subarray(at, at + step));
        far.end();
        expect(await ended).toBe(bad ? 'refused' : 'passed');
        if (!bad) expect(Buffer.concat(received)).toEqual(Buffer.from(fine));
        limited.destroy();
      }),
      { seed: 10, numRuns: 60 },
    );
  });

  it('is not awaited by the embedded broker', async () => {
    const broker = keep(await fleet.broker());
    const socket = tlsConnect({
      host: '127.0.0.1',
      port: broker.port,
      rejectUnauthorized: false,
      cert: pemOfCertificates(dog.chain),
      key: pemOfKey(dog.key),
    });
    socket.on('error', () => {});
    const closed = new Promise<void>((resolve) => {
      socket.once('close', () => resolve());
    });
    // PUBLISH with a remaining length of 256 MB - 1.
    socket.write(Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0x7f));
    await closed;
    expect(broker.connected).toEqual([]);
  });
});
