import { FealtyError, messageOf } from '../core/errors.ts';
import type { Log } from '../core/platform.ts';
import type { LinkMessage } from '../messaging/index.ts';
import { MessageRefused } from '../messaging/index.ts';

/**
 * Lets work go on by itself. What a network may do to it (refused, closed, full) is expected and repaired by heartbeats;
 * anything else is a bug, and is logged as one.
 */
export function detached(work: Promise<unknown>, log: Log, what: string): void {
  work.catch((cause: unknown) => {
    if (!(cause instanceof FealtyError)) log.warn(`${what} failed`, { cause: messageOf(cause) });
  });
}

/** Lets `handler` look at a message; what it refuses is told by the name of the check, what else it throws is a bug. */
export function guarded(
  message: LinkMessage,
  handler: (message: LinkMessage) => void,
  refused: (check: string) => void,
): void {
  try {
    handler(message);
  } catch (cause) {
    if (!(cause instanceof FealtyError)) throw cause;
    refused(cause instanceof MessageRefused ? cause.check : 'form');
  }
}
