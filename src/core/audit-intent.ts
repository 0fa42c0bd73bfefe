import type { AuditEntry, AuditRecord } from './audit.ts';
import type { JsonObject } from './json.ts';

/**
 * Kind of the record written *before* an action. It stays open until an {@link OUTCOME} names it; after a crash the
 * log closes it by itself as `unknown`.
 */
export const INTENT = 'intent';

/** Kind of the record that closes an {@link INTENT}: `detail` is `{ of: <index>, result: <how it ended> }`. */
export const OUTCOME = 'outcome';

/** How an action ended. `unknown`: power or process went away in between. */
export type ActionResult = 'done' | 'failed' | 'stopped' | 'unknown';

/** The entry that closes `intent`. @param detail anything that explains the result, never a secret. */
export function outcomeOf(intent: AuditRecord, result: ActionResult, detail?: JsonObject): AuditEntry {
  const { agent, subject, resource, action, txn, task, index } = intent;
  return {
    kind: OUTCOME,
    agent,
    subject,
    resource,
    action,
    txn,
    task,
    detail: { ...detail, of: index, result },
  };
}
