import { authorized, command } from '../command.ts';
import { TPMI_ALG_HASH_NULL } from '../structures/algorithms.ts';
import { TPM2B_AUTH, TPM2B_DIGEST, TPM2B_MAX_BUFFER } from '../structures/buffers.ts';
import { TPM_HANDLE, TPMI_RH_HIERARCHY } from '../structures/handles.ts';
import { TPMT_TK_HASHCHECK } from '../structures/sessions.ts';
import { TPML_DIGEST_VALUES } from '../structures/signatures.ts';

const start = { auth: TPM2B_AUTH, hashAlg: TPMI_ALG_HASH_NULL };
const started = { handles: { sequenceHandle: TPM_HANDLE } };
const onSequence = { sequenceHandle: authorized(TPM_HANDLE) };

/** TPM2_HMAC_Start, Part 3 §17.2. */
export const TPM2_HMAC_Start = /* @__PURE__ */ command(
  'TPM2_HMAC_Start',
  0x15b,
  { handles: { handle: authorized(TPM_HANDLE) }, parameters: start },
  started,
);
/** TPM2_HashSequenceStart, Part 3 §17.4. With hashAlg `null`: an event sequence. */
export const TPM2_HashSequenceStart = /* @__PURE__ */ command(
  'TPM2_HashSequenceStart',
  0x186,
  { parameters: start },
  started,
);
/** TPM2_SequenceUpdate, Part 3 §17.5. */
export const TPM2_SequenceUpdate = /* @__PURE__ */ command(
  'TPM2_SequenceUpdate',
  0x15c,
  { handles: onSequence, parameters: { buffer: TPM2B_MAX_BUFFER } },
  {},
);
/** TPM2_SequenceComplete, Part 3 §17.6. The sequence is gone afterwards. */
export const TPM2_SequenceComplete = /* @__PURE__ */ command(
  'TPM2_SequenceComplete',
  0x13e,
  { handles: onSequence, parameters: { buffer: TPM2B_MAX_BUFFER, hierarchy: TPMI_RH_HIERARCHY } },
  { parameters: { result: TPM2B_DIGEST, validation: TPMT_TK_HASHCHECK } },
);
/** TPM2_EventSequenceComplete, Part 3 §17.7. */
export const TPM2_EventSequenceComplete = /* @__PURE__ */ command(
  'TPM2_EventSequenceComplete',
  0x185,
  {
    handles: { pcrHandle: authorized(TPM_HANDLE), ...onSequence },
    parameters: { buffer: TPM2B_MAX_BUFFER },
  },
  { parameters: { results: TPML_DIGEST_VALUES } },
);
