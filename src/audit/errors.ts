import { FealtyError } from '../core/errors.ts';

/** The log has reached its bound: no new intents, so no new actuation; outcomes and stops are still recorded. */
export class AuditFull extends FealtyError {
  override readonly code = 'audit.full';
  override readonly remedy = 'ask-owner';
}

/** A record could not be made durable. The log takes nothing more until it is opened again. */
export class AuditFailed extends FealtyError {
  override readonly code = 'audit.failed';
  override readonly remedy = 'retry';
}

/** One entry alone is larger than a record may be. */
export class AuditEntryTooLarge extends FealtyError {
  override readonly code = 'audit.entry-too-large';
  override readonly remedy = 'give-up';
}

/** The stored log is not what was written: something was changed, removed or moved in it. */
export class AuditBroken extends FealtyError {
  override readonly code = 'audit.broken';
  override readonly remedy = 'ask-owner';
  /** The first record that does not fit. */
  readonly index: number;

  constructor(index: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.index = index;
  }
}

/** The TPM no longer has the log's counter, as after TPM2_Clear: an event to record, and to enrol again. */
export class AuditCounterMissing extends FealtyError {
  override readonly code = 'audit.counter-missing';
  override readonly remedy = 'renew';
}

/** The log cannot be archived now, because an action has not ended yet. */
export class AuditBusy extends FealtyError {
  override readonly code = 'audit.busy';
  override readonly remedy = 'retry';
}
