import { command } from '../command.ts';
import { u16, u32 } from '../scalars.ts';
import { TPM_SU, TPMI_YES_NO } from '../structures/algorithms.ts';
import { TPM2B_DIGEST, TPM2B_MAX_BUFFER, TPM2B_SENSITIVE_DATA } from '../structures/buffers.ts';
import { TPM_CAP, TPML_ALG, TPMS_CAPABILITY_DATA } from '../structures/capabilities.ts';
import { TPMT_PUBLIC_PARMS } from '../structures/keys.ts';

/** TPM2_Startup, Part 3 §9.3. */
export const TPM2_Startup = /* @__PURE__ */ command(
  'TPM2_Startup',
  0x144,
  { parameters: { startupType: TPM_SU } },
  {},
);
/** TPM2_Shutdown, Part 3 §9.4. */
export const TPM2_Shutdown = /* @__PURE__ */ command(
  'TPM2_Shutdown',
  0x145,
  { parameters: { shutdownType: TPM_SU } },
  {},
);
/** TPM2_SelfTest, Part 3 §10.2. */
export const TPM2_SelfTest = /* @__PURE__ */ command(
  'TPM2_SelfTest',
  0x143,
  { parameters: { fullTest: TPMI_YES_NO } },
  {},
);
/** TPM2_IncrementalSelfTest, Part 3 §10.3. */
export const TPM2_IncrementalSelfTest = /* @__PURE__ */ command(
  'TPM2_IncrementalSelfTest',
  0x142,
  { parameters: { toTest: TPML_ALG } },
  { parameters: { toDoList: TPML_ALG } },
);
/** TPM2_GetTestResult, Part 3 §10.4. */
export const TPM2_GetTestResult = /* @__PURE__ */ command(
  'TPM2_GetTestResult',
  0x17c,
  {},
  { parameters: { outData: TPM2B_MAX_BUFFER, testResult: u32 } },
);
/** TPM2_GetRandom, Part 3 §16.1. The TPM may return fewer bytes than asked for. */
export const TPM2_GetRandom = /* @__PURE__ */ command(
  'TPM2_GetRandom',
  0x17b,
  { parameters: { bytesRequested: u16 } },
  { parameters: { randomBytes: TPM2B_DIGEST } },
);
/** TPM2_StirRandom, Part 3 §16.2. */
export const TPM2_StirRandom = /* @__PURE__ */ command(
  'TPM2_StirRandom',
  0x146,
  { parameters: { inData: TPM2B_SENSITIVE_DATA } },
  {},
);
/** TPM2_GetCapability, Part 3 §30.2. */
export const TPM2_GetCapability = /* @__PURE__ */ command(
  'TPM2_GetCapability',
  0x17a,
  { parameters: { capability: TPM_CAP, property: u32, propertyCount: u32 } },
  { parameters: { moreData: TPMI_YES_NO, capabilityData: TPMS_CAPABILITY_DATA } },
);
/** TPM2_TestParms, Part 3 §30.3. */
export const TPM2_TestParms = /* @__PURE__ */ command(
  'TPM2_TestParms',
  0x18a,
  { parameters: { parameters: TPMT_PUBLIC_PARMS } },
  {},
);
