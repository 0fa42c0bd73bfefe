import type {
  DomainCondition,
  EventCondition,
  ExpiresCondition,
  GeoCondition,
  PostureCondition,
  Source,
  StateCondition,
  SunCondition,
  WindowCondition,
} from '../grants/index.ts';
import type { Compiling, Evaluate } from './compile.ts';
import type { Moment, Truth } from './evaluation.ts';
import { dependency, duration, FALSE, shown, TRUE, UNKNOWN } from './evaluation.ts';
import { fenced } from './geo.ts';
import type { Cell } from './inputs.ts';
import { sunClock } from './sun.ts';
import type { WindowClock } from './zone.ts';
import { windowClock } from './zone.ts';

/** @internal A condition that looks at the world. */
export type Leaf =
  | StateCondition
  | EventCondition
  | GeoCondition
  | WindowCondition
  | SunCondition
  | ExpiresCondition
  | PostureCondition
  | DomainCondition;

/** A trusted wall clock may jump without telling; whoever depends on it looks again after this long. */
const JUMP_WATCH_MS = 10_000;

/** @internal */
export function compileLeaf(leaf: Leaf, compiling: Compiling): Evaluate {
  switch (leaf.op) {
    case 'state':
      return state(leaf, hold(compiling, leaf.source, 'property', leaf.property));
    case 'event':
      return event(leaf, hold(compiling, leaf.source, 'event', leaf.event));
    case 'geo':
      return geo(leaf, hold(compiling, leaf.source, 'property', 'position'));
    case 'window':
      compiling.dependencies.add(dependency.time);
      return wallClock(leaf, windowClock(leaf, compiling.zone(leaf.zone)));
    case 'sun':
      compiling.dependencies.add(dependency.time);
      return wallClock(leaf, sunClock(leaf));
    case 'expires':
      compiling.dependencies.add(dependency.time);
      return expires(leaf);
    case 'posture':
      compiling.dependencies.add(dependency.posture);
      return posture(leaf, compiling);
    case 'domain':
      compiling.dependencies.add(dependency.domain(leaf.task));
      return domain(leaf, compiling);
  }
}

function hold(compiling: Compiling, source: Source, kind: 'property' | 'event', name: string): Cell {
  const cell = compiling.world.inputs.hold(source, kind, name);
  compiling.cells.push(cell);
  compiling.dependencies.add(cell.key);
  return cell;
}

/** Adds a leaf to the explanation, and the moment at which time alone can change it. */
function note(moment: Moment, op: string, truth: Truth, detail: string, until: number): void {
  moment.trace?.push({ op, value: shown(truth), detail });
  if (until < moment.until) moment.until = until;
}

/**
 * The first whole millisecond of `elapsed` after an age has passed its bound ("at most" includes the bound);
 * nothing to wait for when it already has.
 */
function agedOut(moment: Moment, at: number, bound: number): number {
  return moment.elapsed - at <= bound ? at + bound + 1 : Number.POSITIVE_INFINITY;
}

/** The `elapsed` at which the true time may first be `wall`. */
export function elapsedAt(moment: Moment, wall: number): number {
  if (!Number.isFinite(moment.hi)) return Number.POSITIVE_INFINITY;
  const earliest = moment.elapsed + Math.max(1, Math.ceil((wall - moment.hi) / moment.rate));
  return moment.jumps ? Math.min(earliest, moment.elapsed + JUMP_WATCH_MS) : earliest;
}

function state(leaf: StateCondition, own: Cell): Evaluate {
  const compare = comparison(leaf);
  const name = `${sourceName(leaf.source)}.${leaf.property}`;
  return (moment) => {
    const cell = moment.overlay?.get(own.key) ?? own;
    const bound = Math.min(leaf.maxAgeMs, cell.greatestAgeMs);
    const age = moment.elapsed - cell.at;
    const truth = age >= 0 && age <= bound ? compare(cell.value) : UNKNOWN;
    if (moment.trace !== undefined)
      note(
        moment,
        leaf.op,
        truth,
        `${name} ${compared(leaf)}: ${said(cell, age, bound)}`,
        agedOut(moment, cell.at, bound),
      );
    return truth;
  };
}

/** A value of another type than the one it is compared with says nothing: unknown. */
function comparison(leaf: StateCondition): (value: unknown) => Truth {
  const { is, lt, le, gt, ge } = leaf;
  const number = (holds: (value: number) => boolean) => (value: unknown) =>
    typeof value !== 'number' || !Number.isFinite(value) ? UNKNOWN : holds(value) ? TRUE : FALSE;
  if (lt !== undefined) return number((value) => value < lt);
  if (le !== undefined) return number((value) => value <= le);
  if (gt !== undefined) return number((value) => value > gt);
  if (ge !== undefined) return number((value) => value >= ge);
  if (typeof is === 'number') return number((value) => value === is);
  if (is !== undefined)
    return (value) => (typeof value !== typeof is ? UNKNOWN : value === is ? TRUE : FALSE);
  const choices = new Set<unknown>(leaf.in ?? []);
  const types = new Set([...choices].map((choice) => typeof choice));
  return (value) =>
    !types.has(typeof value as 'string' | 'number') || Number.isNaN(value)
      ? UNKNOWN
      : choices.has(value)
        ? TRUE
        : FALSE;
}

function event(leaf: EventCondition, own: Cell): Evaluate {
  const name = `${sourceName(leaf.source)}.${leaf.event}`;
  return (moment) => {
    const cell = moment.overlay?.get(own.key) ?? own;
    const bound = Math.min(leaf.withinMs, cell.greatestAgeMs);
    const age = moment.elapsed - cell.at;
    // That it did not happen is known only to who was watching for so long.
    const watched = moment.elapsed - cell.source.since;
    const truth = age >= 0 && age <= bound ? TRUE : watched > leaf.withinMs ? FALSE : UNKNOWN;
    if (moment.trace !== undefined)
      note(
        moment,
        leaf.op,
        truth,
        cell.at === Number.NEGATIVE_INFINITY
          ? `${name} has not happened${truth === UNKNOWN ? ' as far as is known' : ''}`
          : `${name} happened ${duration(age)} ago (at most ${duration(bound)})`,
        Math.min(
          agedOut(moment, cell.at, bound),
          truth === UNKNOWN ? cell.source.since + leaf.withinMs + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    return truth;
  };
}

function geo(leaf: GeoCondition, own: Cell): Evaluate {
  return (moment) => {
    const cell = moment.overlay?.get(own.key) ?? own;
    const bound = Math.min(leaf.maxAgeMs, cell.greatestAgeMs);
    const age = moment.elapsed - cell.at;
    const fence = age >= 0 && age <= bound ? fenced(cell.value, leaf) : undefined;
    const truth = fence?.truth ?? UNKNOWN;
    if (moment.trace !== undefined)
      note(
        moment,
        leaf.op,
        truth,
        fence?.distanceM === undefined
          ? `${sourceName(leaf.source)}.position: ${said(cell, age, bound)}`
          : `${Math.round(fence.distanceM)} m ± ${Math.round(fence.accuracyM ?? 0)} m away (at most ${leaf.radiusM} m), ${duration(age)} old`,
        agedOut(moment, cell.at, bound),
      );
    return truth;
  };
}

function wallClock(leaf: WindowCondition | SunCondition, clock: WindowClock): Evaluate {
  const words =
    leaf.op === 'window'
      ? `${leaf.days.join(' ')} ${leaf.from} to ${leaf.to} ${leaf.zone}`
      : `${leaf.from} to ${leaf.to}`;
  return (moment) => {
    const truth = clock.truth(moment.lo, moment.hi);
    if (moment.trace !== undefined)
      note(
        moment,
        leaf.op,
        truth,
        `${words}; ${timeWords(moment)}`,
        Number.isFinite(moment.hi)
          ? Math.min(
              elapsedAt(moment, clock.steadyUntil(moment.lo)),
              elapsedAt(moment, clock.steadyUntil(moment.hi)),
            )
          : Number.POSITIVE_INFINITY,
      );
    return truth;
  };
}

function expires(leaf: ExpiresCondition): Evaluate {
  const at = leaf.at * 1_000;
  return (moment) => {
    const truth = moment.hi < at ? TRUE : moment.lo >= at ? FALSE : UNKNOWN;
    if (moment.trace !== undefined)
      note(
        moment,
        leaf.op,
        truth,
        `before ${instant(at)}; ${timeWords(moment)}`,
        truth === FALSE ? Number.POSITIVE_INFINITY : elapsedAt(moment, at),
      );
    return truth;
  };
}

function posture(leaf: PostureCondition, { world }: Compiling): Evaluate {
  return (moment) => {
    const result = world.posture?.current();
    const age = result === undefined ? Number.NaN : moment.elapsed - result.at;
    const good =
      result?.status === 'affirming' || (leaf.atLeast === 'warning' && result?.status === 'warning');
    const fresh = age >= 0 && age <= leaf.maxAgeMs;
    const truth = result === undefined || !fresh || result.status === 'none' ? UNKNOWN : good ? TRUE : FALSE;
    if (moment.trace !== undefined)
      note(
        moment,
        leaf.op,
        truth,
        result === undefined
          ? 'no attestation result'
          : `attested ${result.status} ${duration(age)} ago (at least ${leaf.atLeast}, at most ${duration(leaf.maxAgeMs)})`,
        result === undefined ? Number.POSITIVE_INFINITY : agedOut(moment, result.at, leaf.maxAgeMs),
      );
    return truth;
  };
}

const ranks = { none: 0, observe: 1, suggest: 2, actuate: 3 } as const;

function domain(leaf: DomainCondition, { world }: Compiling): Evaluate {
  const needed = leaf.mode ?? 'actuate';
  return (moment) => {
    const mode = world.domains?.mode(leaf.task);
    const truth = mode === undefined ? UNKNOWN : ranks[mode] >= ranks[needed] ? TRUE : FALSE;
    if (moment.trace !== undefined)
      note(
        moment,
        leaf.op,
        truth,
        `task \`${leaf.task}\`: ${mode ?? 'no live membership'} (at least ${needed})`,
        world.domains?.until?.(leaf.task) ?? Number.POSITIVE_INFINITY,
      );
    return truth;
  };
}

/** `2026-11-24T10:00:00Z`, as far as a date can say it. */
export function instant(ms: number): string {
  return Number.isFinite(ms) && Math.abs(ms) <= 8.64e15
    ? new Date(ms).toISOString().replace('.000Z', 'Z')
    : 'never';
}

function timeWords(moment: Moment): string {
  if (!Number.isFinite(moment.hi))
    return `the time is not known (not before ${instant(Math.floor(moment.lo))})`;
  const doubt = moment.hi - moment.lo;
  return `it is ${instant(Math.floor(moment.lo))}${doubt >= 1_000 ? ` to ${duration(doubt)} later` : ''}`;
}

function sourceName(source: Source): string {
  return 'device' in source ? source.device : `${source.peer} ${source.stream}`;
}

function compared(leaf: StateCondition): string {
  if (leaf.is !== undefined) return `is ${JSON.stringify(leaf.is)}`;
  if (leaf.lt !== undefined) return `< ${leaf.lt}`;
  if (leaf.le !== undefined) return `<= ${leaf.le}`;
  if (leaf.gt !== undefined) return `> ${leaf.gt}`;
  if (leaf.ge !== undefined) return `>= ${leaf.ge}`;
  return `in ${JSON.stringify(leaf.in)}`;
}

function said(cell: Cell, age: number, bound: number): string {
  if (cell.at === Number.NEGATIVE_INFINITY) return 'never reported';
  const value =
    typeof cell.value === 'number' || typeof cell.value === 'boolean'
      ? String(cell.value)
      : typeof cell.value === 'string'
        ? JSON.stringify(cell.value.slice(0, 64))
        : cell.value === null || cell.value === undefined
          ? 'nothing'
          : 'an object';
  return `it is ${value}, ${duration(age)} old (at most ${duration(bound)})`;
}
