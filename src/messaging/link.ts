/** One message as the broker delivered it. Nothing in it is proven: `open` the payload. */
export interface LinkMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** True when the broker kept it and sends it because of a new subscription. */
  readonly retained: boolean;
}

/** How a message is published. */
export interface PublishOptions {
  /** 0 telemetry: may be lost. 1 control: sent until the broker acknowledged. Never 2. Default: 0. */
  readonly qos?: 0 | 1;
  /** Whether the broker keeps it for later subscribers. Default: false. */
  readonly retain?: boolean;
  /**
   * While it waits, a newer message to the same topic replaces it (telemetry; QoS 0 only). The replaced one's promise
   * resolves: it is as good as lost, which QoS 0 allows. Default: false.
   */
  readonly latestOnly?: boolean;
}

/** Message the broker publishes when the connection breaks; sealed at connect time, so a hint and nothing more. */
export interface Will {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** Default: 1. */
  readonly qos?: 0 | 1;
  /** Default: true. */
  readonly retain?: boolean;
}

/** A subscription that was granted. */
export interface Subscription {
  readonly filter: string;
  /** Ends it; idempotent. */
  close(): Promise<void>;
}

/** What happens to a link. Telling is all they do. */
export interface LinkEvents {
  /** The connection stands and all subscriptions are asked for again; `count` is 1 for the first time. */
  connected: [count: number];
  /** The connection broke; the link tries again by itself. */
  lost: [reason: string];
  /**
   * The broker refuses a publish, or a subscription that it granted before: it is asked for again now and then until
   * it is closed, for a broker that started anew may only not know yet.
   */
  refused: [kind: 'publish' | 'subscribe', topic: string];
}

/** A connection to a broker, over which nobody trusts the broker. */
export interface Link {
  /** Whether the connection stands at this moment. */
  readonly connected: boolean;
  /**
   * Publishes `payload`. QoS 1: resolves when the broker acknowledged, which says "the broker heard it" and no more;
   * it may arrive twice. QoS 0: resolves when it was handed to the socket.
   *
   * @throws {TypeError} topic with a wildcard, payload above 128 KiB, `latestOnly` with QoS 1.
   * @throws {PublishRefused} `messaging.publish-refused`: the broker does not allow it.
   * @throws {QueueFull} `messaging.queue-full`: too much waits already.
   * @throws {LinkClosed} `messaging.link-closed`.
   */
  publish(topic: string, payload: Uint8Array, options?: PublishOptions): Promise<void>;
  /**
   * Asks for what matches `filter`, again after every reconnection. `handler` runs for each message and must not
   * throw; what it throws is logged. Several subscriptions to one filter share one at the broker.
   *
   * @throws {SubscribeRefused} `messaging.subscribe-refused`.
   * @throws {LinkClosed} `messaging.link-closed`.
   */
  subscribe(
    filter: string,
    handler: (message: LinkMessage) => void,
    options?: { readonly qos?: 0 | 1 },
  ): Promise<Subscription>;
  on<E extends keyof LinkEvents>(event: E, listener: (...args: LinkEvents[E]) => void): unknown;
  off<E extends keyof LinkEvents>(event: E, listener: (...args: LinkEvents[E]) => void): unknown;
  /** Lets go of the connection; the will is not published. What waits is rejected. Idempotent. */
  close(): Promise<void>;
}

/** Largest payload in bytes (AWS IoT Core's limit, which all brokers of ours keep). */
export const payloadMax = 128 * 1024;
