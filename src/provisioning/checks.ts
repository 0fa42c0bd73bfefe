import { ATTESTATION_CHECKS } from '../attestation/errors.ts';

/**
 * Every check the registrar makes before it issues anything, by name: TCG "TPM 2.0 Keys for Device Identity and
 * Attestation" §6.2.2, the TCG certificate profile, and ours. A refusal carries one of these names.
 */
export const CHECKS = [
  // form and order
  /** The message has its form and its size is within bounds. */
  'request-form',
  /** The TCG-CSR-IDEVID parses, is padded and its inner hash is right. */
  'csr-form',
  /** The IDevID key signed the CSR. */
  'csr-signature',
  // certificates, each against the anchors of its own role
  /** The EK certificate chains to a TPM vendor. */
  'ek-chain',
  /** It is an EK certificate (EKU 2.23.133.8.1) for a key of template L-1 or L-2. */
  'ek-profile',
  /** The TPM is no simulator, unless the authority was initialised for simulation. */
  'simulated-tpm',
  /** The IDevID certificate chains to a maker of devices. */
  'idevid-chain',
  /** The IAK certificate chains to the same maker. */
  'iak-chain',
  /** The IDevID certificate says 2.23.133.11.1.1 (residency verified) and .2 (fixedTPM verified). */
  'idevid-policy',
  /** The IAK certificate says 2.23.133.11.1.1 and .3 (restricted verified). */
  'iak-policy',
  /** The public key in the IDevID certificate is the one in the CSR. */
  'idevid-key',
  /** The public key in the IAK certificate is the one in the CSR. */
  'iak-key',
  /** The IDevID is fixedTPM, fixedParent, sensitiveDataOrigin, sign, neither restricted nor decrypt, TCG's policy. */
  'idevid-attributes',
  /** The IAK is fixedTPM, fixedParent, sensitiveDataOrigin, sign, restricted, not decrypt, TCG's policy. */
  'iak-attributes',
  /** The IAK certified the IDevID: magic, type 8017, Name, signature. */
  'idevid-certified-by-iak',
  /** One serial number in CSR, IDevID certificate, IAK certificate and voucher. */
  'serial-equality',
  /** One model in CSR, IDevID certificate and endorsement. */
  'model-equality',
  /** hardwareModuleName and permanentIdentifier in both certificates name this EK certificate. */
  'hardware-module',
  // papers
  /** The maker's voucher for this device names this owner. */
  'voucher',
  /** The provider endorses this model with this AIBOM. */
  'endorsement',
  /** The owner bound this serial number to an agent identifier. */
  'binding',
  /** The AIBOM is CycloneDX 1.6 or 1.7 and keeps the owner's rules. */
  'aibom',
  // the challenge
  /** The challenge exists, is unused, not expired and was made for this device. */
  'challenge',
  /** The TPM with this EK holds this IAK: it opened the credential (TPM2_ActivateCredential). */
  'credential-activation',
  ...ATTESTATION_CHECKS,
  /** LAK: fixedTPM, fixedParent, sensitiveDataOrigin, sign, restricted, not decrypt. */
  'lak-attributes',
  /** LDevID: fixedTPM, fixedParent, sensitiveDataOrigin, sign, neither restricted nor decrypt. */
  'ldevid-attributes',
  /** The IAK certified the LAK, with this challenge's nonce. */
  'lak-certified',
  /** The IAK certified the LDevID, with this challenge's nonce. */
  'ldevid-certified',
  /** Each software key proved that its holder has it, and all three differ. */
  'key-possession',
  // renewal
  /** The device is enrolled with that LDevID. */
  'unknown-device',
  /** The LDevID signed the renewal. */
  'renewal-signature',
  /** Its owner has not revoked it. */
  'revoked',
  // unique, each by a constraint of the database
  'unique-ek',
  'unique-idevid',
  'unique-iak',
  'unique-serial',
  'unique-hardware-module',
  'unique-slug',
] as const;

/** The name of one check of the registrar. */
export type Check = (typeof CHECKS)[number];

/** Whether `name` is a check of ours: what a registrar says is text from outside. */
export function isCheck(name: unknown): name is Check {
  return (CHECKS as readonly unknown[]).includes(name);
}
