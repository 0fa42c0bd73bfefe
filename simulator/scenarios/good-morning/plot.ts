import type { RoutineResult, RoutineRun } from '../../../src/hub/index.ts';
import type { Explanation } from '../../../src/permissions/index.ts';
import type { Telling } from '../story.ts';
import type { House } from './house.ts';

/** The choices of one telling, and what happened so far. */
export interface Plot {
  readonly house: House;
  /** Seconds after the full minute at which the alarm clock goes off, 5 to 54. */
  readonly alarmS: number;
  readonly level: number;
  readonly target: number;
  readonly cups: number;
  /** Where in the copy of an audit log a byte is flipped: a part of its length. */
  readonly flippedAt: number;
  /** Friday's run, whose transaction is followed at the end. */
  friday: RoutineRun | undefined;
  /** How often the hub renewed its credentials and got tokens, by itself or because it was asked. */
  readonly renewed: { credentials: number; tokens: number };
}

/** The alarm clock goes off at `at` (milliseconds since 1970). @returns what the routine did then. */
export async function alarmAt({ house }: Plot, at: number): Promise<RoutineRun> {
  await house.until(at);
  let run: RoutineRun | undefined;
  const ran = (one: RoutineRun) => {
    run = one;
  };
  house.hub.on('ran', ran);
  house.twins.thermostat.happen('alarm-off');
  await house.clock.advance(1_000);
  house.hub.off('ran', ran);
  if (run === undefined) throw new Error('the alarm started no routine');
  return run;
}

/** All of a run was done. */
export function allDone({ results }: RoutineRun): boolean {
  return results.length > 0 && results.every(({ result }) => result === 'done');
}

/**
 * Expects that all of a run was refused for one and the same reason, and that of its conditions only those in `not`
 * (`window=no`, `state=unknown`) were not true; then shows the first refusal's tree.
 */
export function expectRefused(
  { expect, explain }: Telling,
  what: string,
  run: RoutineRun,
  reason: string,
  not: readonly string[] = [],
): void {
  const seen = run.results.map((result) => [result.reason, ...untrue(result)].join(' '));
  const wanted = [reason, ...not].join(' ');
  expect(
    what,
    run.results.every(({ result }) => result === 'refused') && seen.every((one) => one === wanted),
    [...new Set(seen)].join('; '),
  );
  explain(run.results[0]?.why.split('\n') ?? []);
}

const conditions = ['window', 'event', 'state'];

/** Conditions that are not true in the tree of a decision. */
function untrue({ decision }: RoutineResult): readonly string[] {
  const found: string[] = [];
  const visit = ({ op, value, of = [] }: Explanation) => {
    if (conditions.includes(op) && value !== true) found.push(`${op}=${value === false ? 'no' : value}`);
    of.forEach(visit);
  };
  if (decision !== undefined) visit(decision.explanation);
  return found;
}
