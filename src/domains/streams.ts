import { messageOf } from '../core/errors.ts';
import type { Platform } from '../core/platform.ts';
import type { Link, LinkMessage, Subscription } from '../messaging/index.ts';
import { MessageRefused, readTopic } from '../messaging/index.ts';
import type { Channel } from './channel.ts';
import { EarlyMessages } from './early.ts';
import type { EpochRing } from './epochs.ts';
import type { MessageMeta } from './types.ts';

/** Called with what a member said. */
export type StreamHandler = (body: unknown, from: string, meta: MessageMeta) => void;

/** What {@link Streams} needs. */
export interface StreamsOptions {
  readonly platform: Platform;
  readonly link: Link;
  readonly channel: Channel;
  readonly ring: EpochRing;
  readonly graceMs: number;
  /** Our own slug: what we said ourselves is not heard. */
  readonly slug: string;
  /** A member's mode, or `undefined` when it is none. */
  readonly modeOf: (agentId: string) => MessageMeta['mode'] | undefined;
  /** Runs a handler; what it refuses is told, what it throws otherwise is a bug. */
  readonly guarded: (message: LinkMessage, handler: (message: LinkMessage) => void) => void;
  readonly refused: (check: string, topic: string) => void;
}

/**
 * What members tell all others, by stream. One subscription serves all handlers of a stream, because a message counts
 * once; control counts only in the current epoch and from members that may actuate.
 */
export class Streams {
  readonly #options: StreamsOptions;
  readonly #early: EarlyMessages;
  readonly #held = new Map<string, { handlers: Set<StreamHandler>; subscription: Promise<Subscription> }>();

  constructor(options: StreamsOptions) {
    this.#options = options;
    const { clock } = options.platform;
    this.#early = new EarlyMessages(clock, options.graceMs, ({ topic }) => options.refused('epoch', topic));
  }

  /** Hears what is said on `stream`; the result ends it. @throws {SubscribeRefused} */
  async listen(stream: string, filter: string, handler: StreamHandler): Promise<() => Promise<void>> {
    let held = this.#held.get(stream);
    if (held === undefined) {
      const { link, guarded } = this.#options;
      const hear = (message: LinkMessage) => guarded(message, (heard) => this.#multicast(heard, stream));
      held = { handlers: new Set(), subscription: link.subscribe(filter, hear, { qos: 1 }) };
      this.#held.set(stream, held);
    }
    const { handlers, subscription } = held;
    handlers.add(handler);
    try {
      await subscription;
    } catch (cause) {
      if (this.#held.get(stream)?.handlers === handlers) this.#held.delete(stream);
      throw cause;
    }
    return async () => {
      handlers.delete(handler);
      if (handlers.size > 0 || this.#held.get(stream)?.handlers !== handlers) return;
      this.#held.delete(stream);
      await (await subscription).close();
    };
  }

  /** A new epoch has begun: what was ahead of it is heard now. */
  release(): void {
    this.#early.release((message) => this.#options.guarded(message, () => this.#hear(message)));
  }

  /** Ends every subscription. */
  close(): void {
    this.#early.close();
    for (const { subscription } of this.#held.values())
      void subscription.then((held) => held.close()).catch(() => {}); // the connection may be gone
    this.#held.clear();
  }

  #multicast(message: LinkMessage, stream: string): void {
    const topic = readTopic(message.topic);
    if (topic?.kind !== 'multicast' || topic.stream !== stream) return;
    if (topic.from !== this.#options.slug) this.#hear(message);
  }

  /** @throws {MessageRefused} */
  #hear(message: LinkMessage): void {
    const { channel, ring, modeOf, platform } = this.#options;
    const topic = readTopic(message.topic);
    if (topic?.kind !== 'multicast') return;
    let opened: ReturnType<Channel['open']>;
    try {
      opened = channel.open(message);
    } catch (cause) {
      const ahead =
        cause instanceof MessageRefused && (cause.check === 'epoch' || cause.check === 'unknown-sender');
      if (ahead && this.#early.keep(message, ring.epoch)) return;
      throw cause;
    }
    const { type, from, body } = opened;
    const mode = modeOf(from);
    const control = type === 'control';
    const fault =
      mode === undefined
        ? 'unknown-sender'
        : !control && type !== 'data'
          ? 'type'
          : control && opened.epoch !== ring.epoch // there is no grace for control
            ? 'epoch'
            : control && mode !== 'actuate'
              ? 'mode'
              : undefined;
    if (mode === undefined || fault !== undefined) {
      this.#options.refused(fault ?? 'unknown-sender', message.topic);
      return;
    }
    const { stream } = topic;
    const meta: MessageMeta = {
      stream,
      sentAt: opened.ts,
      expiresAt: opened.exp,
      epoch: opened.epoch,
      control,
      mode,
    };
    for (const handler of this.#held.get(stream)?.handlers ?? []) {
      try {
        handler(body, from, meta);
      } catch (cause) {
        platform.log.warn('a stream handler failed', { stream, cause: messageOf(cause) });
      }
    }
  }
}
