import { authorized, command } from '../command.ts';
import { u16 } from '../scalars.ts';
import { TPM_ECC_CURVE, TPMI_ECC_KEY_EXCHANGE } from '../structures/algorithms.ts';
import { TPM2B_ECC_PARAMETER, TPM2B_SENSITIVE_DATA } from '../structures/buffers.ts';
import { TPM_HANDLE } from '../structures/handles.ts';
import { TPM2B_ECC_POINT, TPMS_ALGORITHM_DETAIL_ECC } from '../structures/keys.ts';

/** TPM2_ECDH_KeyGen, Part 3 §14.4. */
export const TPM2_ECDH_KeyGen = /* @__PURE__ */ command(
  'TPM2_ECDH_KeyGen',
  0x163,
  { handles: { keyHandle: TPM_HANDLE } },
  { parameters: { zPoint: TPM2B_ECC_POINT, pubPoint: TPM2B_ECC_POINT } },
);
/** TPM2_ECC_Parameters, Part 3 §14.6. */
export const TPM2_ECC_Parameters = /* @__PURE__ */ command(
  'TPM2_ECC_Parameters',
  0x178,
  { parameters: { curveID: TPM_ECC_CURVE } },
  { parameters: { parameters: TPMS_ALGORITHM_DETAIL_ECC } },
);
/** TPM2_ZGen_2Phase, Part 3 §14.7. */
export const TPM2_ZGen_2Phase = /* @__PURE__ */ command(
  'TPM2_ZGen_2Phase',
  0x18d,
  {
    handles: { keyA: authorized(TPM_HANDLE) },
    parameters: {
      inQsB: TPM2B_ECC_POINT,
      inQeB: TPM2B_ECC_POINT,
      inScheme: TPMI_ECC_KEY_EXCHANGE,
      counter: u16,
    },
  },
  { parameters: { outZ1: TPM2B_ECC_POINT, outZ2: TPM2B_ECC_POINT } },
);
/** TPM2_Commit, Part 3 §19.2. A point of which nothing is given has empty coordinates. */
export const TPM2_Commit = /* @__PURE__ */ command(
  'TPM2_Commit',
  0x18b,
  {
    handles: { signHandle: authorized(TPM_HANDLE) },
    parameters: { P1: TPM2B_ECC_POINT, s2: TPM2B_SENSITIVE_DATA, y2: TPM2B_ECC_PARAMETER },
  },
  { parameters: { K: TPM2B_ECC_POINT, L: TPM2B_ECC_POINT, E: TPM2B_ECC_POINT, counter: u16 } },
);
/** TPM2_EC_Ephemeral, Part 3 §19.3. */
export const TPM2_EC_Ephemeral = /* @__PURE__ */ command(
  'TPM2_EC_Ephemeral',
  0x18e,
  { parameters: { curveID: TPM_ECC_CURVE } },
  { parameters: { Q: TPM2B_ECC_POINT, counter: u16 } },
);
