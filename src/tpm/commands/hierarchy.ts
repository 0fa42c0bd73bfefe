import { authorized, command } from '../command.ts';
import { u32, u64 } from '../scalars.ts';
import { TPM_CLOCK_ADJUST, TPMI_ALG_HASH_NULL, TPMI_YES_NO } from '../structures/algorithms.ts';
import { TPMS_TIME_INFO } from '../structures/attest.ts';
import { TPM2B_AUTH, TPM2B_DIGEST } from '../structures/buffers.ts';
import { TPML_CC } from '../structures/capabilities.ts';
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
/** TPM2_HierarchyControl, Part 3 §24.2. `enable` is the hierarchy whose use is switched on or off. */
export const TPM2_HierarchyControl = /* @__PURE__ */ command(
  'TPM2_HierarchyControl',
  0x121,
  { handles: { authHandle: authorized(TPM_HANDLE) }, parameters: { enable: u32, state: TPMI_YES_NO } },
  {},
);
/** TPM2_SetPrimaryPolicy, Part 3 §24.3. */
export const TPM2_SetPrimaryPolicy = /* @__PURE__ */ command(
  'TPM2_SetPrimaryPolicy',
  0x12e,
  {
    handles: { authHandle: authorized(TPM_HANDLE) },
    parameters: { authPolicy: TPM2B_DIGEST, hashAlg: TPMI_ALG_HASH_NULL },
  },
  {},
);
/** TPM2_ChangePPS, Part 3 §24.4. */
export const TPM2_ChangePPS = /* @__PURE__ */ command(
  'TPM2_ChangePPS',
  0x125,
  { handles: { authHandle: authorized(TPM_HANDLE) } },
  {},
);
/** TPM2_ChangeEPS, Part 3 §24.5. */
export const TPM2_ChangeEPS = /* @__PURE__ */ command(
  'TPM2_ChangeEPS',
  0x124,
  { handles: { authHandle: authorized(TPM_HANDLE) } },
  {},
);
/** TPM2_DictionaryAttackParameters, Part 3 §25.3. Times are in seconds. */
export const TPM2_DictionaryAttackParameters = /* @__PURE__ */ command(
  'TPM2_DictionaryAttackParameters',
  0x13a,
  {
    handles: { lockHandle: authorized(TPM_HANDLE) },
    parameters: { newMaxTries: u32, newRecoveryTime: u32, lockoutRecovery: u32 },
  },
  {},
);
/** TPM2_PP_Commands, Part 3 §26.2. */
export const TPM2_PP_Commands = /* @__PURE__ */ command(
  'TPM2_PP_Commands',
  0x12d,
  { handles: { auth: authorized(TPM_HANDLE) }, parameters: { setList: TPML_CC, clearList: TPML_CC } },
  {},
);
/** TPM2_ClockSet, Part 3 §29.2. In milliseconds, and only forwards. */
export const TPM2_ClockSet = /* @__PURE__ */ command(
  'TPM2_ClockSet',
  0x128,
  { handles: { auth: authorized(TPM_HANDLE) }, parameters: { newTime: u64 } },
  {},
);
/** TPM2_ClockRateAdjust, Part 3 §29.3. */
export const TPM2_ClockRateAdjust = /* @__PURE__ */ command(
  'TPM2_ClockRateAdjust',
  0x130,
  { handles: { auth: authorized(TPM_HANDLE) }, parameters: { rateAdjust: TPM_CLOCK_ADJUST } },
  {},
);
