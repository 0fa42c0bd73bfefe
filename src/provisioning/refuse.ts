import { Malformed } from '../core/errors.ts';
import type { Check } from './checks.ts';
import { EnrolmentRefused } from './errors.ts';

/** Refuses at `check`. */
export function refuse(check: Check, message: string, cause?: unknown): never {
  throw new EnrolmentRefused(check, message, cause === undefined ? undefined : { cause });
}

/** What `read` returns; what has no form is refused under the name of `check`. */
export function formed<T>(check: Check, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof Malformed) throw new EnrolmentRefused(check, cause.message, { cause });
    throw cause;
  }
}
