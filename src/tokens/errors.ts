import type { Remedy } from '../core/errors.ts';
import { FealtyError } from '../core/errors.ts';

/** Names of the checks a verifier makes on a token; a refusal names exactly one. */
export type TokenCheck =
  | 'form'
  | 'claims'
  | 'trust-domain'
  | 'key'
  | 'signature'
  | 'issuer'
  | 'audience'
  | 'expired'
  | 'not-yet-valid'
  | 'presenter'
  | 'authorization-details'
  | 'revoked'
  | 'status'
  | 'subject'
  | 'task'
  | 'group'
  | 'role'
  | 'subset'
  | 'life'
  | 'coordinator'
  | 'trust-domain-of-member';

/** A token, group grant or assignment is refused; `check` says which check failed. */
export class TokenRefused extends FealtyError {
  override readonly code = 'tokens.refused';
  override readonly remedy: Remedy;
  readonly check: TokenCheck;

  constructor(check: TokenCheck, message: string, options?: ErrorOptions) {
    super(message, options);
    this.check = check;
    this.remedy = check === 'expired' ? 'renew' : 'give-up';
  }
}

/** Names of the checks on a proof of possession (DPoP, WPT). */
export type ProofCheck =
  | 'form'
  | 'claims'
  | 'signature'
  | 'key'
  | 'jkt'
  | 'method'
  | 'url'
  | 'audience'
  | 'expired'
  | 'life'
  | 'iat'
  | 'nonce'
  | 'ath'
  | 'wth'
  | 'tth'
  | 'oth'
  | 'binding'
  | 'transcript'
  | 'replayed'
  | 'replay-full'
  | 'nonce-required';

/** A proof of possession is refused; `check` says which check failed. */
export class ProofRefused extends FealtyError {
  override readonly code = 'tokens.proof-refused';
  override readonly remedy: Remedy;
  readonly check: ProofCheck;

  constructor(check: ProofCheck, message: string, options?: ErrorOptions) {
    super(message, options);
    this.check = check;
    this.remedy =
      check === 'nonce-required' || check === 'nonce' || check === 'replay-full' ? 'retry' : 'give-up';
  }
}

/** The token service answered with an OAuth error (RFC 6749 §5.2). */
export class IssuerRefused extends FealtyError {
  override readonly code = 'tokens.issuer-refused';
  override readonly remedy: Remedy;
  /** The error on the wire, for example `invalid_authorization_details`. */
  readonly error: string;
  /** HTTP status. */
  readonly status: number;
  /** Name of the check that failed, when the service said it. */
  readonly check: string | undefined;

  constructor(error: string, status: number, check: string | undefined, message: string) {
    super(message);
    this.error = error;
    this.status = status;
    this.check = check;
    if (status >= 500 || status === 429) this.remedy = 'retry';
    else if (error === 'use_fresh_attestation' || error === 'invalid_client_attestation')
      this.remedy = 'renew';
    else if (error === 'invalid_authorization_details' || error === 'access_denied')
      this.remedy = 'ask-owner';
    else this.remedy = 'give-up';
  }
}

/** A statement about revocation (generations, status list) is older than one already seen, or not for this book. */
export class StatementRefused extends FealtyError {
  override readonly code = 'tokens.statement-refused';
  override readonly remedy = 'retry';
  readonly check: 'form' | 'key' | 'signature' | 'rollback' | 'gap' | 'nonce' | 'scope' | 'expired' | 'uri';

  constructor(check: StatementRefused['check'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.check = check;
  }
}
