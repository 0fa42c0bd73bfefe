import type { Arguments, Grant, Weekday } from '../grants/index.ts';
import { ACTION_DETAILS, isZone } from '../grants/index.ts';
import type { Decision } from '../permissions/index.ts';

/**
 * Something a home does by itself. Its name is also that of the software function in whose name it is done: the hub, as
 * resource owner, gives that function a token of its own, narrowed to what the routine needs (seed S1, figure 2).
 */
export interface Routine {
  /** Lower case with dashes, unique at its hub. */
  readonly name: string;
  /** What starts it. Default: nothing but a person (`hub.run`). */
  readonly trigger?: RoutineTrigger | undefined;
  /** In this order; one that is refused does not keep the next from being tried. Not empty. */
  readonly actions: readonly RoutineAction[];
  /**
   * What its function may do. Default: exactly its own actions on its own devices; argument limits, conditions and
   * everything else are the owner's.
   */
  readonly grants?: readonly Grant[] | undefined;
}

/** When a routine starts. It starts, and no more: whether anything happens is decided by the enforcement point. */
export type RoutineTrigger =
  /** When a device of the hub reports this event. */
  | { readonly event: { readonly device: string; readonly event: string } }
  /**
   * At this time of day. A time that the clock change skips does not come that day, one that it repeats comes once, and
   * one that passed while the machine was off is not made up for.
   */
  | { readonly at: TimeOfDay };

/** A local time on some days of the week. */
export interface TimeOfDay {
  /** IANA time zone, for example `Europe/Berlin`. */
  readonly zone: string;
  /** Not empty. */
  readonly days: readonly Weekday[];
  /** `HH:MM`, from 00:00 to 23:59. */
  readonly time: string;
}

/** One action of a routine. */
export interface RoutineAction {
  readonly device: string;
  readonly action: string;
  readonly arguments?: Arguments | undefined;
}

/** What became of one action. */
export interface RoutineResult extends RoutineAction {
  /** `failed`: permitted, but the device did not do it, or it could not be recorded. */
  readonly result: 'done' | 'running' | 'refused' | 'failed';
  /** Reason of the decision, or message of the failure. */
  readonly reason: string;
  /** Absent when nothing was decided. */
  readonly decision?: Decision | undefined;
  /** In words, with the tree of conditions. */
  readonly why: string;
}

/** One run of a routine. */
export interface RoutineRun {
  readonly routine: string;
  /** What started it, in words: `thermostat.alarm-off`, `07:00 Europe/Berlin`, `a person`. */
  readonly cause: string;
  /** Milliseconds since 1970, by the hub's clock. */
  readonly at: number;
  /** Under this transaction all of it stands in the audit log. */
  readonly txn: string;
  readonly results: readonly RoutineResult[];
}

/** Checks a routine; a mistake is a `TypeError` that names it. Returns the routine. */
export function checkRoutine(routine: Routine): Routine {
  const { name, trigger, actions } = routine;
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(name))
    throw new TypeError(`routine name \`${name}\` must be lower case with dashes`);
  if (actions.length === 0 || actions.length > 64)
    throw new TypeError(`routine \`${name}\` must have 1 to 64 actions`);
  if (trigger !== undefined && 'at' in trigger) {
    const { zone, days, time } = trigger.at;
    if (!isZone(zone)) throw new TypeError(`\`${zone}\` is not an IANA time zone`);
    if (days.length === 0) throw new TypeError(`routine \`${name}\` must start on at least one day`);
    if (!/^([01]\d|2[0-3]):[0-5]\d$/.test(time)) throw new TypeError(`\`${time}\` must be HH:MM`);
  }
  return routine;
}

/** The grants that the hub gives the routine's function: its own, or exactly its actions, by device. */
export function grantsFor(routine: Routine, hub: string): readonly Grant[] {
  if (routine.grants !== undefined) return routine.grants;
  const byDevice = new Map<string, Set<string>>();
  for (const { device, action } of routine.actions)
    byDevice.set(device, (byDevice.get(device) ?? new Set()).add(action));
  return [...byDevice].map(([device, actions]) => ({
    type: ACTION_DETAILS,
    locations: [hub],
    device,
    actions: [...actions],
  }));
}

/** What started a routine, in words. */
export function causeOf(trigger: RoutineTrigger): string {
  return 'event' in trigger
    ? `${trigger.event.device}.${trigger.event.event}`
    : `${trigger.at.time} ${trigger.at.zone}`;
}
