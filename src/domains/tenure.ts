import type { Clock } from '../core/platform.ts';

/**
 * How long a member may live on what it heard from its coordinator, as data: the documentation and the tests are made
 * from this table. `held`: it may actuate; `overdue`: it only observes; `lost`: everything is wiped.
 */
export const tenureStates = {
  held: { renewed: 'held', late: 'overdue', gone: 'lost' },
  overdue: { renewed: 'held', gone: 'lost' },
  lost: {},
} as const;

/** See {@link tenureStates}. */
export type TenureState = keyof typeof tenureStates;
/** What can happen to a tenure. */
export type TenureEvent = 'renewed' | 'late' | 'gone';

/** Where `event` leads from `state`; `undefined` when it means nothing there. */
export function nextTenure(state: TenureState, event: TenureEvent): TenureState | undefined {
  const to: Readonly<Partial<Record<TenureEvent, TenureState>>> = tenureStates[state];
  return to[event];
}

/** Bounds of a {@link Tenure}. */
export interface TenureOptions {
  readonly clock: Clock;
  /** How long it lasts, in milliseconds, from the moment the echoed nonce was sent. */
  readonly tenureMs: number;
  /** After how long without renewal only observing is allowed, in milliseconds. */
  readonly observeMs: number;
  readonly changed: (state: TenureState) => void;
}

/** Most nonces that may be under way. */
const NONCES_MAX = 64;

/**
 * A member's tenure. Only an echo of its own nonce renews it, and it runs from the moment that nonce was *sent*: however
 * long a broker holds the answer back, nobody lives longer than `tenureMs` after the coordinator last knew of him.
 */
export class Tenure {
  readonly #options: TenureOptions;
  readonly #sent = new Map<string, number>();
  #renewedAt: number;
  #state: TenureState = 'held';
  #cancel: () => void = () => {};

  /** Begins as if renewed now. */
  constructor(options: TenureOptions) {
    if (!(options.observeMs > 0 && options.observeMs <= options.tenureMs))
      throw new TypeError('`observeMs` must be between 1 and `tenureMs`');
    this.#options = options;
    this.#renewedAt = options.clock.elapsed();
    this.#arm();
  }

  get state(): TenureState {
    return this.#state;
  }

  /** On `clock.elapsed()`. */
  get until(): number {
    return this.#renewedAt + this.#options.tenureMs;
  }

  /** A nonce goes out now. */
  sent(nonce: string): void {
    const [oldest] = this.#sent.keys();
    if (this.#sent.size >= NONCES_MAX && oldest !== undefined) this.#sent.delete(oldest);
    this.#sent.set(nonce, this.#options.clock.elapsed());
  }

  /** The coordinator echoed a nonce. @returns false when it is none of ours, or counted before. */
  echoed(nonce: string): boolean {
    const sentAt = this.#sent.get(nonce);
    if (sentAt === undefined || this.#state === 'lost') return false;
    this.#sent.delete(nonce);
    if (sentAt <= this.#renewedAt) return true;
    this.#renewedAt = sentAt;
    this.#arm();
    return true;
  }

  /** Stops its timer. */
  close(): void {
    this.#cancel();
    this.#sent.clear();
  }

  #arm(): void {
    this.#cancel();
    const { clock, observeMs, tenureMs } = this.#options;
    const age = clock.elapsed() - this.#renewedAt;
    const event: TenureEvent = age >= tenureMs ? 'gone' : age >= observeMs ? 'late' : 'renewed';
    const next = nextTenure(this.#state, event);
    const changed = next !== undefined && next !== this.#state;
    if (next !== undefined) this.#state = next;
    if (this.#state !== 'lost') {
      const due = age >= observeMs ? tenureMs : observeMs;
      this.#cancel = clock.schedule(Math.max(1, due - age), () => this.#arm());
    }
    if (changed) this.#options.changed(this.#state);
  }
}
