import type { Clock } from '../core/platform.ts';
import { readEnvelope } from '../messaging/envelope-form.ts';
import type { LinkMessage } from '../messaging/index.ts';

/** Most messages kept. */
const EARLY_MAX = 64;

/**
 * Messages of an epoch that others have begun and we have not: kept for as long as old ones would be accepted, so that
 * nothing is lost in the moment in which keys change.
 */
export class EarlyMessages {
  readonly #clock: Clock;
  readonly #keepMs: number;
  readonly #late: (message: LinkMessage) => void;
  #kept: { readonly message: LinkMessage; readonly cancel: () => void }[] = [];

  /** @param late called with a message whose epoch did not begin in time. */
  constructor(clock: Clock, keepMs: number, late: (message: LinkMessage) => void) {
    this.#clock = clock;
    this.#keepMs = keepMs;
    this.#late = late;
  }

  /** Keeps a message whose envelope names a later epoch than `epoch`. @returns whether it is kept. */
  keep(message: LinkMessage, epoch: number): boolean {
    if (this.#kept.length >= EARLY_MAX || this.#keepMs === 0) return false;
    const named = readEnvelope(message.payload)?.epoch ?? 0;
    if (epoch === 0 || named !== epoch + 1) return false;
    const kept = {
      message,
      cancel: this.#clock.schedule(this.#keepMs, () => {
        this.#kept = this.#kept.filter((other) => other !== kept);
        this.#late(message);
      }),
    };
    this.#kept.push(kept);
    return true;
  }

  /** Hands out what was kept, in order. */
  release(hear: (message: LinkMessage) => void): void {
    for (const { message, cancel } of this.#kept.splice(0)) {
      cancel();
      hear(message);
    }
  }

  /** Forgets everything. */
  close(): void {
    for (const { cancel } of this.#kept.splice(0)) cancel();
  }
}
