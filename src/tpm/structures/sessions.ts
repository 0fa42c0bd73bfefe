import type { Codec, TypeOf } from '../codec.ts';
import { CodecError } from '../codec.ts';
import { struct, u64 } from '../combinators.ts';
import { TPM_ST } from './algorithms.ts';
import { TPMA_SESSION } from './attributes.ts';
import { TPM2B_AUTH, TPM2B_CONTEXT_DATA, TPM2B_DIGEST, TPM2B_NONCE } from './buffers.ts';
import { TPM_HANDLE, TPM_HR, TPM_HT } from './handles.ts';

/** TPMS_AUTH_COMMAND, Part 2 §10.13.2. */
export const TPMS_AUTH_COMMAND = /* @__PURE__ */ struct('TPMS_AUTH_COMMAND', {
  sessionHandle: TPM_HANDLE,
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

/** The form all tickets share (TPMT_TK_CREATION, _VERIFIED, _AUTH, _HASHCHECK: Part 2 §10.7.3 to §10.7.6). */
export const TPMT_TK = /* @__PURE__ */ struct('TPMT_TK', {
  tag: TPM_ST,
  hierarchy: TPM_HANDLE,
  digest: TPM2B_DIGEST,
});
export type TPMT_TK = TypeOf<typeof TPMT_TK>;

/** TPMI_DH_SAVED, Part 2 §14.5.3: what a saved context is of. */
const savedHandle: Codec<number> = {
  name: 'TPMI_DH_SAVED',
  write: (out, value) => out.u32(value),
  read(from) {
    const handle = from.u32();
    const ofSession = handle >>> 24 === TPM_HT.hmacSession || handle >>> 24 === TPM_HT.policySession;
    if (!ofSession && (handle < TPM_HR.transient || handle > TPM_HR.transient + 2))
      throw new CodecError('TPMI_DH_SAVED', 'value', 'not the context of an object, a sequence or a session');
    return handle;
  },
};

/** TPMS_CONTEXT, Part 2 §14.5. */
export const TPMS_CONTEXT = /* @__PURE__ */ struct('TPMS_CONTEXT', {
  sequence: u64,
  savedHandle,
  hierarchy: TPM_HANDLE,
  contextBlob: TPM2B_CONTEXT_DATA,
});
export type TPMS_CONTEXT = TypeOf<typeof TPMS_CONTEXT>;
