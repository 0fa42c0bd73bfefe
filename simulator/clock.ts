import type { Clock } from '../src/core/platform.ts';

interface Waiting {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** Time that moves only when told to. */
export interface VirtualClock extends Clock {
  /**
   * Moves time forward by `ms`, running everything that falls due on the way in order of its time,
   * and lets promises settle in between.
   */
  advance(ms: number): Promise<void>;
  /**
   * Moves time forward by `ms` at once, as for a machine that was suspended: whatever fell due on the way runs once,
   * late, in order of its time. For months in which nothing happens that matters minute by minute.
   */
  leap(ms: number): Promise<void>;
  /** Moves the wall clock alone, as NTP or a person would; `elapsed` is untouched. */
  setWall(now: number): void;
}

/**
 * @param start wall time in milliseconds since 1970. Default: 2026-11-24T10:00:00Z.
 * @param busy whether something is under way that time waits for, such as a request. Default: nothing ever is.
 */
export function virtualClock(
  start: number = Date.UTC(2026, 10, 24, 10),
  busy: () => boolean = () => false,
): VirtualClock {
  let elapsed = 0;
  let offset = start;
  let order = 0;
  let waiting: Waiting[] = [];
  const schedule = (ms: number, run: () => void) => {
    const entry = { at: elapsed + Math.max(0, ms), order: order++, run };
    waiting.push(entry);
    return () => {
      waiting = waiting.filter((other) => other !== entry);
    };
  };
  /** Runs what falls due until `end`, in order. */
  const runUntil = async (end: number) => {
    for (;;) {
      const next = waiting
        .filter((entry) => entry.at <= end)
        .sort((a, b) => a.at - b.at || a.order - b.order)[0];
      if (next === undefined) return;
      waiting = waiting.filter((entry) => entry !== next);
      elapsed = Math.max(elapsed, next.at);
      next.run();
      await settle(busy);
    }
  };
  return {
    now: () => offset + elapsed,
    elapsed: () => elapsed,
    schedule,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) {
          reject(signal.reason as Error);
          return;
        }
        const abort = () => {
          cancel();
          reject(signal?.reason as Error);
        };
        const cancel = schedule(ms, () => {
          signal?.removeEventListener('abort', abort);
          resolve();
        });
        signal?.addEventListener('abort', abort, { once: true });
      }),
    setWall: (now) => {
      offset = now - elapsed;
    },
    advance: async (ms) => {
      const end = elapsed + ms;
      await settle(busy);
      await runUntil(end);
      elapsed = end;
      await settle(busy);
    },
    leap: async (ms) => {
      await settle(busy);
      elapsed += ms;
      await runUntil(elapsed);
    },
  };
}

/** Lets everything that is ready run: promise jobs and immediate callbacks, some rounds deep. */
async function settle(busy: () => boolean): Promise<void> {
  // What was under way may have led to more: all must be quiet for some rounds in a row.
  for (let quiet = 0, round = 0; quiet < 8 && round < 100_000; round++) {
    await new Promise((resolve) => setImmediate(resolve));
    quiet = busy() ? 0 : quiet + 1;
  }
}
