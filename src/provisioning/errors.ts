import type { Remedy } from '../core/errors.ts';
import { FealtyError } from '../core/errors.ts';
import type { Check } from './checks.ts';

/** The registrar refused to enrol or renew; `check` is the name of what did not hold. */
export class EnrolmentRefused extends FealtyError {
  override readonly code = 'provisioning.refused';
  override readonly remedy = 'ask-owner';
  readonly check: Check;

  constructor(check: Check, message: string, options?: ErrorOptions) {
    super(`enrolment is refused at \`${check}\`: ${message}`, options);
    this.check = check;
  }
}

/** What the device looks at in a voucher. */
export type VoucherCheck =
  | 'form'
  | 'signature'
  | 'serial'
  | 'idevid-issuer'
  | 'nonce'
  | 'ownership'
  | 'expired'
  | 'pinned-server';

/** A voucher is not the maker's, not for this device, or too old: the owner behind it is not trusted. */
export class VoucherRefused extends FealtyError {
  override readonly code = 'provisioning.voucher-refused';
  override readonly remedy = 'ask-owner';
  readonly check: VoucherCheck;

  constructor(check: VoucherCheck, message: string, options?: ErrorOptions) {
    super(`the voucher is refused at \`${check}\`: ${message}`, options);
    this.check = check;
  }
}

/** The server at the authority's address is not the one the voucher pinned. */
export class WrongAuthority extends FealtyError {
  override readonly code = 'provisioning.wrong-authority';
  override readonly remedy = 'ask-owner';
}

/** The registrar answered with an error that names no check, or with something that is no answer. */
export class RegistrarFailed extends FealtyError {
  override readonly code = 'provisioning.registrar-failed';
  override readonly remedy: Remedy;
  /** HTTP status code. */
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
    this.remedy = status >= 500 || status === 429 ? 'retry' : 'give-up';
  }
}

/** The device lacks what the maker puts into it: a key, a certificate in NV, the voucher keys. */
export class NotManufactured extends FealtyError {
  override readonly code = 'provisioning.not-manufactured';
  override readonly remedy = 'give-up';
}

/** The credentials the registrar sent are not what was asked for (another identifier, another key, another anchor). */
export class CredentialsRefused extends FealtyError {
  override readonly code = 'provisioning.credentials-refused';
  override readonly remedy = 'ask-owner';
}
