import type { TypeOf } from '../codec.ts';
import { flags, u8, u32 } from '../scalars.ts';

/** TPMA_OBJECT, Part 2 §8.3. */
export const TPMA_OBJECT = /* @__PURE__ */ flags('TPMA_OBJECT', u32, {
  fixedTPM: 1,
  stClear: 2,
  fixedParent: 4,
  sensitiveDataOrigin: 5,
  userWithAuth: 6,
  adminWithPolicy: 7,
  firmwareLimited: 8,
  svnLimited: 9,
  noDA: 10,
  encryptedDuplication: 11,
  restricted: 16,
  decrypt: 17,
  sign: 18,
  x509sign: 19,
});
export type TPMA_OBJECT = TypeOf<typeof TPMA_OBJECT>;

/** TPMA_SESSION, Part 2 §8.4. */
export const TPMA_SESSION = /* @__PURE__ */ flags('TPMA_SESSION', u8, {
  continueSession: 0,
  auditExclusive: 1,
  auditReset: 2,
  decrypt: 5,
  encrypt: 6,
  audit: 7,
});
export type TPMA_SESSION = TypeOf<typeof TPMA_SESSION>;

/** TPMA_LOCALITY, Part 2 §8.5: bits 0 to 4; larger values are extended localities. */
export const TPMA_LOCALITY = u8;
