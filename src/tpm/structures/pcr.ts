import type { Codec, TypeOf } from '../codec.ts';
import { CodecError } from '../codec.ts';
import { list, struct } from '../combinators.ts';
import { TPM_ALG_ID, TPMI_ALG_HASH } from './algorithms.ts';

/** PCR numbers as a bit map with its size in front (TPMS_PCR_SELECT, Part 2 §10.6.1). Sorted when read. */
const pcrSelect: Codec<readonly number[]> = {
  name: 'TPMS_PCR_SELECT',
  write(out, value) {
    const bytes = new Uint8Array(3);
    for (const pcr of value) {
      // 24 PCRs in 3 bytes: TPMs refuse a map of another size (PCR_SELECT_MIN = PCR_SELECT_MAX = 3)
      if (!Number.isInteger(pcr) || pcr < 0 || pcr > 23)
        throw new CodecError('TPMS_PCR_SELECT', 'value', 'PCR out of range');
      const at = pcr >> 3;
      bytes[at] = (bytes[at] ?? 0) | (1 << (pcr & 7));
    }
    out.u8(bytes.length);
    out.bytes(bytes);
  },
  read(from) {
    const size = from.u8('TPMS_PCR_SELECT');
    if (size !== 3) throw new CodecError('TPMS_PCR_SELECT', 'value', 'the map must have 3 bytes');
    const pcrs: number[] = [];
    for (const [at, byte] of from.bytes(size, 'TPMS_PCR_SELECT').entries())
      for (let bit = 0; bit < 8; bit++) if ((byte & (1 << bit)) !== 0) pcrs.push(at * 8 + bit);
    return pcrs;
  },
};

/** TPMS_PCR_SELECTION, Part 2 §10.6.2: a bank and PCR numbers in it. */
export const TPMS_PCR_SELECTION = /* @__PURE__ */ struct('TPMS_PCR_SELECTION', {
  hash: TPMI_ALG_HASH,
  pcrSelect,
});
export type TPMS_PCR_SELECTION = TypeOf<typeof TPMS_PCR_SELECTION>;
/** TPML_PCR_SELECTION, Part 2 §10.9.7. */
export const TPML_PCR_SELECTION = /* @__PURE__ */ list('TPML_PCR_SELECTION', TPMS_PCR_SELECTION, 16);
export type TPML_PCR_SELECTION = TypeOf<typeof TPML_PCR_SELECTION>;

/** TPML_PCR_SELECTION as a TPM lists its banks: also of hashes that fealty does not compute (SM3, SHA-3). */
export const TPML_PCR_BANKS = /* @__PURE__ */ list(
  'TPML_PCR_SELECTION',
  /* @__PURE__ */ struct('TPMS_PCR_SELECTION', { hash: TPM_ALG_ID, pcrSelect }),
  16,
);
