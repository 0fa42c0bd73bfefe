import { describe, expect, it } from 'vitest';
import type { Connection } from '../../src/messaging/mqtt.ts';
import { inFlightMax, Outbox } from '../../src/messaging/outbox.ts';

/** A connection that remembers what it was given and acknowledges when told to. */
function wire() {
  const sent: { topic: string; qos: 0 | 1; acknowledge: () => void }[] = [];
  const state = { backlog: 0 };
  const connection: Connection = {
    closed: new Promise(() => {}),
    get backlog() {
      return state.backlog;
    },
    publish: (topic, _payload, { qos }, acknowledge) => sent.push({ topic, qos, acknowledge }),
    subscribe: () => Promise.resolve(true),
    unsubscribe: () => Promise.resolve(),
    end: () => {},
    destroy: () => {},
  };
  return { connection, sent, state, topics: () => sent.map((each) => each.topic) };
}

const bytes = new Uint8Array(1);
const control = { qos: 1, retain: false, latestOnly: false } as const;
const plain = { qos: 0, retain: false, latestOnly: false } as const;
const telemetry = { qos: 0, retain: false, latestOnly: true } as const;

/** How each promise ended so far: `sent`, an error's code, or `waiting`. */
async function outcomes(promises: readonly Promise<void>[]): Promise<string[]> {
  const waiting = Symbol('waiting');
  return Promise.all(
    promises.map((each) =>
      Promise.race([
        each.then(
          () => 'sent',
          (error: { code: string }) => error.code,
        ),
        // Lets promises that are settled win.
        new Promise<symbol>((resolve) => setImmediate(() => resolve(waiting))),
      ]).then((end) => (typeof end === 'string' ? end : 'waiting')),
    ),
  );
}

describe('what waits to be sent', () => {
  it('has at most 32 acknowledged messages under way, in order', async () => {
    const box = new Outbox(1000);
    const line = wire();
    box.connected(line.connection);
    const all = Array.from({ length: 100 }, (_, i) => box.add(`t${i}`, bytes, control));
    expect(line.sent.length).toBe(inFlightMax);
    for (let i = 0; i < 100; i++) line.sent[i]?.acknowledge();
    expect(line.topics()).toEqual(Array.from({ length: 100 }, (_, i) => `t${i}`));
    expect(new Set(await outcomes(all))).toEqual(new Set(['sent']));
    expect(box.awaiting).toBe(false);
  });

  it('is bounded', async () => {
    const box = new Outbox(3);
    const all = [1, 2, 3, 4].map((i) => box.add(`c${i}`, bytes, control));
    const more = [1, 2, 3, 4].map((i) => box.add(`p${i}`, bytes, plain));
    expect(await outcomes([...all, ...more])).toEqual([
      'waiting',
      'waiting',
      'waiting',
      'messaging.queue-full',
      'waiting',
      'waiting',
      'waiting',
      'messaging.queue-full',
    ]);
  });

  it('keeps the newest of each telemetry topic only', async () => {
    const box = new Outbox(2);
    const all = ['pose', 'pose', 'battery', 'pose', 'third'].map((topic) => box.add(topic, bytes, telemetry));
    expect(await outcomes(all)).toEqual(['sent', 'sent', 'waiting', 'waiting', 'messaging.queue-full']);
    const line = wire();
    box.connected(line.connection);
    expect(line.topics()).toEqual(['pose', 'battery']);
    expect(await outcomes(all.slice(0, 4))).toEqual(['sent', 'sent', 'sent', 'sent']);
  });

  it('does not pile up in a socket that does not drain', () => {
    const box = new Outbox(1000);
    const line = wire();
    line.state.backlog = 2 << 20;
    box.connected(line.connection);
    void box.add('a', bytes, plain);
    expect(line.topics()).toEqual([]);
    line.state.backlog = 0;
    box.pump();
    expect(line.topics()).toEqual(['a']);
  });

  it('is sent again after the connection broke, one by one until acknowledged', () => {
    const box = new Outbox(1000);
    const first = wire();
    box.connected(first.connection);
    for (const topic of ['a', 'b', 'c']) void box.add(topic, bytes, control);
    first.sent[0]?.acknowledge();
    expect(box.lost()).toEqual([]);
    void box.add('d', bytes, control);
    void box.add('p', bytes, plain);
    const second = wire();
    box.connected(second.connection);
    expect(second.topics()).toEqual(['b']);
    second.sent[0]?.acknowledge();
    expect(second.topics()).toEqual(['b', 'c']);
    second.sent[1]?.acknowledge();
    expect(second.topics()).toEqual(['b', 'c', 'd', 'p']);
  });

  it('loses the one message the broker refuses, and no other', async () => {
    const box = new Outbox(1000);
    const topics = ['a', 'b', 'bad', 'c'];
    const all = topics.map((topic) => box.add(topic, bytes, control));
    // A broker that closes at `bad`; before, acknowledgements of what came earlier may be lost.
    let connections = 0;
    while (connections < 20) {
      connections += 1;
      const line = wire();
      box.connected(line.connection);
      let at = 0;
      while (at < line.sent.length && line.sent[at]?.topic !== 'bad') {
        if (connections > 1 || at > 0) line.sent[at]?.acknowledge();
        at += 1;
      }
      if (at === line.sent.length) break;
      box.lost();
    }
    expect(connections).toBeLessThanOrEqual(4);
    expect(await outcomes(all)).toEqual(['sent', 'sent', 'messaging.publish-refused', 'sent']);
  });

  it('is rejected when the link closes, and nothing is taken any more', async () => {
    const box = new Outbox(10);
    const all = [box.add('a', bytes, control), box.add('b', bytes, telemetry)];
    box.close();
    all.push(box.add('c', bytes, control));
    expect(await outcomes(all)).toEqual([
      'messaging.link-closed',
      'messaging.link-closed',
      'messaging.link-closed',
    ]);
  });
});
