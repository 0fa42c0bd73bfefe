import type { TypeOf } from '../codec.ts';
import { sized, struct, tagged } from '../combinators.ts';
import { u16, u32, u64 } from '../scalars.ts';
import { TPM_ALG_ID, TPM_GENERATED, TPM_ST, TPMI_YES_NO } from './algorithms.ts';
import { TPMA_LOCALITY } from './attributes.ts';
import { TPM2B_DATA, TPM2B_DIGEST, TPM2B_MAX_NV_BUFFER, TPM2B_NAME } from './buffers.ts';
import { TPML_PCR_SELECTION } from './pcr.ts';

/** TPMS_CLOCK_INFO, Part 2 §10.11.1. `clock` is in milliseconds; `safe` is no after an unorderly shutdown. */
export const TPMS_CLOCK_INFO = /* @__PURE__ */ struct('TPMS_CLOCK_INFO', {
  clock: u64,
  resetCount: u32,
  restartCount: u32,
  safe: TPMI_YES_NO,
});
export type TPMS_CLOCK_INFO = TypeOf<typeof TPMS_CLOCK_INFO>;
/** TPMS_TIME_INFO, Part 2 §10.11.6. `time` is milliseconds since power on. */
export const TPMS_TIME_INFO = /* @__PURE__ */ struct('TPMS_TIME_INFO', {
  time: u64,
  clockInfo: TPMS_CLOCK_INFO,
});
export type TPMS_TIME_INFO = TypeOf<typeof TPMS_TIME_INFO>;

/** TPMS_CERTIFY_INFO, Part 2 §10.12.3. */
export const TPMS_CERTIFY_INFO = /* @__PURE__ */ struct('TPMS_CERTIFY_INFO', {
  name: TPM2B_NAME,
  qualifiedName: TPM2B_NAME,
});
/** TPMS_QUOTE_INFO, Part 2 §10.12.4. */
export const TPMS_QUOTE_INFO = /* @__PURE__ */ struct('TPMS_QUOTE_INFO', {
  pcrSelect: TPML_PCR_SELECTION,
  pcrDigest: TPM2B_DIGEST,
});
/** TPMS_CREATION_INFO, Part 2 §10.12.7. */
export const TPMS_CREATION_INFO = /* @__PURE__ */ struct('TPMS_CREATION_INFO', {
  objectName: TPM2B_NAME,
  creationHash: TPM2B_DIGEST,
});
/** TPMS_TIME_ATTEST_INFO, Part 2 §10.12.2. */
export const TPMS_TIME_ATTEST_INFO = /* @__PURE__ */ struct('TPMS_TIME_ATTEST_INFO', {
  time: TPMS_TIME_INFO,
  firmwareVersion: u64,
});
/** TPMS_NV_CERTIFY_INFO, Part 2 §10.12.8. */
export const TPMS_NV_CERTIFY_INFO = /* @__PURE__ */ struct('TPMS_NV_CERTIFY_INFO', {
  indexName: TPM2B_NAME,
  offset: u16,
  nvContents: TPM2B_MAX_NV_BUFFER,
});

/** TPMS_NV_DIGEST_CERTIFY_INFO, Part 2 §10.12.9. */
export const TPMS_NV_DIGEST_CERTIFY_INFO = /* @__PURE__ */ struct('TPMS_NV_DIGEST_CERTIFY_INFO', {
  indexName: TPM2B_NAME,
  nvDigest: TPM2B_DIGEST,
});
/** TPMS_COMMAND_AUDIT_INFO, Part 2 §10.12.5. */
export const TPMS_COMMAND_AUDIT_INFO = /* @__PURE__ */ struct('TPMS_COMMAND_AUDIT_INFO', {
  auditCounter: u64,
  digestAlg: TPM_ALG_ID,
  auditDigest: TPM2B_DIGEST,
  commandDigest: TPM2B_DIGEST,
});
/** TPMS_SESSION_AUDIT_INFO, Part 2 §10.12.6. */
export const TPMS_SESSION_AUDIT_INFO = /* @__PURE__ */ struct('TPMS_SESSION_AUDIT_INFO', {
  exclusiveSession: TPMI_YES_NO,
  sessionDigest: TPM2B_DIGEST,
});

/** TPMS_ATTEST, Part 2 §10.12.12: what a TPM says about itself, under the signature of an attestation key. */
export const TPMS_ATTEST = /* @__PURE__ */ tagged(
  'TPMS_ATTEST',
  {
    magic: TPM_GENERATED,
    type: TPM_ST,
    qualifiedSigner: TPM2B_NAME,
    extraData: TPM2B_DATA,
    clockInfo: TPMS_CLOCK_INFO,
    firmwareVersion: u64,
  },
  'type',
  {
    attestCertify: { attested: TPMS_CERTIFY_INFO },
    attestQuote: { attested: TPMS_QUOTE_INFO },
    attestCreation: { attested: TPMS_CREATION_INFO },
    attestTime: { attested: TPMS_TIME_ATTEST_INFO },
    attestNv: { attested: TPMS_NV_CERTIFY_INFO },
    attestNvDigest: { attested: TPMS_NV_DIGEST_CERTIFY_INFO },
    attestCommandAudit: { attested: TPMS_COMMAND_AUDIT_INFO },
    attestSessionAudit: { attested: TPMS_SESSION_AUDIT_INFO },
  },
);
export type TPMS_ATTEST = TypeOf<typeof TPMS_ATTEST>;

/** TPMS_CREATION_DATA, Part 2 §15.1. */
export const TPMS_CREATION_DATA = /* @__PURE__ */ struct('TPMS_CREATION_DATA', {
  pcrSelect: TPML_PCR_SELECTION,
  pcrDigest: TPM2B_DIGEST,
  locality: TPMA_LOCALITY,
  parentNameAlg: TPM_ALG_ID,
  parentName: TPM2B_NAME,
  parentQualifiedName: TPM2B_NAME,
  outsideInfo: TPM2B_DATA,
});
export type TPMS_CREATION_DATA = TypeOf<typeof TPMS_CREATION_DATA>;
/** TPM2B_CREATION_DATA, Part 2 §15.2. */
export const TPM2B_CREATION_DATA = /* @__PURE__ */ sized('TPM2B_CREATION_DATA', TPMS_CREATION_DATA);
