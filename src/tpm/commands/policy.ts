import { authorized, command } from '../command.ts';
import { i32, u16, u32 } from '../scalars.ts';
import { TPM_EO, TPMI_YES_NO } from '../structures/algorithms.ts';
import { TPMA_LOCALITY } from '../structures/attributes.ts';
import {
  TPM2B_DIGEST,
  TPM2B_NAME,
  TPM2B_NONCE,
  TPM2B_OPERAND,
  TPM2B_TIMEOUT,
} from '../structures/buffers.ts';
import { TPM_HANDLE } from '../structures/handles.ts';
import { TPML_PCR_SELECTION } from '../structures/pcr.ts';
import { TPMT_TK_AUTH, TPMT_TK_VERIFIED } from '../structures/sessions.ts';
import { TPML_DIGEST, TPMT_SIGNATURE } from '../structures/signatures.ts';

const onSession = { policySession: TPM_HANDLE };
const onIndex = { authHandle: authorized(TPM_HANDLE), nvIndex: TPM_HANDLE, policySession: TPM_HANDLE };
const compared = { operandB: TPM2B_OPERAND, offset: u16, operation: TPM_EO };
const ticketed = { parameters: { timeout: TPM2B_TIMEOUT, policyTicket: TPMT_TK_AUTH } };

/** TPM2_PolicySigned, Part 3 §23.3. */
export const TPM2_PolicySigned = /* @__PURE__ */ command(
  'TPM2_PolicySigned',
  0x160,
  {
    handles: { authObject: TPM_HANDLE, policySession: TPM_HANDLE },
    parameters: {
      nonceTPM: TPM2B_NONCE,
      cpHashA: TPM2B_DIGEST,
      policyRef: TPM2B_NONCE,
      expiration: i32,
      auth: TPMT_SIGNATURE,
    },
  },
  ticketed,
);

/** TPM2_PolicySecret, Part 3 §23.4. */
export const TPM2_PolicySecret = /* @__PURE__ */ command(
  'TPM2_PolicySecret',
  0x151,
  {
    handles: { authHandle: authorized(TPM_HANDLE), policySession: TPM_HANDLE },
    parameters: { nonceTPM: TPM2B_NONCE, cpHashA: TPM2B_DIGEST, policyRef: TPM2B_NONCE, expiration: i32 },
  },
  ticketed,
);
/** TPM2_PolicyOR, Part 3 §23.6. */
export const TPM2_PolicyOR = /* @__PURE__ */ command(
  'TPM2_PolicyOR',
  0x171,
  { handles: onSession, parameters: { pHashList: TPML_DIGEST } },
  {},
);
/** TPM2_PolicyPCR, Part 3 §23.7. */
export const TPM2_PolicyPCR = /* @__PURE__ */ command(
  'TPM2_PolicyPCR',
  0x17f,
  {
    handles: onSession,
    parameters: { pcrDigest: TPM2B_DIGEST, pcrs: TPML_PCR_SELECTION },
  },
  {},
);
/** TPM2_PolicyCommandCode, Part 3 §23.11. */
export const TPM2_PolicyCommandCode = /* @__PURE__ */ command(
  'TPM2_PolicyCommandCode',
  0x16c,
  { handles: onSession, parameters: { code: u32 } },
  {},
);
/** TPM2_PolicyAuthValue, Part 3 §23.17. */
export const TPM2_PolicyAuthValue = /* @__PURE__ */ command(
  'TPM2_PolicyAuthValue',
  0x16b,
  { handles: onSession },
  {},
);
/** TPM2_PolicyPassword, Part 3 §23.18. */
export const TPM2_PolicyPassword = /* @__PURE__ */ command(
  'TPM2_PolicyPassword',
  0x18c,
  { handles: onSession },
  {},
);
/** TPM2_PolicyGetDigest, Part 3 §23.19. */
export const TPM2_PolicyGetDigest = /* @__PURE__ */ command(
  'TPM2_PolicyGetDigest',
  0x189,
  { handles: onSession },
  { parameters: { policyDigest: TPM2B_DIGEST } },
);
/** TPM2_PolicyTicket, Part 3 §23.5. */
export const TPM2_PolicyTicket = /* @__PURE__ */ command(
  'TPM2_PolicyTicket',
  0x172,
  {
    handles: onSession,
    parameters: {
      timeout: TPM2B_TIMEOUT,
      cpHashA: TPM2B_DIGEST,
      policyRef: TPM2B_NONCE,
      authName: TPM2B_NAME,
      ticket: TPMT_TK_AUTH,
    },
  },
  {},
);
/** TPM2_PolicyLocality, Part 3 §23.8. */
export const TPM2_PolicyLocality = /* @__PURE__ */ command(
  'TPM2_PolicyLocality',
  0x16f,
  { handles: onSession, parameters: { locality: TPMA_LOCALITY } },
  {},
);
/** TPM2_PolicyNV, Part 3 §23.9. */
export const TPM2_PolicyNV = /* @__PURE__ */ command(
  'TPM2_PolicyNV',
  0x149,
  { handles: onIndex, parameters: compared },
  {},
);
/** TPM2_PolicyCounterTimer, Part 3 §23.10. `offset` is into a marshalled TPMS_TIME_INFO. */
export const TPM2_PolicyCounterTimer = /* @__PURE__ */ command(
  'TPM2_PolicyCounterTimer',
  0x16d,
  { handles: onSession, parameters: compared },
  {},
);
/** TPM2_PolicyPhysicalPresence, Part 3 §23.12. */
export const TPM2_PolicyPhysicalPresence = /* @__PURE__ */ command(
  'TPM2_PolicyPhysicalPresence',
  0x187,
  { handles: onSession },
  {},
);
/** TPM2_PolicyCpHash, Part 3 §23.13. */
export const TPM2_PolicyCpHash = /* @__PURE__ */ command(
  'TPM2_PolicyCpHash',
  0x16e,
  { handles: onSession, parameters: { cpHashA: TPM2B_DIGEST } },
  {},
);
/** TPM2_PolicyNameHash, Part 3 §23.14. */
export const TPM2_PolicyNameHash = /* @__PURE__ */ command(
  'TPM2_PolicyNameHash',
  0x170,
  { handles: onSession, parameters: { nameHash: TPM2B_DIGEST } },
  {},
);
/** TPM2_PolicyDuplicationSelect, Part 3 §23.15. */
export const TPM2_PolicyDuplicationSelect = /* @__PURE__ */ command(
  'TPM2_PolicyDuplicationSelect',
  0x188,
  {
    handles: onSession,
    parameters: { objectName: TPM2B_NAME, newParentName: TPM2B_NAME, includeObject: TPMI_YES_NO },
  },
  {},
);
/** TPM2_PolicyAuthorize, Part 3 §23.16. */
export const TPM2_PolicyAuthorize = /* @__PURE__ */ command(
  'TPM2_PolicyAuthorize',
  0x16a,
  {
    handles: onSession,
    parameters: {
      approvedPolicy: TPM2B_DIGEST,
      policyRef: TPM2B_NONCE,
      keySign: TPM2B_NAME,
      checkTicket: TPMT_TK_VERIFIED,
    },
  },
  {},
);
/** TPM2_PolicyNvWritten, Part 3 §23.20. */
export const TPM2_PolicyNvWritten = /* @__PURE__ */ command(
  'TPM2_PolicyNvWritten',
  0x18f,
  { handles: onSession, parameters: { writtenSet: TPMI_YES_NO } },
  {},
);
/** TPM2_PolicyTemplate, Part 3 §23.21. */
export const TPM2_PolicyTemplate = /* @__PURE__ */ command(
  'TPM2_PolicyTemplate',
  0x190,
  { handles: onSession, parameters: { templateHash: TPM2B_DIGEST } },
  {},
);
/** TPM2_PolicyAuthorizeNV, Part 3 §23.22. */
export const TPM2_PolicyAuthorizeNV = /* @__PURE__ */ command(
  'TPM2_PolicyAuthorizeNV',
  0x192,
  { handles: onIndex },
  {},
);
