import type { TypeOf } from '../codec.ts';
import { keeping, sized, sizedOrEmpty, struct, tagged } from '../combinators.ts';
import { restricted, subset, u16, u32 } from '../scalars.ts';
import {
  TPM_ALG_ID,
  TPM_ECC_CURVE,
  TPMI_ALG_HASH,
  TPMI_ALG_HASH_NULL,
  TPMI_ALG_KDF,
  TPMI_ALG_SYM_MODE,
} from './algorithms.ts';
import { TPMA_OBJECT } from './attributes.ts';
import {
  TPM2B_AUTH,
  TPM2B_DIGEST,
  TPM2B_ECC_PARAMETER,
  TPM2B_PRIVATE_KEY_RSA,
  TPM2B_PUBLIC_KEY_RSA,
  TPM2B_SENSITIVE_DATA,
  TPM2B_SYM_KEY,
} from './buffers.ts';

/** TPMI_AES_KEY_BITS, Part 2 §11.1.5. */
const aesKeyBits = /* @__PURE__ */ restricted(
  'TPMI_AES_KEY_BITS',
  u16,
  (bits) => bits === 128 || bits === 192 || bits === 256,
);
const cipher = { keyBits: aesKeyBits, mode: TPMI_ALG_SYM_MODE };
const hashed = { hashAlg: TPMI_ALG_HASH };

/** TPMT_SYM_DEF+, Part 2 §11.1.6: how a session encrypts parameters. */
export const TPMT_SYM_DEF = /* @__PURE__ */ tagged('TPMT_SYM_DEF', { algorithm: TPM_ALG_ID }, 'algorithm', {
  aes: cipher,
  xor: { keyBits: TPMI_ALG_HASH },
  null: {},
});
export type TPMT_SYM_DEF = TypeOf<typeof TPMT_SYM_DEF>;

/** TPMT_SYM_DEF_OBJECT+, Part 2 §11.1.7: how a parent encrypts its children. */
export const TPMT_SYM_DEF_OBJECT = /* @__PURE__ */ tagged(
  'TPMT_SYM_DEF_OBJECT',
  { algorithm: TPM_ALG_ID },
  'algorithm',
  {
    aes: cipher,
    null: {},
  },
);
export type TPMT_SYM_DEF_OBJECT = TypeOf<typeof TPMT_SYM_DEF_OBJECT>;

/** TPMT_KDF_SCHEME+, Part 2 §11.2.3.3. */
export const TPMT_KDF_SCHEME = /* @__PURE__ */ tagged('TPMT_KDF_SCHEME', { scheme: TPM_ALG_ID }, 'scheme', {
  mgf1: hashed,
  kdf1_sp800_56a: hashed,
  kdf2: hashed,
  kdf1_sp800_108: hashed,
  null: {},
});
export type TPMT_KDF_SCHEME = TypeOf<typeof TPMT_KDF_SCHEME>;

/** TPMT_KEYEDHASH_SCHEME+, Part 2 §11.1.23. */
export const TPMT_KEYEDHASH_SCHEME = /* @__PURE__ */ tagged(
  'TPMT_KEYEDHASH_SCHEME',
  { scheme: TPM_ALG_ID },
  'scheme',
  {
    hmac: hashed,
    xor: { hashAlg: TPMI_ALG_HASH, kdf: TPMI_ALG_KDF },
    null: {},
  },
);
export type TPMT_KEYEDHASH_SCHEME = TypeOf<typeof TPMT_KEYEDHASH_SCHEME>;

/** TPMT_SIG_SCHEME+, Part 2 §11.2.1.5: `null` takes the key's own scheme. */
export const TPMT_SIG_SCHEME = /* @__PURE__ */ tagged('TPMT_SIG_SCHEME', { scheme: TPM_ALG_ID }, 'scheme', {
  rsassa: hashed,
  rsapss: hashed,
  ecdsa: hashed,
  ecdaa: { hashAlg: TPMI_ALG_HASH, count: u16 },
  ecschnorr: hashed,
  hmac: hashed,
  null: {},
});
export type TPMT_SIG_SCHEME = TypeOf<typeof TPMT_SIG_SCHEME>;

/** TPMT_RSA_SCHEME+, Part 2 §11.2.4.2. */
export const TPMT_RSA_SCHEME = /* @__PURE__ */ tagged('TPMT_RSA_SCHEME', { scheme: TPM_ALG_ID }, 'scheme', {
  rsassa: hashed,
  rsaes: {},
  rsapss: hashed,
  oaep: hashed,
  null: {},
});
export type TPMT_RSA_SCHEME = TypeOf<typeof TPMT_RSA_SCHEME>;

/** TPMT_RSA_DECRYPT+, Part 2 §11.2.4.4: `null` takes the key's own scheme. */
export const TPMT_RSA_DECRYPT = /* @__PURE__ */ tagged('TPMT_RSA_DECRYPT', { scheme: TPM_ALG_ID }, 'scheme', {
  rsaes: {},
  oaep: hashed,
  null: {},
});
export type TPMT_RSA_DECRYPT = TypeOf<typeof TPMT_RSA_DECRYPT>;

/** TPMT_ECC_SCHEME+, Part 2 §11.2.5.6. */
export const TPMT_ECC_SCHEME = /* @__PURE__ */ tagged('TPMT_ECC_SCHEME', { scheme: TPM_ALG_ID }, 'scheme', {
  ecdsa: hashed,
  ecdh: hashed,
  ecdaa: { hashAlg: TPMI_ALG_HASH, count: u16 },
  ecschnorr: hashed,
  ecmqv: hashed,
  null: {},
});
export type TPMT_ECC_SCHEME = TypeOf<typeof TPMT_ECC_SCHEME>;

/** TPMS_ECC_POINT, Part 2 §11.2.5.2. */
export const TPMS_ECC_POINT = /* @__PURE__ */ struct('TPMS_ECC_POINT', {
  x: TPM2B_ECC_PARAMETER,
  y: TPM2B_ECC_PARAMETER,
});
export type TPMS_ECC_POINT = TypeOf<typeof TPMS_ECC_POINT>;
/** TPM2B_ECC_POINT, Part 2 §11.2.5.3. */
export const TPM2B_ECC_POINT = /* @__PURE__ */ sized('TPM2B_ECC_POINT', TPMS_ECC_POINT);

/** TPMS_ALGORITHM_DETAIL_ECC, Part 2 §11.2.5.7: the domain parameters of a curve. */
export const TPMS_ALGORITHM_DETAIL_ECC = /* @__PURE__ */ struct('TPMS_ALGORITHM_DETAIL_ECC', {
  curveID: TPM_ECC_CURVE,
  keySize: u16,
  kdf: TPMT_KDF_SCHEME,
  sign: TPMT_ECC_SCHEME,
  p: TPM2B_ECC_PARAMETER,
  a: TPM2B_ECC_PARAMETER,
  b: TPM2B_ECC_PARAMETER,
  gX: TPM2B_ECC_PARAMETER,
  gY: TPM2B_ECC_PARAMETER,
  n: TPM2B_ECC_PARAMETER,
  h: TPM2B_ECC_PARAMETER,
});
export type TPMS_ALGORITHM_DETAIL_ECC = TypeOf<typeof TPMS_ALGORITHM_DETAIL_ECC>;

/** TPMS_KEYEDHASH_PARMS, Part 2 §12.2.3.3. */
export const TPMS_KEYEDHASH_PARMS = /* @__PURE__ */ struct('TPMS_KEYEDHASH_PARMS', {
  scheme: TPMT_KEYEDHASH_SCHEME,
});
/** TPMS_SYMCIPHER_PARMS, Part 2 §11.1.9. */
export const TPMS_SYMCIPHER_PARMS = /* @__PURE__ */ struct('TPMS_SYMCIPHER_PARMS', {
  sym: TPMT_SYM_DEF_OBJECT,
});
/** TPMS_RSA_PARMS, Part 2 §12.2.3.5. Exponent 0 is 65537. */
export const TPMS_RSA_PARMS = /* @__PURE__ */ struct('TPMS_RSA_PARMS', {
  symmetric: TPMT_SYM_DEF_OBJECT,
  scheme: TPMT_RSA_SCHEME,
  keyBits: u16,
  exponent: u32,
});
export type TPMS_RSA_PARMS = TypeOf<typeof TPMS_RSA_PARMS>;
/** TPMS_ECC_PARMS, Part 2 §12.2.3.6. */
export const TPMS_ECC_PARMS = /* @__PURE__ */ struct('TPMS_ECC_PARMS', {
  symmetric: TPMT_SYM_DEF_OBJECT,
  scheme: TPMT_ECC_SCHEME,
  curveID: TPM_ECC_CURVE,
  kdf: TPMT_KDF_SCHEME,
});
export type TPMS_ECC_PARMS = TypeOf<typeof TPMS_ECC_PARMS>;

/** TPMI_ALG_PUBLIC, Part 2 §12.2.2. */
export const TPMI_ALG_PUBLIC = /* @__PURE__ */ subset('TPMI_ALG_PUBLIC', TPM_ALG_ID, [
  'rsa',
  'keyedhash',
  'ecc',
  'symcipher',
]);
export type TPMI_ALG_PUBLIC = TypeOf<typeof TPMI_ALG_PUBLIC>;

/** TPMT_PUBLIC_PARMS, Part 2 §12.2.3.8. */
export const TPMT_PUBLIC_PARMS = /* @__PURE__ */ tagged(
  'TPMT_PUBLIC_PARMS',
  { type: TPMI_ALG_PUBLIC },
  'type',
  {
    rsa: { parameters: TPMS_RSA_PARMS },
    ecc: { parameters: TPMS_ECC_PARMS },
    keyedhash: { parameters: TPMS_KEYEDHASH_PARMS },
    symcipher: { parameters: TPMS_SYMCIPHER_PARMS },
  },
);
export type TPMT_PUBLIC_PARMS = TypeOf<typeof TPMT_PUBLIC_PARMS>;

/** TPMT_PUBLIC, Part 2 §12.2.4: the public area of an object; its hash is the object's Name. */
export const TPMT_PUBLIC = /* @__PURE__ */ keeping(
  /* @__PURE__ */ tagged(
    'TPMT_PUBLIC',
    {
      type: TPMI_ALG_PUBLIC,
      nameAlg: TPMI_ALG_HASH_NULL,
      objectAttributes: TPMA_OBJECT,
      authPolicy: TPM2B_DIGEST,
    },
    'type',
    {
      rsa: { parameters: TPMS_RSA_PARMS, unique: TPM2B_PUBLIC_KEY_RSA },
      ecc: { parameters: TPMS_ECC_PARMS, unique: TPMS_ECC_POINT },
      keyedhash: { parameters: TPMS_KEYEDHASH_PARMS, unique: TPM2B_DIGEST },
      symcipher: { parameters: TPMS_SYMCIPHER_PARMS, unique: TPM2B_DIGEST },
    },
  ),
);
export type TPMT_PUBLIC = TypeOf<typeof TPMT_PUBLIC>;
/** TPM2B_PUBLIC, Part 2 §12.2.5. */
export const TPM2B_PUBLIC = /* @__PURE__ */ sized('TPM2B_PUBLIC', TPMT_PUBLIC);

/** TPMT_SENSITIVE, Part 2 §12.3.2.4. */
export const TPMT_SENSITIVE = /* @__PURE__ */ tagged(
  'TPMT_SENSITIVE',
  { sensitiveType: TPMI_ALG_PUBLIC, authValue: TPM2B_AUTH, seedValue: TPM2B_DIGEST },
  'sensitiveType',
  {
    rsa: { sensitive: TPM2B_PRIVATE_KEY_RSA },
    ecc: { sensitive: TPM2B_ECC_PARAMETER },
    keyedhash: { sensitive: TPM2B_SENSITIVE_DATA },
    symcipher: { sensitive: TPM2B_SYM_KEY },
  },
);
export type TPMT_SENSITIVE = TypeOf<typeof TPMT_SENSITIVE>;
/** TPM2B_SENSITIVE, Part 2 §12.3.3; empty when only the public part is loaded. */
export const TPM2B_SENSITIVE = /* @__PURE__ */ sizedOrEmpty('TPM2B_SENSITIVE', TPMT_SENSITIVE);

/** TPMS_SENSITIVE_CREATE, Part 2 §11.1.15: the auth value (and, for sealed data, the data) of a new object. */
export const TPMS_SENSITIVE_CREATE = /* @__PURE__ */ struct('TPMS_SENSITIVE_CREATE', {
  userAuth: TPM2B_AUTH,
  data: TPM2B_SENSITIVE_DATA,
});
export type TPMS_SENSITIVE_CREATE = TypeOf<typeof TPMS_SENSITIVE_CREATE>;
/** TPM2B_SENSITIVE_CREATE, Part 2 §11.1.16. */
export const TPM2B_SENSITIVE_CREATE = /* @__PURE__ */ sized('TPM2B_SENSITIVE_CREATE', TPMS_SENSITIVE_CREATE);
