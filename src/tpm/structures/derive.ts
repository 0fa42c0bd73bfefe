import type { TypeOf } from '../codec.ts';
import { buffer, struct } from '../combinators.ts';

/** TPM2B_LABEL, Part 2 §11.1.11. */
export const TPM2B_LABEL = /* @__PURE__ */ buffer('TPM2B_LABEL', 32);
/** TPMS_DERIVE, Part 2 §11.1.12: which key to derive. Stands in the template's `unique`, or is the data given. */
export const TPMS_DERIVE = /* @__PURE__ */ struct('TPMS_DERIVE', {
  label: TPM2B_LABEL,
  context: TPM2B_LABEL,
});
export type TPMS_DERIVE = TypeOf<typeof TPMS_DERIVE>;
