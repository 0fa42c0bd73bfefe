import type { Remedy } from '../core/errors.ts';
import { FealtyError } from '../core/errors.ts';
import type { Decision, Reason } from './decision.ts';

/** What a caller can do about a refusal. */
const remedies: Partial<Record<Reason, Remedy>> = {
  condition: 'retry',
  unknown: 'retry',
  time: 'retry',
  status: 'retry',
  limit: 'retry',
  confirmation: 'ask-owner',
  expired: 'renew',
  'no-grant': 'ask-owner',
  prohibited: 'ask-owner',
};

/** An action was not allowed. The decision says why; `why` shows it. */
export class PermissionDenied extends FealtyError {
  override readonly code = 'permissions.denied';
  override readonly remedy: Remedy;
  readonly decision: Decision;

  constructor(decision: Decision, options?: ErrorOptions) {
    super(
      `\`${decision.request.device}.${decision.request.action}\` is not permitted: ${decision.message}`,
      options,
    );
    this.decision = decision;
    this.remedy = remedies[decision.reason] ?? 'give-up';
  }
}

/** The decision or the limit could not be recorded durably, so the action did not happen. */
export class NotRecorded extends FealtyError {
  override readonly code = 'permissions.not-recorded';
  override readonly remedy = 'retry';
}

/** The grant carries an older generation of a tag than one that was revoked. */
export class GrantRevoked extends FealtyError {
  override readonly code = 'permissions.grant-revoked';
  override readonly remedy = 'renew';
  /** The revoked tag, for example `task:rescue-7`. */
  readonly tag: string;

  constructor(tag: string) {
    super(`the grant was issued before \`${tag}\` was revoked`);
    this.tag = tag;
  }
}

/** The grant is not for this enforcement point. */
export class GrantElsewhere extends FealtyError {
  override readonly code = 'permissions.grant-elsewhere';
  override readonly remedy = 'give-up';
}

/** More than this enforcement point is built to hold. */
export class TooMany extends FealtyError {
  override readonly code = 'permissions.too-many';
  override readonly remedy = 'give-up';
}

/** Actions that should have stopped have not, within the deadline; their drivers are no longer fed. */
export class StillRunning extends FealtyError {
  override readonly code = 'permissions.still-running';
  override readonly remedy = 'retry';
  /** `device.action` of each. */
  readonly actions: readonly string[];

  constructor(actions: readonly string[]) {
    super(`not stopped within the deadline: ${actions.map((name) => `\`${name}\``).join(', ')}`);
    this.actions = actions;
  }
}

/** The driver failed while it performed or stopped an action. */
export class DriverFailed extends FealtyError {
  override readonly code = 'permissions.driver-failed';
  override readonly remedy = 'retry';
}
