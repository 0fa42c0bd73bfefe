import type { TpmOptions } from './client/tpm.ts';
import { Tpm } from './client/tpm.ts';

/** Opens a TPM: `openTpm({ transport: openTransport('device:/dev/tpmrm0'), random, clock })`. */
export function openTpm(options: TpmOptions): Promise<Tpm> {
  return Tpm.open(options);
}

export type { Attestation, CredentialChallenge } from './attestation.ts';
export { activateCredential, attestTime, certify, nvCertify, quote } from './attestation.ts';
export { attestAudit, SessionAudit, verifyAudit } from './audit-session.ts';
export type { NewAuth } from './auth-values.ts';
export { changeHierarchyAuth, changeNvAuth, changeObjectAuth } from './auth-values.ts';
export { getRandom, listHandles, readClock } from './basics.ts';
export {
  certifyChecked,
  counterReadCertified,
  quotePcrs,
  timeAttested,
  verifyCertified,
  verifyNvCertified,
  verifyQuote,
} from './checked.ts';
export type { AuditTrail, Authorization, SessionUse } from './client/authorization.ts';
export { password, using } from './client/authorization.ts';
export type { Need } from './client/authorize.ts';
export { withAuthorizations } from './client/authorize.ts';
export type { RunOptions } from './client/run.ts';
export { run } from './client/run.ts';
export { Session } from './client/session.ts';
export type { SaltKey, SessionOptions } from './client/sessions.ts';
export { endSession, startSession } from './client/sessions.ts';
export type { TpmOptions } from './client/tpm.ts';
export { Tpm } from './client/tpm.ts';
export { CodecError, decode, encode } from './codec.ts';
export { makeCredential } from './credential.ts';
export type { Hidden } from './decryption.ts';
export { cipherInTpm, ecdh, ecdhKeyGen, rsaDecrypt } from './decryption.ts';
export type { PolicyAuth } from './device-key-roles.ts';
export type { DeviceKey, DeviceKeyKind, DeviceKeyTemplate } from './device-keys.ts';
export { deviceKeyTemplate, deviceKeyTemplates, loadDeviceKey } from './device-keys.ts';
export { deviceKeyBranches } from './device-policies.ts';
export type { Duplicate } from './duplication.ts';
export { duplicateKey, importKey, loadPublic, wrapForImport } from './duplication.ts';
export type { AnyTpmError } from './errors.ts';
export { AttestationRefused, TpmBusy, TpmMalformed, TpmRefused, TpmSilent, TpmUntrusted } from './errors.ts';
export type { KeyFile, KeyFilePolicy } from './key-file.ts';
export { readKeyFile, writeKeyFile } from './key-file.ts';
export type { KeyFileAuth } from './key-file-load.ts';
export { fulfilKeyFile, loadKeyFile } from './key-file-load.ts';
export type { Lockout } from './lockout.ts';
export { lockoutReset, lockoutState } from './lockout.ts';
export { nameOf, nvNameOf, qualifiedNameOf, samePublic } from './names.ts';
export type { NewNvIndex, NvAccess, NvIndex } from './nv.ts';
export {
  counterDefine,
  counterIncrement,
  counterRead,
  nvDefine,
  nvRead,
  nvReadCertificate,
  nvReadPublic,
  nvUndefine,
  nvWrite,
} from './nv.ts';
export type { Hierarchy, NewKey, NewPrimary, TpmObject, WrappedKey } from './objects.ts';
export { createKey, createPrimary, evict, flush, loadKey, loadPersistent, persist } from './objects.ts';
export { owned, withKey } from './owned.ts';
export type { PcrBank } from './pcr.ts';
export { pcrBanks, pcrExtend, pcrRead, pcrReset, selectedPcrDigest, selectedPcrs } from './pcr.ts';
export type { Compared, PolicyChoice } from './policy.ts';
export { Policy } from './policy.ts';
export { jwkOfPublic, keyObjectOfPublic, publicOfJwk, spkiOfPublic } from './public-keys.ts';
export { chooseSaltKey } from './salt.ts';
export type { SealedData, Sealing } from './sealing.ts';
export { seal, unseal } from './sealing.ts';
export type { TpmDigest } from './sequences.ts';
export { hashInTpm, hmacInTpm, signMessage } from './sequences.ts';
export type { SigningScheme } from './sign.ts';
export { rawSignature, sign } from './sign.ts';
export { tpmSigner } from './signer.ts';
export type { SoftwareKey, SoftwareKeyUse } from './software-key.ts';
export { softwareHmacKey, softwareKey } from './software-key.ts';
export type { EkHighName } from './storage-templates.ts';
export { ekHighTemplate, srkLowTemplate, srkRsaTemplate } from './storage-templates.ts';
export type { TPMS_ATTEST } from './structures/attest.ts';
export { TPM_RH } from './structures/handles.ts';
export { TPMT_PUBLIC } from './structures/keys.ts';
export type { TPMA_NV } from './structures/nv.ts';
export type { TPML_PCR_SELECTION } from './structures/pcr.ts';
export { TPMT_SIGNATURE } from './structures/signatures.ts';
export type { SwappingOptions } from './swap/swapper.ts';
export { openSharedTpm, swapping } from './swap/swapping.ts';
export type { EccPublic, RsaPublic, UniqueVariant } from './templates.ts';
export {
  certificateIndices,
  ekRsaTemplate,
  ekTemplate,
  iakRsaTemplate,
  iakTemplate,
  iakTemplates,
  idevidRsaTemplate,
  idevidTemplate,
  idevidTemplates,
  lakTemplate,
  ldevidTemplate,
  persistentHandles,
  srkTemplate,
} from './templates.ts';
export type { MssimAddress } from './transport/mssim.ts';
export { mssimTransport } from './transport/mssim.ts';
export { openRobotTransport, openTransport } from './transport/open.ts';
export type { Transport } from './transport/transport.ts';
export type { Expected } from './verify.ts';
export {
  pcrDigest,
  readAttest,
  readPublic,
  readSignature,
  verifyAttestation,
  verifyTpmSignature,
} from './verify.ts';
