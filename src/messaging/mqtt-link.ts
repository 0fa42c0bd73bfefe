import { EventEmitter } from '../core/emitter.ts';
import { messageOf } from '../core/errors.ts';
import type { DialOptions } from './dialer.ts';
import { Dialer } from './dialer.ts';
import { LinkClosed, SubscribeRefused } from './errors.ts';
import type { Link, LinkEvents, LinkMessage, PublishOptions, Subscription } from './link.ts';
import { payloadMax } from './link.ts';
import type { Connection } from './mqtt.ts';
import { Outbox } from './outbox.ts';
import { Subscriptions } from './subscriptions.ts';

/** Where and as whom a link connects, and how long it waits. */
export interface MqttLinkOptions extends DialOptions {
  /** Milliseconds without any acknowledgement after which the connection is taken for dead. Default: 20,000. */
  readonly ackTimeoutMs?: number;
  /** Most messages that wait, of each kind. Default: 1,000. */
  readonly queueMax?: number;
  /** Whether `connect` goes on trying when the broker cannot be reached at first. Default: false. */
  readonly keepTrying?: boolean;
  /** Closes the link. */
  readonly signal?: AbortSignal | undefined;
}

/** Longest pause before a refused subscription is asked for again. */
const askAgainMaxMs = 30_000;
/** A connection that stood this long was a good one: the next attempt does not wait longer than the first. */
const stableMs = 10_000;

/** A connection to an MQTT broker that comes back by itself. Create it with {@link MqttLink.connect}. */
export class MqttLink extends EventEmitter<LinkEvents> implements Link {
  readonly #options: MqttLinkOptions;
  readonly #ending = new AbortController();
  readonly #outbox: Outbox;
  readonly #subscriptions: Subscriptions;
  #connection: Connection | undefined;
  readonly #dialer: Dialer;
  #count = 0;
  #sinceMs = 0;
  #stopAckTimer: (() => void) | undefined;
  readonly #stopAsking = new Map<string, () => void>();
  #running: Promise<void> = Promise.resolve();

  private constructor(options: MqttLinkOptions) {
    super();
    this.#options = options;
    this.#outbox = new Outbox(options.queueMax ?? 1000);
    this.#subscriptions = new Subscriptions(options.platform.log);
    this.#dialer = new Dialer(
      options,
      this.#ending.signal,
      (message) => this.#subscriptions.deliver(message),
      () => this.#outbox.pump(),
    );
  }

  /**
   * Connects, and returns a link that stays connected as well as it can.
   *
   * @throws {Unreachable} `core.unreachable`, unless `keepTrying`.
   * @throws {ConnectRefused} `messaging.connect-refused`, unless `keepTrying`.
   */
  static async connect(options: MqttLinkOptions): Promise<MqttLink> {
    const link = new MqttLink(options);
    options.signal?.throwIfAborted();
    const abort = () => void link.close();
    options.signal?.addEventListener('abort', abort, { once: true, signal: link.#ending.signal });
    try {
      const first = options.keepTrying ? await link.#dialer.again() : await link.#dialer.once();
      await link.#up(first);
      link.#running = link.#maintain(first);
    } catch (error) {
      await link.close();
      throw error;
    }
    return link;
  }

  get connected(): boolean {
    return this.#connection !== undefined;
  }

  publish(topic: string, payload: Uint8Array, options: PublishOptions = {}): Promise<void> {
    const { qos = 0, retain = false, latestOnly = false } = options;
    if (topic === '' || topic.length > 512 || /[+#\0]/.test(topic))
      throw new TypeError('`topic` is not a topic to publish to');
    if (payload.length > payloadMax) throw new TypeError(`\`payload\` has more than ${payloadMax} bytes`);
    if (latestOnly && qos === 1) throw new TypeError('`latestOnly` is for QoS 0');
    const sent = this.#outbox.add(topic, payload, { qos, retain, latestOnly });
    this.#watchAcknowledgements();
    return qos === 0 ? sent : sent.finally(() => this.#watchAcknowledgements());
  }

  async subscribe(
    filter: string,
    handler: (message: LinkMessage) => void,
    options: { readonly qos?: 0 | 1 } = {},
  ): Promise<Subscription> {
    if (filter === '' || filter.length > 512) throw new TypeError('`filter` is not a topic filter');
    if (this.#ending.signal.aborted) throw new LinkClosed('the link is closed');
    const entry = this.#subscriptions.add(filter, handler, options.qos ?? 1);
    if (this.#connection !== undefined) void this.#ask(this.#connection, filter);
    await entry.granted;
    let open = true;
    return {
      filter,
      close: async () => {
        if (!open) return;
        open = false;
        if (this.#subscriptions.remove(filter, handler)) await this.#connection?.unsubscribe(filter);
      },
    };
  }

  async close(): Promise<void> {
    if (!this.#ending.signal.aborted) {
      this.#ending.abort(new LinkClosed('the link is closed'));
      this.#stopTimers();
      this.#outbox.close();
      this.#subscriptions.close(new LinkClosed('the link is closed'));
      const connection = this.#connection;
      this.#connection = undefined;
      if (connection) {
        connection.end();
        const late = new AbortController();
        await Promise.race([
          connection.closed,
          this.#options.platform.clock.sleep(1000, late.signal).catch(() => {}),
        ]);
        late.abort();
        connection.destroy();
      }
    }
    await this.#running;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #maintain(first: Connection): Promise<void> {
    let connection = first;
    try {
      for (;;) {
        const reason = await connection.closed;
        this.#down(reason);
        if (this.#ending.signal.aborted) return;
        connection = await this.#dialer.again();
        await this.#up(connection);
      }
    } catch (error) {
      if (!this.#ending.signal.aborted) throw error;
    }
  }

  /** Subscriptions first, then what waits: an answer never comes before we listen for it. */
  async #up(connection: Connection): Promise<void> {
    this.#connection = connection;
    this.#sinceMs = this.#options.platform.clock.elapsed();
    await Promise.all(this.#subscriptions.filters.map((filter) => this.#ask(connection, filter)));
    if (this.#connection !== connection || this.#ending.signal.aborted) return;
    this.#count += 1;
    this.#outbox.connected(connection);
    this.#watchAcknowledgements();
    this.#tell(() => this.emit('connected', this.#count));
  }

  #down(reason: string): void {
    this.#connection?.destroy();
    this.#connection = undefined;
    this.#stopTimers();
    if (this.#options.platform.clock.elapsed() - this.#sinceMs >= stableMs) this.#dialer.relax();
    if (this.#ending.signal.aborted) return;
    const refused = this.#outbox.lost();
    // The cause is known and gone.
    if (refused.length > 0) this.#dialer.relax();
    for (const topic of refused) this.#tell(() => this.emit('refused', 'publish', topic));
    this.#options.platform.log.info('link lost', { reason });
    this.#tell(() => this.emit('lost', reason));
  }

  /** A listener that throws must not end the link. */
  #tell(emit: () => void): void {
    try {
      emit();
    } catch (error) {
      this.#options.platform.log.warn('a listener of the link failed', { reason: messageOf(error) });
    }
  }

  async #ask(connection: Connection, filter: string): Promise<void> {
    const qos = this.#subscriptions.qosOf(filter);
    if (qos === undefined) return;
    let granted: boolean;
    try {
      granted = await connection.subscribe(filter, qos);
    } catch {
      return; // The connection is gone; it is asked again on the next one.
    }
    if (granted) {
      this.#subscriptions.granted(filter);
      return;
    }
    const refusals = this.#subscriptions.refused(filter, new SubscribeRefused(filter));
    if (refusals === 1) this.#tell(() => this.emit('refused', 'subscribe', filter));
    if (refusals === 0 || this.#connection !== connection) return;
    const wait = Math.min(askAgainMaxMs, 1000 * 2 ** Math.min(refusals - 1, 5));
    this.#stopAsking.get(filter)?.();
    this.#stopAsking.set(
      filter,
      this.#options.platform.clock.schedule(wait, () => void this.#ask(connection, filter)),
    );
  }

  #stopTimers(): void {
    this.#stopAckTimer?.();
    this.#stopAckTimer = undefined;
    for (const stop of this.#stopAsking.values()) stop();
    this.#stopAsking.clear();
  }

  /** While something is under way, an acknowledgement must come now and then. */
  #watchAcknowledgements(): void {
    this.#stopAckTimer?.();
    this.#stopAckTimer = undefined;
    const connection = this.#connection;
    if (connection === undefined || !this.#outbox.awaiting) return;
    this.#stopAckTimer = this.#options.platform.clock.schedule(this.#options.ackTimeoutMs ?? 20_000, () => {
      if (this.#outbox.awaiting) connection.destroy();
    });
  }
}
