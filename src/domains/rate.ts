import type { Clock } from '../core/platform.ts';

/** A token bucket: `take` says whether one more may be looked at now. */
export class Rate {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;

  constructor(clock: Clock, perSecond: number, burst: number) {
    if (!(perSecond > 0 && burst >= 1)) throw new TypeError('`perSecond` and `burst` must be positive');
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = clock.elapsed();
  }

  take(): boolean {
    const now = this.#clock.elapsed();
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

/** Which messages came before, by time and never by count: a full one takes nothing new. */
export class SeenOnce<T> {
  readonly #clock: Clock;
  readonly #keepMs: number;
  readonly #max: number;
  readonly #seen = new Map<string, { readonly until: number; value: T | undefined }>();

  constructor(clock: Clock, keepMs: number, max: number) {
    this.#clock = clock;
    this.#keepMs = keepMs;
    this.#max = max;
  }

  /** `new` and remembered, `seen` before, or `full`. */
  admit(id: string): 'new' | 'seen' | 'full' {
    const now = this.#clock.elapsed();
    for (const [old, { until }] of this.#seen) {
      if (until > now) break; // oldest first, because all are kept equally long
      this.#seen.delete(old);
    }
    if (this.#seen.has(id)) return 'seen';
    if (this.#seen.size >= this.#max) return 'full';
    this.#seen.set(id, { until: now + this.#keepMs, value: undefined });
    return 'new';
  }

  /** What was kept beside it. */
  valueOf(id: string): T | undefined {
    return this.#seen.get(id)?.value;
  }

  /** Keeps something beside it. */
  keep(id: string, value: T): void {
    const held = this.#seen.get(id);
    if (held !== undefined) held.value = value;
  }
}
