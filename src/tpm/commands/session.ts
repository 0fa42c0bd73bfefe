import { command } from '../command.ts';
import { TPM_SE, TPMI_ALG_HASH } from '../structures/algorithms.ts';
import { TPM2B_ENCRYPTED_SECRET, TPM2B_NONCE } from '../structures/buffers.ts';
import { TPM_HANDLE, TPMI_DH_CONTEXT } from '../structures/handles.ts';
import { TPMT_SYM_DEF } from '../structures/keys.ts';
import { TPMS_CONTEXT } from '../structures/sessions.ts';

/** TPM2_StartAuthSession, Part 3 §11.1. */
export const TPM2_StartAuthSession = /* @__PURE__ */ command(
  'TPM2_StartAuthSession',
  0x176,
  {
    handles: { tpmKey: TPM_HANDLE, bind: TPM_HANDLE },
    parameters: {
      nonceCaller: TPM2B_NONCE,
      encryptedSalt: TPM2B_ENCRYPTED_SECRET,
      sessionType: TPM_SE,
      symmetric: TPMT_SYM_DEF,
      authHash: TPMI_ALG_HASH,
    },
  },
  { handles: { sessionHandle: TPM_HANDLE }, parameters: { nonceTPM: TPM2B_NONCE } },
);
/** TPM2_PolicyRestart, Part 3 §11.2. */
export const TPM2_PolicyRestart = /* @__PURE__ */ command(
  'TPM2_PolicyRestart',
  0x180,
  { handles: { sessionHandle: TPM_HANDLE } },
  {},
);
/** TPM2_ContextSave, Part 3 §28.2. */
export const TPM2_ContextSave = /* @__PURE__ */ command(
  'TPM2_ContextSave',
  0x162,
  { handles: { saveHandle: TPM_HANDLE } },
  { parameters: { context: TPMS_CONTEXT } },
);
/** TPM2_ContextLoad, Part 3 §28.3. */
export const TPM2_ContextLoad = /* @__PURE__ */ command(
  'TPM2_ContextLoad',
  0x161,
  { parameters: { context: TPMS_CONTEXT } },
  { handles: { loadedHandle: TPM_HANDLE } },
);
/** TPM2_FlushContext, Part 3 §28.4. The handle travels as a parameter. */
export const TPM2_FlushContext = /* @__PURE__ */ command(
  'TPM2_FlushContext',
  0x165,
  { parameters: { flushHandle: TPMI_DH_CONTEXT } },
  {},
);
