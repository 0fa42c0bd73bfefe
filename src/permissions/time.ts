import { text, utf8 } from '../core/bytes.ts';
import type { Clock, Store } from '../core/platform.ts';
import type { Moment, Truth } from './evaluation.ts';
import { FALSE, TRUE, UNKNOWN } from './evaluation.ts';

const MARK = 'permissions/time';
/** The high-water mark is written again when it has risen by so much. */
const MARK_STEP_MS = 60_000;
/** A trusted clock that steps back by less (NTP) only stands still; by more, it is no longer trusted. */
const BACKWARD_TOLERANCE_MS = 5_000;

/** How time becomes trusted. */
export interface TimeTrustOptions {
  readonly clock: Clock;
  readonly store: Store;
  /**
   * Whether the machine's own wall clock is believed (a battery-backed, synchronised clock; a laptop).
   * Default: false, so that time is bounded from above only after a round trip with the authority.
   */
  readonly trustClock?: boolean | undefined;
  /** Greatest drift of the elapsed clock in parts per million. Default: 100. */
  readonly driftPpm?: number | undefined;
}

/**
 * What is known of the true time: an interval [lo, hi] in milliseconds since 1970 (design.md section 6, Time).
 * lo rises with every verified statement of the authority and never falls, also over restarts;
 * hi exists after a nonce round trip with the authority (plus elapsed time) or from a trusted clock.
 */
export class TimeTrust {
  readonly #clock: Clock;
  readonly #store: Store;
  readonly #trustClock: boolean;
  readonly #drift: number;
  readonly #listeners = new Set<() => void>();
  #lo: number;
  #loAt: number;
  #hi = Number.POSITIVE_INFINITY;
  #hiAt = 0;
  #written: number;
  #writing: Promise<void> = Promise.resolve();

  private constructor(options: TimeTrustOptions, mark: number) {
    this.#clock = options.clock;
    this.#store = options.store;
    this.#trustClock = options.trustClock ?? false;
    this.#drift = (options.driftPpm ?? 100) / 1e6;
    this.#lo = mark;
    this.#loAt = options.clock.elapsed();
    this.#written = mark;
  }

  /** Reads the stored high-water mark. A mark that cannot be read counts as none. */
  static async open(options: TimeTrustOptions): Promise<TimeTrust> {
    const stored = await options.store.read(MARK);
    const mark = stored === undefined ? 0 : Number(text(stored));
    return new TimeTrust(options, Number.isSafeInteger(mark) && mark > 0 ? mark : 0);
  }

  /** The interval now. `hi` is `Infinity` when nothing bounds the time from above. */
  interval(): { readonly lo: number; readonly hi: number } {
    if (this.#trustClock) return this.#fromClock();
    const elapsed = this.#clock.elapsed();
    const lo = this.#lo + (elapsed - this.#loAt) * (1 - this.#drift);
    const hi = this.#hi + (elapsed - this.#hiAt) * (1 + this.#drift);
    this.#mark(lo);
    return { lo, hi };
  }

  /** Whether it is before `at` (milliseconds since 1970). */
  before(at: number): Truth {
    const { lo, hi } = this.interval();
    return hi < at ? TRUE : lo >= at ? FALSE : UNKNOWN;
  }

  /** Something the authority signed at `at` (milliseconds since 1970, an `iat`) was verified: it is at least so late. */
  observed(at: number): void {
    if (!Number.isFinite(at)) throw new TypeError('`at` must be a number');
    const { lo, hi } = this.interval();
    if (at <= lo) return;
    this.#lo = at;
    this.#loAt = this.#clock.elapsed();
    // Later than the latest it can be: what bounded it was wrong.
    if (at > hi) this.#hi = Number.POSITIVE_INFINITY;
    this.#changed();
  }

  /**
   * The authority answered a fresh nonce with its time.
   *
   * @param answer.at its time, milliseconds since 1970, at the earliest.
   * @param answer.withinMs how much later it may have been, because it says whole seconds, for example. Default: 0.
   * @param answer.sentAt when the nonce was sent, on the elapsed clock.
   */
  synchronised(answer: {
    readonly at: number;
    readonly withinMs?: number | undefined;
    readonly sentAt: number;
  }): void {
    const { withinMs = 0 } = answer;
    const elapsed = this.#clock.elapsed();
    if (!(answer.sentAt <= elapsed) || !Number.isFinite(answer.at) || !(withinMs >= 0))
      throw new TypeError('`sentAt` must be in the past, `at` a number and `withinMs` not negative');
    const { lo } = this.interval();
    this.#hi = answer.at + withinMs + (elapsed - answer.sentAt);
    this.#hiAt = elapsed;
    if (answer.at > lo) {
      this.#lo = answer.at;
      this.#loAt = elapsed;
    }
    // Earlier than it can be: somebody turned the authority's clock back, or ours forward. Believe neither.
    if (this.#hi < lo) this.#hi = Number.POSITIVE_INFINITY;
    this.#changed();
  }

  /** Calls `listener` when the interval changes in another way than by time passing. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolved when the high-water mark is stored. */
  async close(): Promise<void> {
    await this.#writing;
  }

  /** @internal */
  fill(moment: Moment): void {
    const { lo, hi } = this.interval();
    moment.elapsed = this.#clock.elapsed();
    moment.lo = lo;
    moment.hi = hi;
    moment.rate = 1 + this.#drift;
    moment.jumps = this.#trustClock;
  }

  #fromClock(): { readonly lo: number; readonly hi: number } {
    const now = this.#clock.now();
    if (now >= this.#lo) {
      this.#lo = now;
      this.#mark(now);
      return { lo: now, hi: now };
    }
    return {
      lo: this.#lo,
      hi: this.#lo - now <= BACKWARD_TOLERANCE_MS ? this.#lo : Number.POSITIVE_INFINITY,
    };
  }

  #mark(lo: number): void {
    if (lo < this.#written + MARK_STEP_MS) return;
    this.#written = lo;
    const mark = utf8(String(Math.floor(lo)));
    // A mark that cannot be written leaves an older one, which is still true.
    this.#writing = this.#writing.then(() => this.#store.write(MARK, mark)).catch(() => {});
  }

  #changed(): void {
    this.interval();
    for (const listener of this.#listeners) listener();
  }
}
