/** A home hub: an agent with routines. The broker of a home is imported by its own path. */
export type { HubEvents, HubOptions } from './hub.ts';
export { Hub } from './hub.ts';
export type {
  Routine,
  RoutineAction,
  RoutineResult,
  RoutineRun,
  RoutineTrigger,
  TimeOfDay,
} from './routine.ts';
export { checkRoutine } from './routine.ts';
