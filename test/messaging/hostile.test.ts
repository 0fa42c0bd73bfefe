import { connect as tlsConnect } from 'node:tls';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { concat, utf8 } from '../../src/core/bytes.ts';
import { pemOfCertificates } from '../../src/core/pem.ts';
import { pemOfKey } from '../../src/core/signer.ts';
import type { EmbeddedBroker } from '../../src/hub/broker.ts';
import { lobbyTopic } from '../../src/messaging/index.ts';
import type { Agent } from './broker-fixture.ts';
import { Fleet, mailbox } from './broker-fixture.ts';

/** Packets by hand (MQTT 3.1.1 §3), for what no well-behaved client sends. */
const string = (value: string) => {
  const bytes = utf8(value);
  return concat(Uint8Array.of(bytes.length >> 8, bytes.length & 255), bytes);
};
const packet = (head: number, ...parts: Uint8Array[]) => {
  const body = concat(...parts);
  return concat(
    Uint8Array.of(head, (body.length & 127) | (body.length > 127 ? 128 : 0)),
    ...(body.length > 127 ? [Uint8Array.of(body.length >> 7)] : []),
    body,
  );
};
const connect = (clientId: string, flags = 0x02, level = 4) =>
  packet(
    0x10,
    string('MQTT'),
    Uint8Array.of(level, flags, 0, 30),
    ...(level === 5 ? [Uint8Array.of(0)] : []),
    string(clientId),
  );
const publish = (topic: string, qos: 0 | 1 | 2) =>
  packet(0x30 | (qos << 1), string(topic), ...(qos > 0 ? [Uint8Array.of(0, 7)] : []), utf8('x'));
const subscribe = (filter: string, qos: number) =>
  packet(0x82, Uint8Array.of(0, 8), string(filter), Uint8Array.of(qos));

describe('a client of the embedded broker that keeps to no rule', () => {
  let fleet: Fleet;
  let broker: EmbeddedBroker;
  let dog: Agent;
  let truck: Agent;

  beforeAll(async () => {
    fleet = await Fleet.create();
    broker = await fleet.broker();
    dog = await fleet.agent('dog-03');
    truck = await fleet.agent('truck-01');
  });
  afterAll(() => broker.close());

  /** Sends `bytes` and returns what came back when the broker closed, or when `until` is done. */
  const say = (bytes: Uint8Array, until?: () => Promise<unknown>): Promise<Buffer> =>
    new Promise((resolve) => {
      const back: Buffer[] = [];
      const socket = tlsConnect({
        host: '127.0.0.1',
        port: broker.port,
        rejectUnauthorized: false,
        cert: pemOfCertificates(dog.chain),
        key: pemOfKey(dog.key),
      });
      socket.on('data', (chunk: Buffer) => back.push(chunk));
      socket.on('error', () => {});
      socket.on('close', () => resolve(Buffer.concat(back)));
      socket.write(bytes, () => {
        const done = () => socket.destroy();
        until?.().then(done, done);
      });
    });

  it('gets no session that outlives its connection', async () => {
    expect((await say(connect(dog.slug, 0x00))).subarray(0, 4)).toEqual(Buffer.of(0x20, 2, 0, 5));
  });

  it('gets no other version of the protocol', async () => {
    expect((await say(connect(dog.slug, 0x02, 5)))[0]).not.toBe(undefined);
    expect(broker.connected).not.toContain(dog.slug);
  });

  it('gets no QoS 2', async () => {
    const refused: string[] = [];
    const note = (_slug: string, what: string, detail: string) => refused.push(`${what} ${detail}`);
    broker.on('refused', note);
    const own = lobbyTopic(dog.slug);
    await say(concat(connect(dog.slug), subscribe(own, 2), publish(lobbyTopic(truck.slug), 2)));
    broker.off('refused', note);
    expect(refused).toEqual([`subscribe ${own}`, `publish ${lobbyTopic(truck.slug)}`]);
  });

  it('does not disturb the others, whatever it sends', async () => {
    const link = await fleet.link(broker.port, truck);
    const heard = mailbox();
    await link.subscribe(lobbyTopic(truck.slug), heard.handler);
    const garbage = fc.uint8Array({ maxLength: 300 });
    const pieces = fc.oneof(
      garbage,
      fc.constant(connect(dog.slug)),
      fc.constant(publish(lobbyTopic(truck.slug), 1)),
      fc.constant(subscribe('#', 1)),
      fc
        .tuple(
          fc.nat(255),
          garbage.filter((each) => each.length < 120),
        )
        .map(([head, body]) => packet(head, body)),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.array(pieces, { minLength: 1, maxLength: 5 }),
        async (proper, parts) => {
          const bytes = concat(...(proper ? [connect(dog.slug)] : []), ...parts);
          await say(bytes, () => link.publish(lobbyTopic(dog.slug), utf8('a round trip'), { qos: 1 }));
          expect(broker.connected).toContain(truck.slug);
        },
      ),
      { seed: 11, numRuns: 80 },
    );
    const before = heard.messages.length;
    await link.publish(lobbyTopic(truck.slug), utf8('to myself'), { qos: 1 });
    expect((await heard.until(before + 1)).at(-1)).toMatchObject({ text: 'to myself' });
    await link.close();
  });
});
