import { authorized, command } from '../command.ts';
import { TPMI_YES_NO } from '../structures/algorithms.ts';
import { TPMS_TIME_INFO } from '../structures/attest.ts';
import { TPM2B_AUTH } from '../structures/buffers.ts';
import { TPM_HANDLE } from '../structures/handles.ts';

/** TPM2_Clear, Part 3 §24.6. */
export const TPM2_Clear = /* @__PURE__ */ command(
  'TPM2_Clear',
  0x126,
  { handles: { authHandle: authorized(TPM_HANDLE) } },
  {},
);
/** TPM2_ClearControl, Part 3 §24.7. */
export const TPM2_ClearControl = /* @__PURE__ */ command(
  'TPM2_ClearControl',
  0x127,
  { handles: { auth: authorized(TPM_HANDLE) }, parameters: { disable: TPMI_YES_NO } },
  {},
);
/** TPM2_HierarchyChangeAuth, Part 3 §24.8. */
export const TPM2_HierarchyChangeAuth = /* @__PURE__ */ command(
  'TPM2_HierarchyChangeAuth',
  0x129,
  { handles: { authHandle: authorized(TPM_HANDLE) }, parameters: { newAuth: TPM2B_AUTH } },
  {},
);
/** TPM2_DictionaryAttackLockReset, Part 3 §25.2. */
export const TPM2_DictionaryAttackLockReset = /* @__PURE__ */ command(
  'TPM2_DictionaryAttackLockReset',
  0x139,
  { handles: { lockHandle: authorized(TPM_HANDLE) } },
  {},
);
/** TPM2_ReadClock, Part 3 §29.1. */
export const TPM2_ReadClock = /* @__PURE__ */ command(
  'TPM2_ReadClock',
  0x181,
  {},
  { parameters: { currentTime: TPMS_TIME_INFO } },
);
