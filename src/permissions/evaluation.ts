import type { Arguments } from '../grants/index.ts';
import type { Cell } from './inputs.ts';

/** Kleene's three values: 0 false, 1 true, 2 unknown. Whoever asks compares with `=== TRUE`, never truthiness. */
export type Truth = 0 | 1 | 2;
/** Certainly not so. */
export const FALSE: Truth = 0;
/** Certainly so. */
export const TRUE: Truth = 1;
/** Missing, stale, of another type, by an untrusted clock: neither. */
export const UNKNOWN: Truth = 2;

/** Why something came out as it did: one node of a tree, with values and ages in words. */
export interface Explanation {
  /** The operator of a condition; or `decision`, `prohibition`, `grant`, `ancestor`, `limit`, `time`, `arguments`. */
  readonly op: string;
  readonly value: true | false | 'unknown';
  /** For example `alarm.armed is true, 3.2 s old (at most 60 s)`. */
  readonly detail?: string;
  readonly of?: readonly Explanation[];
}

/** Everything a condition may look at, frozen for one evaluation. */
export interface Moment {
  /** Milliseconds on the clock that never goes back: ages are measured with it. */
  elapsed: number;
  /** The true time is at least this, in milliseconds since 1970 … */
  lo: number;
  /** … and at most this; `Infinity` when nothing bounds it. */
  hi: number;
  /** How many milliseconds `hi` can rise in one of `elapsed`. */
  rate: number;
  /** True when wall time can jump without notice (a trusted clock of the machine): look again often. */
  jumps: boolean;
  /** Instead of what the adapters reported, for a simulation: by cell key. */
  overlay: ReadonlyMap<string, Cell> | undefined;
  /**
   * Present when an explanation is wanted: every node adds itself, and nothing is cut short.
   * The same closures run either way.
   */
  trace: Explanation[] | undefined;
  /** While tracing: earliest `elapsed` at which a leaf can change by time alone. */
  until: number;
}

/** Something whose change can change a decision: the key under which leases wait for it. */
export type Dependency = string;

/** Keys of {@link Dependency}; the key of an input is its cell's. */
export const dependency = {
  time: 'time',
  posture: 'posture',
  status: 'status',
  prohibitions: 'prohibitions',
  domain: (task: string): Dependency => `domain:${task}`,
  grant: (id: string): Dependency => `grant:${id}`,
} as const;

/** What a request says about itself that a confirmation binds. */
export interface Asked {
  readonly device: string;
  readonly action: string;
  readonly arguments: Arguments;
}

/** The value of a {@link Truth} as an explanation shows it. */
export function shown(truth: Truth): true | false | 'unknown' {
  return truth === UNKNOWN ? 'unknown' : truth === TRUE;
}

/** A duration for people: `250 ms`, `3.2 s`, `5 min`, `2 h`, `3 days`. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return 'for ever';
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const trim = (value: number) => String(Math.round(value * 10) / 10);
  if (ms < 120_000) return `${trim(ms / 1_000)} s`;
  if (ms < 7_200_000) return `${trim(ms / 60_000)} min`;
  if (ms < 172_800_000) return `${trim(ms / 3_600_000)} h`;
  return `${trim(ms / 86_400_000)} days`;
}
