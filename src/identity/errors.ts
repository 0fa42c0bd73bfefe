import type { Remedy } from '../core/errors.ts';
import { FealtyError } from '../core/errors.ts';

/** Which rule of the certificate profile a chain broke (`docs/reference/wire.md` lists them). */
export type CertificateCheck =
  | 'malformed'
  | 'version'
  | 'chain-length'
  | 'anchor'
  | 'signature'
  | 'signature-algorithm'
  | 'key'
  | 'expired'
  | 'not-yet-valid'
  | 'critical-extension'
  | 'ca'
  | 'path-length'
  | 'key-usage'
  | 'extended-key-usage'
  | 'name-constraints'
  | 'policy'
  | 'identifier'
  | 'subject'
  | 'work';

/** A certificate chain broke a rule of the profile; `check` names the rule. */
export class CertificateRefused extends FealtyError {
  override readonly code = 'identity.certificate-refused';
  override readonly remedy: Remedy;
  readonly check: CertificateCheck;

  constructor(check: CertificateCheck, message: string, options?: ErrorOptions) {
    super(message, options);
    this.check = check;
    this.remedy = check === 'expired' ? 'renew' : check === 'not-yet-valid' ? 'retry' : 'give-up';
  }
}

/** Which rule a token that states an identity (WIT, client attestation) broke. */
export type CredentialCheck =
  | 'malformed'
  | 'trust-domain'
  | 'key'
  | 'signature'
  | 'expired'
  | 'not-yet-valid'
  | 'lifetime'
  | 'confirmation';

/** A WIT or client attestation is not accepted; `check` names the rule it broke. */
export class CredentialRefused extends FealtyError {
  override readonly code = 'identity.credential-refused';
  override readonly remedy: Remedy;
  readonly check: CredentialCheck;

  constructor(check: CredentialCheck, message: string, options?: ErrorOptions) {
    super(message, options);
    this.check = check;
    this.remedy = check === 'expired' ? 'renew' : check === 'not-yet-valid' ? 'retry' : 'give-up';
  }
}

/** A trust bundle older than, or different from, one already kept for the same trust domain. */
export class BundleRefused extends FealtyError {
  override readonly code = 'identity.bundle-refused';
  override readonly remedy = 'ask-owner';
  readonly trustDomain: string;

  constructor(trustDomain: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.trustDomain = trustDomain;
  }
}
