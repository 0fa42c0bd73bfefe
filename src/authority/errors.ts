import type { Remedy } from '../core/errors.ts';
import { FealtyError } from '../core/errors.ts';

/** Names of the checks on an owner's request. */
export type OwnerCheck =
  | 'proof-missing'
  | 'proof-form'
  | 'proof-key'
  | 'proof-signature'
  | 'proof-method'
  | 'proof-url'
  | 'proof-body'
  | 'proof-iat'
  | 'proof-replayed'
  | 'proof-replay-full'
  | 'request-form'
  | 'not-found'
  | 'taken'
  | 'method';

/** An owner's request is refused; `check` names the check. */
export class OwnerRefused extends FealtyError {
  override readonly code = 'authority.owner-refused';
  override readonly remedy: Remedy;
  readonly check: OwnerCheck;
  /** HTTP status. */
  readonly status: number;

  constructor(check: OwnerCheck, message: string, options?: ErrorOptions) {
    super(message, options);
    this.check = check;
    this.remedy = check === 'proof-iat' || check === 'proof-replay-full' ? 'retry' : 'give-up';
    this.status =
      check === 'not-found'
        ? 404
        : check === 'taken'
          ? 409
          : check === 'method'
            ? 405
            : check === 'request-form'
              ? 400
              : 401;
  }
}

/** The authority answered an owner's request with a refusal. */
export class AuthorityRefused extends FealtyError {
  override readonly code = 'authority.refused';
  override readonly remedy: Remedy;
  /** HTTP status. */
  readonly status: number;
  /** Name of the check, when the authority said it. */
  readonly check: string | undefined;

  constructor(status: number, check: string | undefined, message: string) {
    super(message);
    this.status = status;
    this.check = check;
    this.remedy = status >= 500 ? 'retry' : 'give-up';
  }
}

/** The folder is not an authority's, is one already, or is damaged. */
export class AuthorityFolder extends FealtyError {
  override readonly code = 'authority.folder';
  override readonly remedy = 'ask-owner';
}

/** The server at that address is not the authority whose fingerprint is known. */
export class AuthorityUnknown extends FealtyError {
  override readonly code = 'authority.unknown';
  override readonly remedy = 'ask-owner';
}
