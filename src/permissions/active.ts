import type { Clock } from '../core/platform.ts';
import type { Running } from '../grants/index.ts';
import type { Decision } from './decision.ts';
import { StillRunning } from './errors.ts';
import type { Lease, LeaseEnd, Leases } from './lease.ts';

/** @internal One permitted action, from its decision until its driver has certainly stopped. */
export class Active {
  readonly decision: Decision;
  readonly lease: Lease;
  /** Resolved when the driver has stopped or finished, or never began. */
  readonly settled: Promise<void>;
  readonly #clock: Clock;
  #halt: (() => void) | undefined;
  #settle: () => void = () => {};
  #over = false;

  constructor(options: {
    readonly decision: Decision;
    readonly leases: Leases;
    readonly clock: Clock;
    /** Decides anew. */
    readonly again: () => Decision;
    readonly ended: (end: LeaseEnd) => void;
  }) {
    this.decision = options.decision;
    this.#clock = options.clock;
    this.settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.lease = options.leases.start(options.decision, options.again, (end) => {
      this.#halt?.();
      options.ended(end);
    });
  }

  /** Whether {@link settle} was called. */
  get over(): boolean {
    return this.#over;
  }

  /** It has stopped, finished, or never began. Idempotent. */
  settle(): void {
    this.#over = true;
    this.#settle();
  }

  /**
   * Feeds a running action each control period for as long as its lease holds, and stops it in the same instant in which
   * it does not. Resolved when it has stopped; rejected when the driver says that it could not (its dead man must).
   */
  run(running: Running, periodMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let cancel = () => {};
      this.#halt = () => {
        this.#halt = undefined;
        cancel();
        stop(running).then(resolve, reject);
      };
      const finish = (cause: 'done' | 'failed') => () => this.lease.finish({ cause });
      running.done.then(finish('done'), finish('failed'));
      const feed = () => {
        this.lease.tick();
        if (!this.lease.alive) return;
        cancel = this.#clock.schedule(periodMs, feed);
        try {
          running.feed();
        } catch {
          this.lease.finish({ cause: 'failed' });
        }
      };
      // Withdrawn while the driver was starting it: it stops before it is ever fed.
      if (this.lease.alive) feed();
      else this.#halt();
    });
  }
}

async function stop(running: Running): Promise<void> {
  await running.stop();
}

/**
 * Resolved when all have settled. @throws {StillRunning} after `withinMs`. @internal
 */
export async function allSettled(actions: readonly Active[], clock: Clock, withinMs: number): Promise<void> {
  if (actions.length === 0) return;
  const deadline = new AbortController();
  const late = clock.sleep(withinMs, deadline.signal).then(
    () => true,
    () => false,
  );
  const all = Promise.all(actions.map(({ settled }) => settled)).then(() => false);
  const tooLate = await Promise.race([late, all]);
  deadline.abort();
  if (tooLate)
    throw new StillRunning(
      actions
        .filter(({ over }) => !over)
        .map(({ decision: { request } }) => `${request.device}.${request.action}`),
    );
}
