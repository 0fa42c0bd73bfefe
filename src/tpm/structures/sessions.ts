import type { Codec, TypeOf } from '../codec.ts';
import { CodecError } from '../codec.ts';
import { struct } from '../combinators.ts';
import { u64 } from '../scalars.ts';
import { TPM_ST } from './algorithms.ts';
import { TPMA_SESSION } from './attributes.ts';
import { TPM2B_AUTH, TPM2B_CONTEXT_DATA, TPM2B_DIGEST, TPM2B_NONCE } from './buffers.ts';
import { TPMI_DH_SAVED, TPMI_RH_HIERARCHY, TPMI_SH_AUTH_SESSION } from './handles.ts';

/** TPMS_AUTH_COMMAND, Part 2 §10.13.2. */
export const TPMS_AUTH_COMMAND = /* @__PURE__ */ struct('TPMS_AUTH_COMMAND', {
  sessionHandle: TPMI_SH_AUTH_SESSION,
  nonce: TPM2B_NONCE,
  sessionAttributes: TPMA_SESSION,
  hmac: TPM2B_AUTH,
});
export type TPMS_AUTH_COMMAND = TypeOf<typeof TPMS_AUTH_COMMAND>;

/** TPMS_AUTH_RESPONSE, Part 2 §10.13.3. */
export const TPMS_AUTH_RESPONSE = /* @__PURE__ */ struct('TPMS_AUTH_RESPONSE', {
  nonce: TPM2B_NONCE,
  sessionAttributes: TPMA_SESSION,
  hmac: TPM2B_AUTH,
});
export type TPMS_AUTH_RESPONSE = TypeOf<typeof TPMS_AUTH_RESPONSE>;

/** The form all tickets share (Part 2 §10.7). */
export const TPMT_TK = /* @__PURE__ */ struct('TPMT_TK', {
  tag: TPM_ST,
  hierarchy: TPMI_RH_HIERARCHY,
  digest: TPM2B_DIGEST,
});
export type TPMT_TK = TypeOf<typeof TPMT_TK>;

/** TPMT_TK_CREATION, Part 2 §10.7.3. */
export const TPMT_TK_CREATION: Codec<TPMT_TK> = /* @__PURE__ */ ticket('TPMT_TK_CREATION', ['creation']);
/** TPMT_TK_VERIFIED, Part 2 §10.7.4. */
export const TPMT_TK_VERIFIED: Codec<TPMT_TK> = /* @__PURE__ */ ticket('TPMT_TK_VERIFIED', ['verified']);
/** TPMT_TK_AUTH, Part 2 §10.7.5. */
export const TPMT_TK_AUTH: Codec<TPMT_TK> = /* @__PURE__ */ ticket('TPMT_TK_AUTH', [
  'authSigned',
  'authSecret',
]);
/** TPMT_TK_HASHCHECK, Part 2 §10.7.6. */
export const TPMT_TK_HASHCHECK: Codec<TPMT_TK> = /* @__PURE__ */ ticket('TPMT_TK_HASHCHECK', ['hashcheck']);

/** Which tickets there can be is checked where one is read; a caller may send the wrong one, and is told by the TPM. */
/* @__NO_SIDE_EFFECTS__ */
function ticket(name: string, tags: readonly TPM_ST[]): Codec<TPMT_TK> {
  return {
    name,
    write: (out, value) => TPMT_TK.write(out, value),
    read(from) {
      const tag = TPM_ST.read(from);
      if (!tags.includes(tag))
        throw new CodecError('TPM_ST of a ticket', 'value', `\`${tag}\` is the tag of something else`);
      return { tag, hierarchy: TPMI_RH_HIERARCHY.read(from), digest: TPM2B_DIGEST.read(from) };
    },
  };
}

/** TPMS_CONTEXT, Part 2 §14.5. */
export const TPMS_CONTEXT = /* @__PURE__ */ struct('TPMS_CONTEXT', {
  sequence: u64,
  savedHandle: TPMI_DH_SAVED,
  hierarchy: TPMI_RH_HIERARCHY,
  contextBlob: TPM2B_CONTEXT_DATA,
});
export type TPMS_CONTEXT = TypeOf<typeof TPMS_CONTEXT>;
