import { LinkClosed, PublishRefused, QueueFull } from './errors.ts';
import type { Connection } from './mqtt.ts';

/** Most QoS 1 messages sent and not yet acknowledged: more of them turns a broker's hiccup into a minute's outage. */
export const inFlightMax = 32;
/** Bytes waiting in the socket above which nothing more is handed to it. */
const backlogMax = 1 << 20;
/** How often the connection must break with one message alone under way before that message is called refused. */
const lonelyLossesMax = 2;

interface Waiting {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1;
  readonly retain: boolean;
  lonelyLosses: number;
  /** Sent while nothing else is, to learn whether it is the one the broker refuses. */
  probing: boolean;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * What a link still has to send. QoS 1 waits in order, at most 32 of them under way; telemetry keeps only the newest
 * of each topic.
 *
 * A broker of MQTT 3.1.1 can refuse a publish only by closing the connection, and does not say which. So what was
 * under way when it closed is sent again one by one, and a message with which alone the connection broke twice is
 * taken out and reported instead of being sent for ever.
 */
export class Outbox {
  readonly #queueMax: number;
  readonly #control: Waiting[] = [];
  readonly #plain: Waiting[] = [];
  readonly #latest = new Map<string, Waiting>();
  #suspects: Waiting[] = [];
  #underWay = new Set<Waiting>();
  #connection: Connection | undefined;
  #closed = false;

  /** @param queueMax most messages of each kind that wait. */
  constructor(queueMax: number) {
    this.#queueMax = queueMax;
  }

  /** Whether something was sent at QoS 1 and is not acknowledged. */
  get awaiting(): boolean {
    return this.#underWay.size > 0;
  }

  add(
    topic: string,
    payload: Uint8Array,
    how: { readonly qos: 0 | 1; readonly retain: boolean; readonly latestOnly: boolean },
  ): Promise<void> {
    if (this.#closed) return Promise.reject(new LinkClosed('the link is closed'));
    const { qos, retain } = how;
    const replaced = how.latestOnly ? this.#latest.get(topic) : undefined;
    const queue = qos === 1 ? this.#control.length : how.latestOnly ? this.#latest.size : this.#plain.length;
    if (replaced === undefined && queue >= this.#queueMax)
      return Promise.reject(new QueueFull(`${queue} messages wait already`));
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        topic,
        payload,
        qos,
        retain,
        lonelyLosses: 0,
        probing: false,
        resolve,
        reject,
      };
      if (how.latestOnly) {
        this.#latest.set(topic, waiting);
        replaced?.resolve();
      } else (qos === 1 ? this.#control : this.#plain).push(waiting);
      this.pump();
    });
  }

  /** A connection stands: what is left goes out over it. */
  connected(connection: Connection): void {
    this.#connection = connection;
    this.pump();
  }

  /** The connection broke. @returns the topics of messages that are called refused. */
  lost(): string[] {
    this.#connection = undefined;
    const alone = this.#underWay.size === 1 ? [...this.#underWay][0] : undefined;
    if (alone) alone.lonelyLosses += 1;
    this.#suspects = [...this.#underWay, ...this.#suspects];
    this.#underWay = new Set();
    const refused = this.#suspects.filter((each) => each.lonelyLosses >= lonelyLossesMax);
    this.#suspects = this.#suspects.filter((each) => each.lonelyLosses < lonelyLossesMax);
    for (const each of this.#suspects) each.probing = true;
    for (const each of refused) each.reject(new PublishRefused(each.topic));
    return refused.map((each) => each.topic);
  }

  /** Rejects everything that waits. */
  close(): void {
    this.#closed = true;
    this.#connection = undefined;
    const all = [
      ...this.#underWay,
      ...this.#suspects,
      ...this.#control,
      ...this.#plain,
      ...this.#latest.values(),
    ];
    this.#underWay.clear();
    this.#suspects = [];
    this.#control.length = 0;
    this.#plain.length = 0;
    this.#latest.clear();
    for (const each of all) each.reject(new LinkClosed('the link was closed before it was sent'));
  }

  /** Hands to the socket what may go now. */
  pump(): void {
    for (;;) {
      const connection = this.#connection;
      if (connection === undefined || connection.backlog > backlogMax) return;
      const next = this.#next();
      if (next === undefined) return;
      if (next.qos === 1) this.#underWay.add(next);
      connection.publish(next.topic, next.payload, next, () => {
        if (next.qos === 0 || !this.#underWay.delete(next)) return;
        next.resolve();
        this.pump();
      });
      if (next.qos === 0) next.resolve();
    }
  }

  #next(): Waiting | undefined {
    // While a suspect is under way nothing else is, or the wrong one would be blamed.
    if (this.#suspects.length > 0) return this.#underWay.size === 0 ? this.#suspects.shift() : undefined;
    const [only] = this.#underWay;
    if (only?.probing) return undefined;
    if (this.#underWay.size < inFlightMax && this.#control.length > 0) return this.#control.shift();
    if (this.#plain.length > 0) return this.#plain.shift();
    const [latest] = this.#latest;
    if (latest === undefined) return undefined;
    this.#latest.delete(latest[0]);
    return latest[1];
  }
}
