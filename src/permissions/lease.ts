import type { Clock } from '../core/platform.ts';
import type { Decision } from './decision.ts';
import type { Dependency } from './evaluation.ts';

/** Why a lease is over. */
export type LeaseEnd =
  /** The action is over by itself. */
  | { readonly cause: 'done' }
  /** Somebody asked for it: the caller, a safe action, the end of the program, a failure on the way. */
  | { readonly cause: 'stopped' | 'made-safe' | 'closed' | 'failed' }
  /** It is no longer permitted: the new decision says why. */
  | { readonly cause: 'withdrawn'; readonly decision: Decision };

/** A permission that holds only as long as everything that gave it. */
export interface Lease {
  /** False from the instant it is over. */
  readonly alive: boolean;
  /** Why it is over; `undefined` while it is not. */
  readonly end: LeaseEnd | undefined;
  /** Ends it. Idempotent: the first end counts. */
  finish(end: LeaseEnd): void;
  /** Looks whether time has run out, in case the timer is late: called in each control period. */
  tick(): void;
}

interface Held extends Lease {
  look(): void;
}

/**
 * The leases of running actions. A change of anything that permitted one decides again at once, and one timer per lease
 * stands at the earliest instant at which time alone can change it: silence is no change (design.md section 6, Leases).
 */
export class Leases {
  readonly #clock: Clock;
  readonly #waiting = new Map<Dependency, Set<Held>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * @param again decides the same request anew, as one that already runs.
   * @param ended called once, synchronously, at the end.
   */
  start(decision: Decision, again: () => Decision, ended: (end: LeaseEnd) => void): Lease {
    const clock = this.#clock;
    let dependencies: readonly Dependency[] = [];
    let until = Number.POSITIVE_INFINITY;
    let cancel: (() => void) | undefined;
    let end: LeaseEnd | undefined;

    const lease: Held = {
      get alive() {
        return end === undefined;
      },
      get end() {
        return end;
      },
      finish: (given) => {
        if (end !== undefined) return;
        end = given;
        cancel?.();
        this.#forget(lease, dependencies);
        ended(given);
      },
      tick: () => {
        if (end === undefined && clock.elapsed() >= until) lease.look();
      },
      look: () => {
        if (end !== undefined) return;
        const now = again();
        if (now.verdict === 'permit') wait(now);
        else lease.finish({ cause: 'withdrawn', decision: now });
      },
    };

    const wait = (from: Decision) => {
      this.#forget(lease, dependencies);
      dependencies = from.dependencies;
      this.#remember(lease, dependencies);
      cancel?.();
      until = from.leaseUntil;
      cancel = Number.isFinite(until)
        ? clock.schedule(Math.max(0, until - clock.elapsed()), lease.look)
        : undefined;
    };
    wait(decision);
    return lease;
  }

  /** Something changed: every lease that depends on it is decided again before this returns. */
  changed(key: Dependency): void {
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined) for (const lease of [...waiting]) lease.look();
  }

  #remember(lease: Held, keys: readonly Dependency[]): void {
    for (const key of keys) {
      const waiting = this.#waiting.get(key);
      if (waiting === undefined) this.#waiting.set(key, new Set([lease]));
      else waiting.add(lease);
    }
  }

  #forget(lease: Held, keys: readonly Dependency[]): void {
    for (const key of keys) {
      const waiting = this.#waiting.get(key);
      waiting?.delete(lease);
      if (waiting?.size === 0) this.#waiting.delete(key);
    }
  }
}
