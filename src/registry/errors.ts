import type { Remedy } from '../core/errors.ts';
import { FealtyError } from '../core/errors.ts';

/** What the registry looks at in a request. */
export const REGISTRY_CHECKS = [
  /** The request has its form and is within bounds. */
  'form',
  /** The WIT is the ACA's, for the trust domain of its subject, and not expired. */
  'wit',
  /** The WIT's key signed the request over this very WIT. */
  'proof',
  /** The request is for this registry. */
  'audience',
  /** It is fresh. */
  'expired',
  /** It was not seen before. */
  'replay',
  /** Its owner has not revoked the agent. */
  'revoked',
  /** What it says it can do is exactly what the ACA signed. */
  'capabilities',
  /** The lobby certificate is the ACA's and names the same agent. */
  'lobby-certificate',
  /** The agent may not register here: another trust domain. */
  'trust-domain',
] as const;
/** One of {@link REGISTRY_CHECKS}. */
export type RegistryCheck = (typeof REGISTRY_CHECKS)[number];

/** The registry refused a registration or a search; `check` names what did not hold. */
export class RegistryRefused extends FealtyError {
  override readonly code = 'registry.refused';
  override readonly remedy: Remedy;
  readonly check: RegistryCheck;

  constructor(check: RegistryCheck, message: string, options?: ErrorOptions) {
    super(`the registry refuses at \`${check}\`: ${message}`, options);
    this.check = check;
    this.remedy =
      check === 'expired' || check === 'replay' ? 'retry' : check === 'wit' ? 'renew' : 'ask-owner';
  }
}

/** The registry answered with an error that names no check, or with something that is no answer. */
export class RegistryFailed extends FealtyError {
  override readonly code = 'registry.failed';
  override readonly remedy: Remedy;
  /** HTTP status code. */
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
    this.remedy = status >= 500 || status === 429 ? 'retry' : 'give-up';
  }
}
