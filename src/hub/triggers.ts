import type { Clock } from '../core/platform.ts';
import type { Inputs } from '../permissions/index.ts';
import { windowClock, zoneClock } from '../permissions/zone.ts';
import type { RoutineTrigger, TimeOfDay } from './routine.ts';

/** The wall clock may be set at any time, so it is looked at again after at most so long, in milliseconds. */
const LOOK_AGAIN_MS = 3_600_000;
/** The hour that autumn repeats does not start a routine twice. */
const ONCE_IN_MS = 6 * 3_600_000;

/** Calls `start` whenever `trigger` says so. @returns ends it */
export function arm(
  trigger: RoutineTrigger,
  on: { readonly clock: Clock; readonly inputs: Inputs },
  start: () => void,
): () => void {
  return 'event' in trigger ? onEvent(trigger.event, on.inputs, start) : atTime(trigger.at, on.clock, start);
}

/** Only what happens from now on counts, and only what a device itself reported. */
function onEvent(
  { device, event }: { readonly device: string; readonly event: string },
  inputs: Inputs,
  start: () => void,
): () => void {
  const cell = inputs.hold({ device }, 'event', event);
  let last = cell.at;
  const stop = inputs.onChange((key) => {
    // A source that is lost, or watched again, tells of its cells too; only a newer time is an event.
    if (key !== cell.key || !(cell.at > last)) return;
    last = cell.at;
    start();
  });
  return () => {
    stop();
    inputs.release(cell);
  };
}

/** A trigger is a window of one minute that opens: the windows of conditions and this one share their arithmetic. */
function atTime(at: TimeOfDay, clock: Clock, start: () => void): () => void {
  const window = windowClock(
    { op: 'window', zone: at.zone, days: at.days, from: at.time, to: minuteAfter(at.time) },
    zoneClock(at.zone),
  );
  const isOpen = (now: number) => window.truth(now, now) === 1;
  let wasOpen = isOpen(clock.now());
  let last = Number.NEGATIVE_INFINITY;
  let cancel = () => {};
  const look = () => {
    const now = clock.now();
    const open = isOpen(now);
    const opened = open && !wasOpen;
    wasOpen = open;
    cancel = clock.schedule(Math.max(1, Math.min(window.steadyUntil(now) - now, LOOK_AGAIN_MS)), look);
    if (!opened || clock.elapsed() - last < ONCE_IN_MS) return;
    last = clock.elapsed();
    start();
  };
  look();
  return () => cancel();
}

function minuteAfter(time: string): string {
  const minute = Number(time.slice(0, 2)) * 60 + Number(time.slice(3)) + 1;
  return `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;
}
