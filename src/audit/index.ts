export type { Checkpointer, LogHead } from './checkpoint.ts';
export { checkpointInput, signedCheckpoints } from './checkpoint.ts';
export {
  AuditBroken,
  AuditBusy,
  AuditCounterMissing,
  AuditEntryTooLarge,
  AuditFailed,
  AuditFull,
} from './errors.ts';
export type { AuditJournalOptions } from './log.ts';
export { AuditJournal } from './log.ts';
export { hashOf } from './record.ts';
export { readWholeLog } from './segments.ts';
export type { AuditCounterOptions } from './tpm-checkpoint.ts';
export { AUDIT_COUNTER, auditCounter, tpmCheckpoints } from './tpm-checkpoint.ts';
