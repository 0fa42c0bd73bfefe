import { authorized, command } from '../command.ts';
import { u32 } from '../scalars.ts';
import { TPMI_ALG_HASH_NULL, TPMI_YES_NO } from '../structures/algorithms.ts';
import { TPM2B_AUTH, TPM2B_DIGEST, TPM2B_EVENT } from '../structures/buffers.ts';
import { TPM_HANDLE } from '../structures/handles.ts';
import { TPML_PCR_SELECTION } from '../structures/pcr.ts';
import { TPML_DIGEST, TPML_DIGEST_VALUES } from '../structures/signatures.ts';

/** TPM2_PCR_Extend, Part 3 §22.2. */
export const TPM2_PCR_Extend = /* @__PURE__ */ command(
  'TPM2_PCR_Extend',
  0x182,
  { handles: { pcrHandle: authorized(TPM_HANDLE) }, parameters: { digests: TPML_DIGEST_VALUES } },
  {},
);
/** TPM2_PCR_Event, Part 3 §22.3. */
export const TPM2_PCR_Event = /* @__PURE__ */ command(
  'TPM2_PCR_Event',
  0x13c,
  { handles: { pcrHandle: authorized(TPM_HANDLE) }, parameters: { eventData: TPM2B_EVENT } },
  { parameters: { digests: TPML_DIGEST_VALUES } },
);
/** TPM2_PCR_Read, Part 3 §22.4. At most eight values come back at a time. */
export const TPM2_PCR_Read = /* @__PURE__ */ command(
  'TPM2_PCR_Read',
  0x17e,
  { parameters: { pcrSelectionIn: TPML_PCR_SELECTION } },
  { parameters: { pcrUpdateCounter: u32, pcrSelectionOut: TPML_PCR_SELECTION, pcrValues: TPML_DIGEST } },
);
/** TPM2_PCR_Reset, Part 3 §22.8. */
export const TPM2_PCR_Reset = /* @__PURE__ */ command(
  'TPM2_PCR_Reset',
  0x13d,
  { handles: { pcrHandle: authorized(TPM_HANDLE) } },
  {},
);
/** TPM2_PCR_Allocate, Part 3 §22.5. In force from the next TPM reset. */
export const TPM2_PCR_Allocate = /* @__PURE__ */ command(
  'TPM2_PCR_Allocate',
  0x12b,
  { handles: { authHandle: authorized(TPM_HANDLE) }, parameters: { pcrAllocation: TPML_PCR_SELECTION } },
  { parameters: { allocationSuccess: TPMI_YES_NO, maxPCR: u32, sizeNeeded: u32, sizeAvailable: u32 } },
);
/** TPM2_PCR_SetAuthPolicy, Part 3 §22.6. */
export const TPM2_PCR_SetAuthPolicy = /* @__PURE__ */ command(
  'TPM2_PCR_SetAuthPolicy',
  0x12c,
  {
    handles: { authHandle: authorized(TPM_HANDLE) },
    parameters: { authPolicy: TPM2B_DIGEST, hashAlg: TPMI_ALG_HASH_NULL, pcrNum: u32 },
  },
  {},
);
/** TPM2_PCR_SetAuthValue, Part 3 §22.7. */
export const TPM2_PCR_SetAuthValue = /* @__PURE__ */ command(
  'TPM2_PCR_SetAuthValue',
  0x183,
  { handles: { pcrHandle: authorized(TPM_HANDLE) }, parameters: { auth: TPM2B_AUTH } },
  {},
);
