import { EventEmitter } from '../src/core/emitter.ts';
import type { Clock, Random } from '../src/core/platform.ts';
import { BrokerDesk } from '../src/hub/broker-desk.ts';
import type { OpenPermit } from '../src/hub/broker-domains.ts';
import { BrokerDomains } from '../src/hub/broker-domains.ts';
import type { BrokerAuthorizer } from '../src/messaging/authorizer.ts';
import { LinkClosed, PublishRefused, SubscribeRefused } from '../src/messaging/errors.ts';
import type {
  Link,
  LinkEvents,
  LinkMessage,
  PublishOptions,
  Subscription,
  Will,
} from '../src/messaging/link.ts';
import { payloadMax } from '../src/messaging/link.ts';
import { mayPublish, mayReceive, maySubscribe } from '../src/messaging/rights.ts';
import { matches, readTopic } from '../src/messaging/topics.ts';
import { pick, seededRandom } from './random.ts';

/** What the network between agents and broker does to deliveries. All by the seed. */
export interface BrokerFaults {
  /** Part of deliveries that are lost, also of acknowledged messages: a PUBACK is not a delivery. Default: 0. */
  drop?: number;
  /** Part of deliveries that arrive twice. Default: 0. */
  duplicate?: number;
  /** Shortest and longest delay in milliseconds; different delays reorder. Default: none, delivered at once. */
  delayMs?: readonly [min: number, max: number];
}

/** What a simulated broker is made of. */
export interface MemoryBrokerOptions {
  readonly seed: number | string;
  readonly clock: Clock;
  readonly faults?: BrokerFaults;
  /** Judges group grants. Default: every grant opens a domain for four hours. */
  readonly mayOpen?: (grant: string, slug: string, domain: string) => OpenPermit | Promise<OpenPermit>;
  /** Slugs that may publish news. Default: none. */
  readonly announcers?: readonly string[];
}

/**
 * A broker in memory with the rights of the embedded one, and every fault a broker can have: it loses, repeats, delays
 * and reorders by its seed; cuts agents off; and lies on demand, because nobody trusts it.
 */
export class MemoryBroker {
  /** May be changed at any time. */
  faults: BrokerFaults;
  /** Everything that was ever published, in order, as the broker saw it: what an attacker there has in hand. */
  readonly seen: LinkMessage[] = [];
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #domains: BrokerDomains;
  readonly #desk: BrokerDesk;
  readonly #links = new Map<string, MemoryLink>();
  readonly #retained = new Map<string, Uint8Array>();

  constructor(options: MemoryBrokerOptions) {
    this.faults = options.faults ?? {};
    this.#clock = options.clock;
    this.#random = seededRandom(options.seed, 'broker');
    this.#domains = new BrokerDomains(options.announcers ?? []);
    this.#desk = new BrokerDesk({
      clock: options.clock,
      domains: this.#domains,
      mayOpen: options.mayOpen ?? (() => ({ until: options.clock.now() + 4 * 3_600_000 })),
      kick: (slug) => this.bounce(slug),
      clear: (topic) => this.#retained.delete(topic),
    });
  }

  /** A link of the agent `slug`; a former one of the same agent is closed, as brokers do. */
  connect(slug: string, options: { readonly will?: () => Will | undefined } = {}): Link {
    this.#links.get(slug)?.drop();
    const link = new MemoryLink(this, slug, options.will);
    this.#links.set(slug, link);
    return link;
  }

  /** The rights of domains, for the coordinator `slug`. */
  authorizerFor(slug: string): BrokerAuthorizer {
    return this.#desk.authorizerFor(slug);
  }

  /** Cuts an agent off: its will is published, and it neither hears nor is heard until {@link heal}. */
  cut(slug: string): void {
    this.#links.get(slug)?.lose('cut off');
  }

  /** Lets an agent that was cut off connect again. */
  heal(slug: string): void {
    this.#links.get(slug)?.restore();
  }

  /** Breaks a connection, which comes back at once. */
  bounce(slug: string): void {
    const link = this.#links.get(slug);
    if (!link?.connected) return;
    link.lose('closed by the broker');
    queueMicrotask(() => link.restore());
  }

  /** The broker lies: delivers any bytes on any topic to whoever listens there (or to `to` alone), past all rights. */
  lie(topic: string, payload: Uint8Array, to?: string): void {
    for (const [slug, link] of this.#links)
      if (to === undefined || to === slug)
        link.receive({ topic, payload: new Uint8Array(payload), retained: false });
  }

  /** Stops what waits. */
  close(): void {
    this.#desk.close();
    for (const link of this.#links.values()) link.drop();
    this.#links.clear();
  }

  /** @internal */
  accept(slug: string, topic: string, payload: Uint8Array, how: PublishOptions): boolean {
    const read = readTopic(topic);
    const { retain = false } = how;
    if (!mayPublish(this.#domains, slug, read, { retain })) return false;
    const message = { topic, payload: new Uint8Array(payload), retained: false };
    this.seen.push(message);
    if (retain) {
      if (payload.length === 0) this.#retained.delete(topic);
      else this.#retained.set(topic, message.payload);
      if (read !== undefined && 'domain' in read) this.#desk.retained(read.domain, topic);
    }
    for (const [to, link] of this.#links) this.#deliver(to, link, message);
    return true;
  }

  /** @internal */
  grants(slug: string, filter: string): boolean {
    return maySubscribe(this.#domains, slug, filter);
  }

  /** @internal */
  kept(filter: string): readonly LinkMessage[] {
    return [...this.#retained]
      .filter(([topic]) => matches(filter, topic))
      .map(([topic, payload]) => ({ topic, payload, retained: true }));
  }

  #deliver(to: string, link: MemoryLink, message: LinkMessage): void {
    if (!link.listens(message.topic)) return;
    const { drop = 0, duplicate = 0, delayMs } = this.faults;
    if (drop > 0 && this.#chance() < drop) return;
    const times = duplicate > 0 && this.#chance() < duplicate ? 2 : 1;
    for (let i = 0; i < times; i++) {
      // The right to receive is asked when it is delivered: who was thrown out meanwhile gets nothing.
      const run = () => {
        if (mayReceive(this.#domains, to, readTopic(message.topic))) link.receive(message);
      };
      if (delayMs === undefined) queueMicrotask(run);
      else this.#clock.schedule(delayMs[0] + pick(this.#random, delayMs[1] - delayMs[0] + 1), run);
    }
  }

  #chance(): number {
    return pick(this.#random, 1_000_000) / 1_000_000;
  }
}

interface Listener {
  readonly filter: string;
  readonly handler: (message: LinkMessage) => void;
}

class MemoryLink extends EventEmitter<LinkEvents> implements Link {
  readonly #broker: MemoryBroker;
  readonly #slug: string;
  readonly #will: (() => Will | undefined) | undefined;
  #sealedWill: Will | undefined;
  #listeners: Listener[] = [];
  #waiting: (() => void)[] = [];
  #connected = true;
  #closed = false;
  #count = 1;

  constructor(broker: MemoryBroker, slug: string, will: (() => Will | undefined) | undefined) {
    super();
    this.#broker = broker;
    this.#slug = slug;
    this.#will = will;
    this.#sealedWill = will?.();
  }

  get connected(): boolean {
    return this.#connected;
  }

  async publish(topic: string, payload: Uint8Array, how: PublishOptions = {}): Promise<void> {
    if (topic === '' || /[+#\0]/.test(topic)) throw new TypeError('`topic` is not a topic to publish to');
    if (payload.length > payloadMax) throw new TypeError(`\`payload\` has more than ${payloadMax} bytes`);
    if (how.latestOnly && how.qos === 1) throw new TypeError('`latestOnly` is for QoS 0');
    if (!this.#connected && how.qos !== 1) return; // lost, as QoS 0 may be
    await this.#standing();
    const accepted = this.#broker.accept(this.#slug, topic, payload, how);
    if (!accepted && how.qos === 1) {
      this.emit('refused', 'publish', topic);
      throw new PublishRefused(topic);
    }
  }

  async subscribe(filter: string, handler: (message: LinkMessage) => void): Promise<Subscription> {
    await this.#standing();
    if (!this.#broker.grants(this.#slug, filter)) throw new SubscribeRefused(filter);
    const listener = { filter, handler };
    this.#listeners.push(listener);
    for (const message of this.#broker.kept(filter)) queueMicrotask(() => handler(message));
    return {
      filter,
      close: () => {
        this.#listeners = this.#listeners.filter((each) => each !== listener);
        return Promise.resolve();
      },
    };
  }

  close(): Promise<void> {
    this.#sealedWill = undefined; // a goodbye
    this.drop();
    return Promise.resolve();
  }

  drop(): void {
    this.#publishWill();
    this.#closed = true;
    this.#connected = false;
    this.#listeners = [];
    for (const wake of this.#waiting.splice(0)) wake();
  }

  lose(reason: string): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.#publishWill();
    this.emit('lost', reason);
  }

  restore(): void {
    if (this.#connected || this.#closed) return;
    this.#connected = true;
    this.#sealedWill = this.#will?.();
    const filters = new Set(this.#listeners.map((each) => each.filter));
    for (const filter of filters) {
      if (this.#broker.grants(this.#slug, filter)) {
        for (const message of this.#broker.kept(filter)) queueMicrotask(() => this.receive(message));
        continue;
      }
      // Kept, as links do; what may not be received is not delivered.
      this.emit('refused', 'subscribe', filter);
    }
    for (const wake of this.#waiting.splice(0)) wake();
    this.#count += 1;
    this.emit('connected', this.#count);
  }

  listens(topic: string): boolean {
    return this.#connected && this.#listeners.some((each) => matches(each.filter, topic));
  }

  receive(message: LinkMessage): void {
    if (!this.#connected) return;
    for (const each of [...this.#listeners])
      if (matches(each.filter, message.topic))
        each.handler({ ...message, payload: new Uint8Array(message.payload) });
  }

  #publishWill(): void {
    const will = this.#sealedWill;
    this.#sealedWill = undefined;
    if (will)
      this.#broker.accept(this.#slug, will.topic, will.payload, { qos: 1, retain: will.retain ?? true });
  }

  async #standing(): Promise<void> {
    while (!this.#connected && !this.#closed)
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    if (this.#closed) throw new LinkClosed('the link is closed');
  }
}
