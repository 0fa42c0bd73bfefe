import { messageOf } from '../core/errors.ts';
import type { Log } from '../core/platform.ts';
import type { Running } from '../grants/index.ts';
import type { Active } from './active.ts';
import type { ActiveSet } from './active-set.ts';
import type { Decision } from './decision.ts';
import type { DeviceHost } from './host.ts';
import type { Journal } from './journal.ts';
import type { LeaseEnd } from './lease.ts';

/** What became of a permitted request. */
export interface Outcome {
  readonly decision: Decision;
  /** A continuous action runs under its lease until `ended`; any other is done, and this is `undefined`. */
  readonly running: RunningAction | undefined;
}

/** An action that runs. */
export interface RunningAction {
  /** Resolved when it has stopped. Idempotent. */
  stop(): Promise<void>;
  /** Resolved with the reason when it has stopped. */
  readonly ended: Promise<LeaseEnd>;
}

/** @internal What performing an action takes. */
export interface Performing {
  readonly actions: ActiveSet;
  readonly devices: DeviceHost;
  readonly journal: Journal;
  readonly log: Log;
}

/** @internal Has the driver do a permitted and recorded action, and records what became of it. @throws {DriverFailed} */
export async function perform(active: Active, on: Performing): Promise<Outcome> {
  const { actions, devices, journal } = on;
  const { decision, lease } = active;
  const { device, action, arguments: given = {} } = decision.request;
  const starting = devices.perform(device, action, given);
  // A stop ends what else runs on the device; the driver has been told already.
  if (decision.safe) actions.madeSafe(active);
  let running: Running | undefined;
  try {
    running = await starting;
  } catch (error) {
    // Whether it moved anything is unknown, so what was booked stays booked.
    actions.settle(active, { cause: 'failed' });
    await journal.outcome(decision, 'failed', 'failed', { error: messageOf(error) });
    throw error;
  }
  if (running === undefined) {
    actions.settle(active, { cause: 'done' });
    await journal.outcome(decision, 'done', 'done');
    return { decision, running: undefined };
  }
  const ended = run(active, running, on);
  return {
    decision,
    running: {
      ended,
      stop: async () => {
        lease.finish({ cause: 'stopped' });
        await ended;
      },
    },
  };
}

/** Keeps a continuous action running under its lease. Resolved when it has stopped and that is recorded. */
async function run(active: Active, running: Running, on: Performing): Promise<LeaseEnd> {
  const { actions, devices, journal, log } = on;
  const { decision, lease } = active;
  const { device } = decision.request;
  const periodMs = devices.descriptionOf(device)?.controlPeriodMs ?? 100;
  try {
    await active.run(running, periodMs);
    actions.settle(active, { cause: 'done' });
  } catch (error) {
    // It is fed no more, so its dead man stops it; but nobody is told that it has stopped.
    log.warn('an action did not stop', { device, error: messageOf(error) });
  }
  const end = lease.end ?? { cause: 'failed' };
  const result = !active.over
    ? 'unknown'
    : end.cause === 'done' || end.cause === 'failed'
      ? end.cause
      : 'stopped';
  const reason = end.cause === 'withdrawn' ? { reason: end.decision.reason } : {};
  await journal.outcome(decision, result, end.cause, reason);
  return end;
}
