import { FealtyError, messageOf } from '../core/errors.ts';
import type { Log } from '../core/platform.ts';

/**
 * Lets work go on by itself. What a network may do to it (refused, closed, full) is expected and repaired by heartbeats;
 * anything else is a bug, and is logged as one.
 */
export function detached(work: Promise<unknown>, log: Log, what: string): void {
  work.catch((cause: unknown) => {
    if (!(cause instanceof FealtyError)) log.warn(`${what} failed`, { cause: messageOf(cause) });
  });
}
