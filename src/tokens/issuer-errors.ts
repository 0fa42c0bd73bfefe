import { FealtyError } from '../core/errors.ts';

/** A request that the token service refuses: what goes on the wire (RFC 6749 §5.2) and which check it was. */
export class OAuthRefusal extends FealtyError {
  override readonly code = 'tokens.request-refused';
  override readonly remedy = 'give-up';
  /** For example `invalid_grant`. */
  readonly error: string;
  readonly status: number;
  /** Name of the check that failed. */
  readonly check: string;

  constructor(
    error: string,
    check: string,
    message: string,
    options?: ErrorOptions & { readonly status?: number },
  ) {
    super(message, options);
    this.error = error;
    this.check = check;
    this.status =
      options?.status ?? (error === 'invalid_client' || error === 'invalid_client_attestation' ? 401 : 400);
  }
}
