import { authorized, command } from '../command.ts';
import { u16 } from '../scalars.ts';
import { TPMI_ALG_HASH, TPMI_ALG_HASH_NULL } from '../structures/algorithms.ts';
import { TPM2B_ATTEST, TPM2B_DATA, TPM2B_DIGEST, TPM2B_MAX_BUFFER } from '../structures/buffers.ts';
import { TPML_CC } from '../structures/capabilities.ts';
import { TPM_HANDLE, TPMI_RH_HIERARCHY } from '../structures/handles.ts';
import { TPM2B_ECC_POINT, TPMT_SIG_SCHEME } from '../structures/keys.ts';
import { TPML_PCR_SELECTION } from '../structures/pcr.ts';
import { TPMT_TK_CREATION, TPMT_TK_HASHCHECK, TPMT_TK_VERIFIED } from '../structures/sessions.ts';
import { TPMT_SIGNATURE } from '../structures/signatures.ts';

const qualified = { qualifyingData: TPM2B_DATA, inScheme: TPMT_SIG_SCHEME };

/** TPM2_Hash, Part 3 §15.4. */
export const TPM2_Hash = /* @__PURE__ */ command(
  'TPM2_Hash',
  0x17d,
  { parameters: { data: TPM2B_MAX_BUFFER, hashAlg: TPMI_ALG_HASH, hierarchy: TPMI_RH_HIERARCHY } },
  { parameters: { outHash: TPM2B_DIGEST, validation: TPMT_TK_HASHCHECK } },
);
/** TPM2_ECDH_ZGen, Part 3 §14.5. */
export const TPM2_ECDH_ZGen = /* @__PURE__ */ command(
  'TPM2_ECDH_ZGen',
  0x154,
  { handles: { keyHandle: authorized(TPM_HANDLE) }, parameters: { inPoint: TPM2B_ECC_POINT } },
  { parameters: { outPoint: TPM2B_ECC_POINT } },
);
/** TPM2_VerifySignature, Part 3 §20.1. */
export const TPM2_VerifySignature = /* @__PURE__ */ command(
  'TPM2_VerifySignature',
  0x177,
  { handles: { keyHandle: TPM_HANDLE }, parameters: { digest: TPM2B_DIGEST, signature: TPMT_SIGNATURE } },
  { parameters: { validation: TPMT_TK_VERIFIED } },
);
/** TPM2_Sign, Part 3 §20.2. */
export const TPM2_Sign = /* @__PURE__ */ command(
  'TPM2_Sign',
  0x15d,
  {
    handles: { keyHandle: authorized(TPM_HANDLE) },
    parameters: { digest: TPM2B_DIGEST, inScheme: TPMT_SIG_SCHEME, validation: TPMT_TK_HASHCHECK },
  },
  { parameters: { signature: TPMT_SIGNATURE } },
);
/** TPM2_Certify, Part 3 §18.2. */
export const TPM2_Certify = /* @__PURE__ */ command(
  'TPM2_Certify',
  0x148,
  {
    handles: { objectHandle: authorized(TPM_HANDLE, 'admin'), signHandle: authorized(TPM_HANDLE) },
    parameters: qualified,
  },
  { parameters: { certifyInfo: TPM2B_ATTEST, signature: TPMT_SIGNATURE } },
);
/** TPM2_CertifyCreation, Part 3 §18.3. */
export const TPM2_CertifyCreation = /* @__PURE__ */ command(
  'TPM2_CertifyCreation',
  0x14a,
  {
    handles: { signHandle: authorized(TPM_HANDLE), objectHandle: TPM_HANDLE },
    parameters: {
      qualifyingData: TPM2B_DATA,
      creationHash: TPM2B_DIGEST,
      inScheme: TPMT_SIG_SCHEME,
      creationTicket: TPMT_TK_CREATION,
    },
  },
  { parameters: { certifyInfo: TPM2B_ATTEST, signature: TPMT_SIGNATURE } },
);
/** TPM2_Quote, Part 3 §18.4. */
export const TPM2_Quote = /* @__PURE__ */ command(
  'TPM2_Quote',
  0x158,
  {
    handles: { signHandle: authorized(TPM_HANDLE) },
    parameters: { ...qualified, PCRselect: TPML_PCR_SELECTION },
  },
  { parameters: { quoted: TPM2B_ATTEST, signature: TPMT_SIGNATURE } },
);
/** TPM2_GetTime, Part 3 §18.7. */
export const TPM2_GetTime = /* @__PURE__ */ command(
  'TPM2_GetTime',
  0x14c,
  {
    handles: { privacyAdminHandle: authorized(TPM_HANDLE), signHandle: authorized(TPM_HANDLE) },
    parameters: qualified,
  },
  { parameters: { timeInfo: TPM2B_ATTEST, signature: TPMT_SIGNATURE } },
);
/** TPM2_NV_Certify, Part 3 §31.16. */
export const TPM2_NV_Certify = /* @__PURE__ */ command(
  'TPM2_NV_Certify',
  0x184,
  {
    handles: { signHandle: authorized(TPM_HANDLE), authHandle: authorized(TPM_HANDLE), nvIndex: TPM_HANDLE },
    parameters: { ...qualified, size: u16, offset: u16 },
  },
  { parameters: { certifyInfo: TPM2B_ATTEST, signature: TPMT_SIGNATURE } },
);
/** TPM2_GetSessionAuditDigest, Part 3 §18.5. */
export const TPM2_GetSessionAuditDigest = /* @__PURE__ */ command(
  'TPM2_GetSessionAuditDigest',
  0x14d,
  {
    handles: {
      privacyAdminHandle: authorized(TPM_HANDLE),
      signHandle: authorized(TPM_HANDLE),
      sessionHandle: TPM_HANDLE,
    },
    parameters: qualified,
  },
  { parameters: { auditInfo: TPM2B_ATTEST, signature: TPMT_SIGNATURE } },
);
/** TPM2_GetCommandAuditDigest, Part 3 §18.6. */
export const TPM2_GetCommandAuditDigest = /* @__PURE__ */ command(
  'TPM2_GetCommandAuditDigest',
  0x133,
  {
    handles: { privacyHandle: authorized(TPM_HANDLE), signHandle: authorized(TPM_HANDLE) },
    parameters: qualified,
  },
  { parameters: { auditInfo: TPM2B_ATTEST, signature: TPMT_SIGNATURE } },
);
/** TPM2_SetCommandCodeAuditStatus, Part 3 §21.2. */
export const TPM2_SetCommandCodeAuditStatus = /* @__PURE__ */ command(
  'TPM2_SetCommandCodeAuditStatus',
  0x140,
  {
    handles: { auth: authorized(TPM_HANDLE) },
    parameters: { auditAlg: TPMI_ALG_HASH_NULL, setList: TPML_CC, clearList: TPML_CC },
  },
  {},
);
