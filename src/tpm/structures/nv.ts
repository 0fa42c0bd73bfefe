import type { Codec, TypeOf } from '../codec.ts';
import { CodecError } from '../codec.ts';
import { sized, struct } from '../combinators.ts';
import type { Flags } from '../scalars.ts';
import { flags, u16, u32 } from '../scalars.ts';
import { TPMI_ALG_HASH } from './algorithms.ts';
import { TPM2B_DIGEST } from './buffers.ts';
import { TPMI_RH_NV_INDEX } from './handles.ts';

/** TPM_NT, Part 2 §13.2: what an NV index holds. */
export const TPM_NT = { ordinary: 0, counter: 1, bits: 2, extend: 4, pinFail: 8, pinPass: 9 } as const;
export type TPM_NT = keyof typeof TPM_NT;

const bits = {
  ppwrite: 0,
  ownerwrite: 1,
  authwrite: 2,
  policywrite: 3,
  policyDelete: 10,
  writelocked: 11,
  writeall: 12,
  writedefine: 13,
  writeStclear: 14,
  globallock: 15,
  ppread: 16,
  ownerread: 17,
  authread: 18,
  policyread: 19,
  noDa: 25,
  orderly: 26,
  clearStclear: 27,
  readlocked: 28,
  written: 29,
  platformcreate: 30,
  readStclear: 31,
} as const;

/** TPMA_NV, Part 2 §13.4: its bits, and in `nt` what the index holds. */
export type TPMA_NV = Flags<typeof bits> & { readonly nt: TPM_NT };

const plain = /* @__PURE__ */ flags('TPMA_NV', u32, { ...bits, nt0: 4, nt1: 5, nt2: 6, nt3: 7 });

/** TPMA_NV, Part 2 §13.4. */
export const TPMA_NV: Codec<TPMA_NV> = {
  name: 'TPMA_NV',
  write(out, value) {
    const type = TPM_NT[value.nt] as number | undefined;
    if (type === undefined) throw new CodecError('TPMA_NV', 'value', 'unknown type of index');
    plain.write(out, {
      ...value,
      nt0: (type & 1) !== 0,
      nt1: (type & 2) !== 0,
      nt2: (type & 4) !== 0,
      nt3: (type & 8) !== 0,
    });
  },
  read(from) {
    const { nt0, nt1, nt2, nt3, ...rest } = plain.read(from);
    const type = (nt0 ? 1 : 0) + (nt1 ? 2 : 0) + (nt2 ? 4 : 0) + (nt3 ? 8 : 0);
    for (const [name, value] of Object.entries(TPM_NT))
      if (value === type) return { ...rest, nt: name as TPM_NT };
    throw new CodecError('TPMA_NV', 'value', 'unknown type of index');
  },
};

/** TPMS_NV_PUBLIC, Part 2 §13.5; its hash is the index's Name. */
export const TPMS_NV_PUBLIC = /* @__PURE__ */ struct('TPMS_NV_PUBLIC', {
  nvIndex: TPMI_RH_NV_INDEX,
  nameAlg: TPMI_ALG_HASH,
  attributes: TPMA_NV,
  authPolicy: TPM2B_DIGEST,
  dataSize: u16,
});
export type TPMS_NV_PUBLIC = TypeOf<typeof TPMS_NV_PUBLIC>;
/** TPM2B_NV_PUBLIC, Part 2 §13.6. */
export const TPM2B_NV_PUBLIC = /* @__PURE__ */ sized('TPM2B_NV_PUBLIC', TPMS_NV_PUBLIC);
