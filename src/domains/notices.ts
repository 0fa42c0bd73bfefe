import { lobbyTopic } from '../messaging/index.ts';
import type { CoreOptions } from './core-options.ts';
import { detached } from './detached.ts';
import { domainMark, writeFrame } from './messages.ts';

/** How long after the first notice of an eviction the second one is sent; then twice as long, and so on. */
const FIRST_NOTICE_MS = 250;

/**
 * Tells those who were evicted. Their broker rights end at once and their connection breaks, so they are told in their
 * lobby, again and again until their tenure has ended anyway. Nothing depends on it: the keys are new already.
 */
export class EvictionNotices {
  readonly #options: CoreOptions;
  readonly #isBack: (agentId: string) => boolean;
  readonly #timers = new Set<() => void>();

  /** @param isBack whether somebody takes part again; it is told nothing more then. */
  constructor(options: CoreOptions, isBack: (agentId: string) => boolean) {
    this.#options = options;
    this.#isBack = isBack;
  }

  /** Sends a sealed notice from now on. */
  begin(agentId: string, slug: string, notice: Uint8Array): void {
    const { platform, link, times, domain } = this.#options;
    const frame = writeFrame({ kind: 6, connection: domainMark(domain), body: notice });
    const tell = (waitMs: number) => {
      if (this.#isBack(agentId)) return;
      detached(link.publish(lobbyTopic(slug), frame, { qos: 1 }), platform.log, 'a notice');
      if (waitMs < times.tenureMs) later(waitMs, waitMs * 2);
    };
    const later = (ms: number, next: number) => {
      const cancel = platform.clock.schedule(ms, () => {
        this.#timers.delete(cancel);
        tell(next);
      });
      this.#timers.add(cancel);
    };
    later(1, FIRST_NOTICE_MS);
  }

  /** Tells nobody any more. */
  close(): void {
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }
}
