import type { AuditEntry, AuditRecord } from '../core/audit.ts';
import { canonicalJson } from '../core/json.ts';

/** A denial that was recorded once and is now only counted. */
export interface CountedDenial {
  /** The record of the first time. */
  readonly first: AuditRecord;
  /** How often it, or one of those counted with it, came again. */
  count: number;
  /** True for the one counter that all denials beyond the bound share. */
  readonly mixed: boolean;
}

/** Different denials that are counted apart in one window; whatever goes beyond is counted together. */
const MAX_APART = 256;
const OTHERS = '*';

/**
 * Remembers which denials of the current window stand in the log already, so that an agent that asks again and again
 * cannot fill it. Bounded: at most 256 different ones, and one for all the others.
 */
export class Denials {
  #known = new Map<string, CountedDenial>();

  /** The counter under which `entry` is to be counted, if it (or, in a full window, any other) was recorded before. */
  repeated(entry: AuditEntry): CountedDenial | undefined {
    return this.#known.get(this.#keyOf(entry));
  }

  /** Says that `entry` is recorded as `first`. */
  remember(entry: AuditEntry, first: AuditRecord): void {
    const key = this.#keyOf(entry);
    this.#known.set(key, { first, count: 0, mixed: key === OTHERS });
  }

  /** Ends the window. @returns what was repeated in it. */
  drain(): readonly CountedDenial[] {
    const repeated = [...this.#known.values()].filter(({ count }) => count > 0);
    this.#known.clear();
    return repeated;
  }

  #keyOf(entry: AuditEntry): string {
    const { kind, agent, subject, resource, action, task, cause, detail } = entry;
    const { reason, rule } = detail ?? {};
    const key = canonicalJson({ kind, agent, subject, resource, action, task, cause, reason, rule });
    return this.#known.size >= MAX_APART && !this.#known.has(key) ? OTHERS : key;
  }
}
