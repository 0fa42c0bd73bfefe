import { authorized, command } from '../command.ts';
import { TPMI_ALG_HASH_NULL, TPMI_ALG_SYM_MODE, TPMI_YES_NO } from '../structures/algorithms.ts';
import {
  TPM2B_DATA,
  TPM2B_DIGEST,
  TPM2B_IV,
  TPM2B_MAX_BUFFER,
  TPM2B_PUBLIC_KEY_RSA,
} from '../structures/buffers.ts';
import { TPM_HANDLE } from '../structures/handles.ts';
import { TPMT_RSA_DECRYPT } from '../structures/keys.ts';

const byKey = { keyHandle: authorized(TPM_HANDLE) };
const padded = { inScheme: TPMT_RSA_DECRYPT, label: TPM2B_DATA };
const way = { decrypt: TPMI_YES_NO, mode: TPMI_ALG_SYM_MODE, ivIn: TPM2B_IV };
const crypted = { parameters: { outData: TPM2B_MAX_BUFFER, ivOut: TPM2B_IV } };

/** TPM2_RSA_Encrypt, Part 3 §14.2. */
export const TPM2_RSA_Encrypt = /* @__PURE__ */ command(
  'TPM2_RSA_Encrypt',
  0x174,
  { handles: { keyHandle: TPM_HANDLE }, parameters: { message: TPM2B_PUBLIC_KEY_RSA, ...padded } },
  { parameters: { outData: TPM2B_PUBLIC_KEY_RSA } },
);
/** TPM2_RSA_Decrypt, Part 3 §14.3. */
export const TPM2_RSA_Decrypt = /* @__PURE__ */ command(
  'TPM2_RSA_Decrypt',
  0x159,
  { handles: byKey, parameters: { cipherText: TPM2B_PUBLIC_KEY_RSA, ...padded } },
  { parameters: { message: TPM2B_PUBLIC_KEY_RSA } },
);
/** TPM2_EncryptDecrypt, Part 3 §15.2. A session cannot hide its data: prefer TPM2_EncryptDecrypt2. */
export const TPM2_EncryptDecrypt = /* @__PURE__ */ command(
  'TPM2_EncryptDecrypt',
  0x164,
  { handles: byKey, parameters: { ...way, inData: TPM2B_MAX_BUFFER } },
  crypted,
);
/** TPM2_EncryptDecrypt2, Part 3 §15.3. */
export const TPM2_EncryptDecrypt2 = /* @__PURE__ */ command(
  'TPM2_EncryptDecrypt2',
  0x193,
  { handles: byKey, parameters: { inData: TPM2B_MAX_BUFFER, ...way } },
  crypted,
);
/** TPM2_HMAC, Part 3 §15.5. */
export const TPM2_HMAC = /* @__PURE__ */ command(
  'TPM2_HMAC',
  0x155,
  {
    handles: { handle: authorized(TPM_HANDLE) },
    parameters: { buffer: TPM2B_MAX_BUFFER, hashAlg: TPMI_ALG_HASH_NULL },
  },
  { parameters: { outHMAC: TPM2B_DIGEST } },
);
