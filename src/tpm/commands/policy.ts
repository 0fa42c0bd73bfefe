import { i32, u32 } from '../combinators.ts';
import { authorized, command } from '../command.ts';
import { TPM2B_DIGEST, TPM2B_NONCE, TPM2B_TIMEOUT } from '../structures/buffers.ts';
import { TPM_HANDLE } from '../structures/handles.ts';
import { TPML_PCR_SELECTION } from '../structures/pcr.ts';
import { TPMT_TK } from '../structures/sessions.ts';
import { TPML_DIGEST } from '../structures/signatures.ts';

/** TPM2_PolicySecret, Part 3 §23.4. */
export const TPM2_PolicySecret = /* @__PURE__ */ command(
  'TPM2_PolicySecret',
  0x151,
  {
    handles: { authHandle: authorized(TPM_HANDLE), policySession: TPM_HANDLE },
    parameters: { nonceTPM: TPM2B_NONCE, cpHashA: TPM2B_DIGEST, policyRef: TPM2B_NONCE, expiration: i32 },
  },
  { parameters: { timeout: TPM2B_TIMEOUT, policyTicket: TPMT_TK } },
);
/** TPM2_PolicyOR, Part 3 §23.6. */
export const TPM2_PolicyOR = /* @__PURE__ */ command(
  'TPM2_PolicyOR',
  0x171,
  { handles: { policySession: TPM_HANDLE }, parameters: { pHashList: TPML_DIGEST } },
  {},
);
/** TPM2_PolicyPCR, Part 3 §23.7. */
export const TPM2_PolicyPCR = /* @__PURE__ */ command(
  'TPM2_PolicyPCR',
  0x17f,
  {
    handles: { policySession: TPM_HANDLE },
    parameters: { pcrDigest: TPM2B_DIGEST, pcrs: TPML_PCR_SELECTION },
  },
  {},
);
/** TPM2_PolicyCommandCode, Part 3 §23.11. */
export const TPM2_PolicyCommandCode = /* @__PURE__ */ command(
  'TPM2_PolicyCommandCode',
  0x16c,
  { handles: { policySession: TPM_HANDLE }, parameters: { code: u32 } },
  {},
);
/** TPM2_PolicyAuthValue, Part 3 §23.17. */
export const TPM2_PolicyAuthValue = /* @__PURE__ */ command(
  'TPM2_PolicyAuthValue',
  0x16b,
  { handles: { policySession: TPM_HANDLE } },
  {},
);
/** TPM2_PolicyPassword, Part 3 §23.18. */
export const TPM2_PolicyPassword = /* @__PURE__ */ command(
  'TPM2_PolicyPassword',
  0x18c,
  { handles: { policySession: TPM_HANDLE } },
  {},
);
/** TPM2_PolicyGetDigest, Part 3 §23.19. */
export const TPM2_PolicyGetDigest = /* @__PURE__ */ command(
  'TPM2_PolicyGetDigest',
  0x189,
  { handles: { policySession: TPM_HANDLE } },
  { parameters: { policyDigest: TPM2B_DIGEST } },
);
