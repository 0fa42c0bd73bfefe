import { FealtyError } from '../core/errors.ts';

/**
 * What a verifier (RATS) looks at in evidence, in order; a refusal carries one of these names.
 * The documentation and the tests are made from this list.
 */
export const ATTESTATION_CHECKS = [
  /** The evidence has the form of `docs/reference/wire.md`. */
  'evidence-form',
  /** The attestation key signed the quote (ECDSA or RSA over the TPMS_ATTEST bytes). */
  'quote-signature',
  /** The signed bytes are a quote made by a TPM: magic ff544347 and type 8018. */
  'quote-form',
  /** `extraData` is what the verifier expects: its nonce, and whatever it bound to it. */
  'quote-nonce',
  /** The quote covers exactly the PCRs and the bank the verifier chose. */
  'pcr-selection',
  /** The PCR values sent are those quoted. */
  'pcr-digest',
  /** Replaying the runtime log gives the quoted value of its PCR. */
  'pcr-replay',
  /** Firmware PCRs and measurements are among the reference values. */
  'reference-values',
  /** The AIBOM is the one whose digest the evidence carries, and every measured model is in it. */
  'aibom-digest',
  /** The TPM's reset counter and clock did not go back since the last attestation by the same key. */
  'tpm-clock',
] as const;

/** The name of one check of a verifier. */
export type AttestationCheck = (typeof ATTESTATION_CHECKS)[number];

/** A verifier did not accept evidence; `check` says what was wrong with it. */
export class AppraisalRefused extends FealtyError {
  override readonly code = 'attestation.refused';
  override readonly remedy = 'ask-owner';
  readonly check: AttestationCheck;

  constructor(check: AttestationCheck, message: string, options?: ErrorOptions) {
    super(`attestation is refused at \`${check}\`: ${message}`, options);
    this.check = check;
  }
}

/** What a reader of an attestation result looks at. */
export type EarCheck = 'form' | 'signature' | 'profile' | 'subject' | 'key' | 'nonce' | 'expired' | 'not-yet';

/** An attestation result is not valid, or not about the agent it was shown for. */
export class EarRefused extends FealtyError {
  override readonly code = 'attestation.result-refused';
  override readonly remedy = 'renew';
  readonly check: EarCheck;

  constructor(check: EarCheck, message: string, options?: ErrorOptions) {
    super(`the attestation result is refused at \`${check}\`: ${message}`, options);
    this.check = check;
  }
}

/** The runtime log cannot take another entry: it is bounded, and only a restart of the machine begins a new one. */
export class RuntimeLogFull extends FealtyError {
  override readonly code = 'attestation.log-full';
  override readonly remedy = 'ask-owner';
}
