import { hex, utf8 } from '../core/bytes.ts';
import { messageOf } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import { canonicalBytes, parseJson } from '../core/json.ts';
import type { Clock, Store } from '../core/platform.ts';
import { v } from '../core/schema.ts';
import type { Arguments, HeldGrant, Limit } from '../grants/index.ts';
import { NotRecorded } from './errors.ts';
import type { TimeTrust } from './time.ts';

const FOLDER = 'permissions/limits/';
/** More bookings than this within one window are refused. */
const RECENT_MAX = 10_000;

/** One count to be booked: which counter, and by how much. */
export interface Charge {
  /** Family, device, kind and argument: shared by every grant narrowed from the same root. */
  readonly counter: string;
  readonly amount: number;
  /** Longest sliding window that looks at this counter, in milliseconds; 0 when only whole lives are counted. */
  readonly windowMs: number;
}

/** A booking made before the action; kept unless the action certainly did not happen. */
export interface Reservation {
  /** Resolved when it would survive a power cut. @throws {NotRecorded} */
  persist(): Promise<void>;
  /** The action certainly did not happen. Idempotent. */
  release(): Promise<void>;
}

interface Booking {
  /** On this process's elapsed clock; older processes' bookings are as young as they can be. */
  at: number;
  /** Latest true time at which it was booked, or `undefined` when that was not known. */
  readonly wall: number | undefined;
  readonly amount: number;
}

interface Counter {
  /** Sum of everything ever booked. */
  total: number;
  /** Bookings of the longest window seen. */
  recent: Booking[];
  windowMs: number;
  writing: Promise<void>;
}

/** What a limit counts in a request; `NaN` when the argument is not a number, so that nothing is permitted by it. */
export function amountOf(limit: Limit, given: Arguments): number {
  if (limit.kind === 'count') return 1;
  const value = Object.hasOwn(given, limit.argument ?? '') ? given[limit.argument ?? ''] : undefined;
  return typeof value === 'number' && value >= 0 ? value : Number.NaN;
}

/** The counter of a limit of a held grant. */
export function counterOf(held: HeldGrant, limit: Limit): string {
  return JSON.stringify([held.family, held.grant.device, limit.kind, limit.argument ?? null]);
}

/**
 * How often and how much was done, by family of grants; durable before the action, over restarts, on the clock that
 * never goes back (design.md section 6, Limits).
 */
export class Limits {
  readonly #clock: Clock;
  readonly #store: Store;
  readonly #time: TimeTrust;
  readonly #counters: Map<string, Counter>;

  private constructor(options: LimitsOptions, counters: Map<string, Counter>) {
    this.#clock = options.clock;
    this.#store = options.store;
    this.#time = options.time;
    this.#counters = counters;
    options.time.onChange(() => this.#refine());
    this.#refine();
  }

  /**
   * Reads what was booked. Elapsed time over a restart is 0 until the trusted clock proves more.
   *
   * @throws {Malformed} when stored state is damaged: without it, limits would be fresh.
   */
  static async open(options: LimitsOptions): Promise<Limits> {
    const counters = new Map<string, Counter>();
    const now = options.clock.elapsed();
    for (const name of await options.store.list(FOLDER)) {
      const bytes = await options.store.read(name);
      if (bytes === undefined) continue;
      const stored = v.parse(Stored, parseJson(bytes, { maxBytes: 4 * 1024 * 1024 }));
      counters.set(stored.counter, {
        total: stored.total,
        windowMs: stored.windowMs,
        recent: stored.recent.map(([amount, wall]) => ({ at: now, wall: wall ?? undefined, amount })),
        writing: Promise.resolve(),
      });
    }
    return new Limits(options, counters);
  }

  /** Whether `amount` more is within the limit now. */
  allows(counter: string, limit: Limit, amount: number): boolean {
    return this.used(counter, limit) + amount <= limit.max;
  }

  /** What the limit has counted so far: in its sliding window, or ever. */
  used(counter: string, limit: Limit): number {
    const known = this.#counters.get(counter);
    if (known === undefined) return 0;
    if (limit.perMs === undefined) return known.total;
    if (known.recent.length >= RECENT_MAX) return Number.POSITIVE_INFINITY;
    // A window longer than was kept for so far is counted by the whole life: never too little.
    if (limit.perMs > known.windowMs) return known.total;
    const since = this.#clock.elapsed() - limit.perMs;
    let sum = 0;
    for (const booking of known.recent) if (booking.at > since) sum += booking.amount;
    return sum;
  }

  /** When, on the elapsed clock, the oldest booking leaves a window: nothing changes before. */
  freeAt(counter: string, limit: Limit): number {
    const known = this.#counters.get(counter);
    if (known === undefined || limit.perMs === undefined) return Number.POSITIVE_INFINITY;
    const since = this.#clock.elapsed() - limit.perMs;
    const oldest = known.recent.find((booking) => booking.at > since);
    return oldest === undefined ? Number.POSITIVE_INFINITY : oldest.at + limit.perMs;
  }

  /** Books at once in memory, so that no other request can take the same room; durable after `persist`. */
  reserve(charges: readonly Charge[]): Reservation {
    const now = this.#clock.elapsed();
    const { hi } = this.#time.interval();
    const wall = Number.isFinite(hi) ? Math.ceil(hi) : undefined;
    const booked = charges.map((charge) => {
      const counter = this.#counters.get(charge.counter) ?? {
        total: 0,
        recent: [],
        windowMs: charge.windowMs,
        writing: Promise.resolve(),
      };
      this.#counters.set(charge.counter, counter);
      widen(counter, charge.windowMs, now);
      const booking: Booking = { at: now, wall, amount: charge.amount };
      counter.total += charge.amount;
      this.#prune(counter, now);
      if (counter.windowMs > 0) counter.recent.push(booking);
      return { name: charge.counter, counter, booking };
    });
    let released = false;
    return {
      persist: async () => {
        await Promise.all(booked.map(({ name, counter }) => this.#write(name, counter)));
      },
      release: async () => {
        if (released) return;
        released = true;
        for (const { counter, booking } of booked) {
          counter.total -= booking.amount;
          counter.recent = counter.recent.filter((one) => one !== booking);
        }
        // When this fails, what was booked stays booked on disk: too much, never too little.
        await Promise.all(booked.map(({ name, counter }) => this.#write(name, counter))).catch(() => {});
      },
    };
  }

  #write(name: string, counter: Counter): Promise<void> {
    const write = counter.writing
      .catch(() => {})
      .then(() =>
        this.#store.write(
          `${FOLDER}${hex(sha256(utf8(name))).slice(0, 32)}`,
          canonicalBytes({
            counter: name,
            total: counter.total,
            windowMs: counter.windowMs,
            recent: counter.recent.map(({ amount, wall }) => [amount, wall ?? null]),
          }),
        ),
      )
      .catch((cause: unknown) => {
        throw new NotRecorded(`the limit is not booked: ${messageOf(cause)}`, { cause });
      });
    counter.writing = write;
    return write;
  }

  #prune(counter: Counter, now: number): void {
    const since = now - counter.windowMs;
    if (counter.recent.some((booking) => booking.at <= since))
      counter.recent = counter.recent.filter((booking) => booking.at > since);
  }

  /** Makes bookings of earlier processes as old as the trusted clock proves them to be. */
  #refine(): void {
    const now = this.#clock.elapsed();
    const { lo } = this.#time.interval();
    for (const counter of this.#counters.values())
      for (const booking of counter.recent)
        if (booking.wall !== undefined)
          booking.at = Math.min(booking.at, now - Math.max(0, lo - booking.wall));
  }
}

/** A longer window looks at a counter from now on: what was forgotten before counts as young as it can be. */
function widen(counter: Counter, windowMs: number, now: number): void {
  if (windowMs <= counter.windowMs) return;
  const forgotten = counter.total - counter.recent.reduce((sum, booking) => sum + booking.amount, 0);
  if (forgotten > 0)
    counter.recent.unshift({ at: now - counter.windowMs, wall: undefined, amount: forgotten });
  counter.windowMs = windowMs;
}

/** What {@link Limits.open} needs. */
export interface LimitsOptions {
  readonly clock: Clock;
  readonly store: Store;
  readonly time: TimeTrust;
}

const Amount = v.pipe(v.number(), v.finite(), v.minValue(0));
const Stored = v.strictObject({
  counter: v.string(),
  total: Amount,
  windowMs: Amount,
  recent: v.pipe(v.array(v.tuple([Amount, v.nullable(v.number())])), v.maxLength(RECENT_MAX)),
});
