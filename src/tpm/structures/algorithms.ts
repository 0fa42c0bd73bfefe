import type { TypeOf } from '../codec.ts';
import { constants, subset, u8, u16, u32 } from '../scalars.ts';

/** TPM_ALG_ID, Part 2 §6.3 and the TCG Algorithm Registry. */
export const TPM_ALG_ID = /* @__PURE__ */ constants('TPM_ALG_ID', u16, {
  rsa: 0x0001,
  tdes: 0x0003,
  sha1: 0x0004,
  hmac: 0x0005,
  aes: 0x0006,
  mgf1: 0x0007,
  keyedhash: 0x0008,
  xor: 0x000a,
  sha256: 0x000b,
  sha384: 0x000c,
  sha512: 0x000d,
  sha256_192: 0x000e,
  null: 0x0010,
  sm3_256: 0x0012,
  sm4: 0x0013,
  rsassa: 0x0014,
  rsaes: 0x0015,
  rsapss: 0x0016,
  oaep: 0x0017,
  ecdsa: 0x0018,
  ecdh: 0x0019,
  ecdaa: 0x001a,
  sm2: 0x001b,
  ecschnorr: 0x001c,
  ecmqv: 0x001d,
  kdf1_sp800_56a: 0x0020,
  kdf2: 0x0021,
  kdf1_sp800_108: 0x0022,
  ecc: 0x0023,
  symcipher: 0x0025,
  camellia: 0x0026,
  sha3_256: 0x0027,
  sha3_384: 0x0028,
  sha3_512: 0x0029,
  cmac: 0x003f,
  ctr: 0x0040,
  ofb: 0x0041,
  cbc: 0x0042,
  cfb: 0x0043,
  ecb: 0x0044,
});
export type TPM_ALG_ID = TypeOf<typeof TPM_ALG_ID>;

/** TPMI_ALG_HASH, Part 2 §9.27: the hashes that fealty computes. */
export const TPMI_ALG_HASH = /* @__PURE__ */ subset('TPMI_ALG_HASH', TPM_ALG_ID, [
  'sha1',
  'sha256',
  'sha384',
  'sha512',
]);
export type TPMI_ALG_HASH = TypeOf<typeof TPMI_ALG_HASH>;

/** TPMI_ALG_HASH+, with `null` for none. */
export const TPMI_ALG_HASH_NULL = /* @__PURE__ */ subset('TPMI_ALG_HASH+', TPM_ALG_ID, [
  'sha1',
  'sha256',
  'sha384',
  'sha512',
  'null',
]);
export type TPMI_ALG_HASH_NULL = TypeOf<typeof TPMI_ALG_HASH_NULL>;

/** TPMI_ALG_SYM_MODE+, Part 2 §9.31. */
export const TPMI_ALG_SYM_MODE = /* @__PURE__ */ subset('TPMI_ALG_SYM_MODE', TPM_ALG_ID, [
  'ctr',
  'ofb',
  'cbc',
  'cfb',
  'ecb',
  'null',
]);
export type TPMI_ALG_SYM_MODE = TypeOf<typeof TPMI_ALG_SYM_MODE>;

/** TPMI_ALG_KDF+, Part 2 §9.32. */
export const TPMI_ALG_KDF = /* @__PURE__ */ subset('TPMI_ALG_KDF', TPM_ALG_ID, [
  'mgf1',
  'kdf1_sp800_56a',
  'kdf2',
  'kdf1_sp800_108',
  'null',
]);
export type TPMI_ALG_KDF = TypeOf<typeof TPMI_ALG_KDF>;

/** TPMI_ECC_KEY_EXCHANGE+, Part 2 §9.36. */
export const TPMI_ECC_KEY_EXCHANGE = /* @__PURE__ */ subset('TPMI_ECC_KEY_EXCHANGE', TPM_ALG_ID, [
  'ecdh',
  'ecmqv',
  'null',
]);
export type TPMI_ECC_KEY_EXCHANGE = TypeOf<typeof TPMI_ECC_KEY_EXCHANGE>;

/** TPM_ECC_CURVE, Part 2 §6.4. */
export const TPM_ECC_CURVE = /* @__PURE__ */ constants('TPM_ECC_CURVE', u16, {
  'P-192': 0x0001,
  'P-224': 0x0002,
  'P-256': 0x0003,
  'P-384': 0x0004,
  'P-521': 0x0005,
  BN_P256: 0x0010,
  BN_P638: 0x0011,
  SM2_P256: 0x0020,
});
export type TPM_ECC_CURVE = TypeOf<typeof TPM_ECC_CURVE>;

/** TPM_ST, Part 2 §6.9: tags of commands, attestations and tickets. */
export const TPM_ST = /* @__PURE__ */ constants('TPM_ST', u16, {
  rspCommand: 0x00c4,
  null: 0x8000,
  noSessions: 0x8001,
  sessions: 0x8002,
  attestNv: 0x8014,
  attestCommandAudit: 0x8015,
  attestSessionAudit: 0x8016,
  attestCertify: 0x8017,
  attestQuote: 0x8018,
  attestTime: 0x8019,
  attestCreation: 0x801a,
  attestNvDigest: 0x801c,
  creation: 0x8021,
  verified: 0x8022,
  authSecret: 0x8023,
  hashcheck: 0x8024,
  authSigned: 0x8025,
});
export type TPM_ST = TypeOf<typeof TPM_ST>;

/** TPM_SU, Part 2 §6.10. */
export const TPM_SU = /* @__PURE__ */ constants('TPM_SU', u16, { clear: 0x0000, state: 0x0001 });
export type TPM_SU = TypeOf<typeof TPM_SU>;

/** TPM_SE, Part 2 §6.11. */
export const TPM_SE = /* @__PURE__ */ constants('TPM_SE', u8, { hmac: 0x00, policy: 0x01, trial: 0x03 });
export type TPM_SE = TypeOf<typeof TPM_SE>;

/** TPM_GENERATED_VALUE, Part 2 §6.2: what every attestation begins with. */
export const TPM_GENERATED = /* @__PURE__ */ constants('TPM_GENERATED', u32, { value: 0xff544347 });

/** TPMI_YES_NO, Part 2 §9.2. */
export const TPMI_YES_NO = /* @__PURE__ */ constants('TPMI_YES_NO', u8, { no: 0, yes: 1 });
export type TPMI_YES_NO = TypeOf<typeof TPMI_YES_NO>;

/** TPM_EO, Part 2 §6.8: how a policy compares. */
export const TPM_EO = /* @__PURE__ */ constants('TPM_EO', u16, {
  eq: 0x0000,
  neq: 0x0001,
  signedGt: 0x0002,
  unsignedGt: 0x0003,
  signedLt: 0x0004,
  unsignedLt: 0x0005,
  signedGe: 0x0006,
  unsignedGe: 0x0007,
  signedLe: 0x0008,
  unsignedLe: 0x0009,
  bitset: 0x000a,
  bitclear: 0x000b,
});
export type TPM_EO = TypeOf<typeof TPM_EO>;

/** TPM_CLOCK_ADJUST, Part 2 §6.7: an INT8, from 3 steps slower (-3) to 3 steps faster. */
export const TPM_CLOCK_ADJUST = /* @__PURE__ */ constants('TPM_CLOCK_ADJUST', u8, {
  coarseSlower: 0xfd,
  mediumSlower: 0xfe,
  fineSlower: 0xff,
  noChange: 0x00,
  fineFaster: 0x01,
  mediumFaster: 0x02,
  coarseFaster: 0x03,
});
export type TPM_CLOCK_ADJUST = TypeOf<typeof TPM_CLOCK_ADJUST>;
