import type { AuditEntry, AuditRecord } from '../core/audit.ts';
import { INTENT, OUTCOME, outcomeOf } from '../core/audit-intent.ts';

/**
 * Which intents have no outcome yet, record by record.
 *
 * An intent is a record of kind `intent`, closed by the outcome whose `detail.of` is its index; or the permit of an
 * enforcement point (kind `decision`, with `detail.enforcer` and `detail.id`), closed by the outcome of the same `detail.id`.
 */
export class OpenIntents {
  #open = new Map<number, AuditRecord>();
  #byId = new Map<string, number>();

  /** How many are open. */
  get size(): number {
    return this.#open.size;
  }

  /** Those that are open, oldest first. */
  all(): readonly AuditRecord[] {
    return [...this.#open.values()];
  }

  /** Takes the next record into account. @returns false for an outcome of something that is not open. */
  follow(record: AuditRecord): boolean {
    const { kind, index, decision, detail = {} } = record;
    const { id, of, enforcer } = detail;
    const enforced =
      kind === 'decision' && decision === 'permit' && enforcer !== undefined && typeof id === 'string';
    if (kind === INTENT || enforced) {
      this.#open.set(index, record);
      if (enforced) this.#byId.set(id, index);
      return true;
    }
    if (kind !== OUTCOME) return true;
    if (typeof of === 'number') return this.#close(of);
    // An enforcement point tells of a device it found running at start, after the log itself closed what it had begun.
    if (typeof id === 'string') this.#close(this.#byId.get(id));
    return true;
  }

  #close(index: number | undefined): boolean {
    const record = index === undefined ? undefined : this.#open.get(index);
    if (record === undefined) return false;
    this.#open.delete(record.index);
    const id = record.detail?.['id'];
    if (typeof id === 'string') this.#byId.delete(id);
    return true;
  }
}

/** The entry that closes `intent` when nobody can say any more how it ended. */
export function unknownOutcome(intent: AuditRecord): AuditEntry {
  const id = intent.detail?.['id'];
  return { ...outcomeOf(intent, 'unknown', typeof id === 'string' ? { id } : {}), cause: 'outcome unknown' };
}
