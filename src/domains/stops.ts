import type { Clock } from '../core/platform.ts';
import type { Mode } from './types.ts';

/** What must stop when a mode falls. */
export type Stop = (to: Mode, cause: string) => void | Promise<void>;

/** How long a stop may take before the fall goes on without it, in milliseconds: drivers stop by themselves then. */
const STOP_MAX_MS = 5_000;

/** The handlers that are awaited before a fall is acknowledged. */
export class Stops {
  readonly #clock: Clock;
  readonly #handlers = new Set<Stop>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Adds one; the result takes it away. */
  add(stop: Stop): () => void {
    this.#handlers.add(stop);
    return () => this.#handlers.delete(stop);
  }

  /** Runs all at once; resolved when all are done or their time is over. Every one is begun before this returns. */
  run(to: Mode, cause: string): Promise<void> {
    const running = [...this.#handlers].map(async (stop) => {
      try {
        await stop(to, cause);
      } catch {
        // A handler that fails has not kept the fall from happening; its own log says why.
      }
    });
    if (running.length === 0) return Promise.resolve();
    let cancel = () => {};
    const late = new Promise<void>((resolve) => {
      cancel = this.#clock.schedule(STOP_MAX_MS, resolve);
    });
    return Promise.race([Promise.all(running), late]).then(() => cancel());
  }
}
