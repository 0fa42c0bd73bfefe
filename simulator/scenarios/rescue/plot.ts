import type { Cast } from './cast.ts';
import type { RobotName } from './words.ts';

/** The choices of one telling, and what happened so far. */
export interface Plot {
  readonly cast: Cast;
  /** How high the arm lifts, in metres. */
  readonly liftM: number;
  /** How far outside the fence the vehicle strays, in metres. */
  readonly metresAway: number;
  /** Where in the copy of an audit log a byte is flipped: a part of its length. */
  readonly flippedAt: number;
  /** In which order the robots are invited. */
  readonly order: readonly RobotName[];
  /** Domain identifiers by task. */
  readonly domains: Map<string, string>;
}

/** Waits until `holds`, looking every 50 ms. @returns whether it came to hold within `withinMs`. */
export async function until(cast: Cast, withinMs: number, holds: () => Promise<boolean>): Promise<boolean> {
  const end = cast.clock.elapsed() + withinMs;
  for (;;) {
    if (await holds()) return true;
    if (cast.clock.elapsed() > end) return false;
    await cast.clock.sleep(50, cast.options.signal);
  }
}

/** What is awaited, or `undefined` when it does not come: whoever expects it says so. */
export async function soon<T>(awaited: Promise<unknown>): Promise<T | undefined> {
  try {
    return (await awaited) as T;
  } catch {
    return undefined;
  }
}

/** A time of day for people. */
export function clockTime(ms: number): string {
  return new Date(ms).toISOString().slice(11, 19);
}
