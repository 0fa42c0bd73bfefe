import type { TypeOf } from '../codec.ts';
import { fixed, list, tagged } from '../combinators.ts';
import { TPM_ALG_ID, TPMI_ALG_HASH, TPMI_ALG_HASH_NULL } from './algorithms.ts';
import { TPM2B_DIGEST, TPM2B_ECC_PARAMETER, TPM2B_PUBLIC_KEY_RSA } from './buffers.ts';

const digests = {
  sha1: { digest: /* @__PURE__ */ fixed('SHA1', 20) },
  sha256: { digest: /* @__PURE__ */ fixed('SHA256', 32) },
  sha384: { digest: /* @__PURE__ */ fixed('SHA384', 48) },
  sha512: { digest: /* @__PURE__ */ fixed('SHA512', 64) },
};

/** TPMT_HA, Part 2 §10.3.2: a digest and its algorithm. */
export const TPMT_HA = /* @__PURE__ */ tagged('TPMT_HA', { hashAlg: TPMI_ALG_HASH }, 'hashAlg', digests);
export type TPMT_HA = TypeOf<typeof TPMT_HA>;
/** TPMT_HA+: with TPM_ALG_NULL for none. */
export const TPMT_HA_NULL = /* @__PURE__ */ tagged('TPMT_HA+', { hashAlg: TPMI_ALG_HASH_NULL }, 'hashAlg', {
  ...digests,
  null: {},
});
/** TPML_DIGEST_VALUES, Part 2 §10.9.6: at most one for each implemented bank. */
export const TPML_DIGEST_VALUES = /* @__PURE__ */ list('TPML_DIGEST_VALUES', TPMT_HA, 16);
/** TPML_DIGEST, Part 2 §10.9.5. */
export const TPML_DIGEST = /* @__PURE__ */ list('TPML_DIGEST', TPM2B_DIGEST, 8);

const rsa = { hash: TPMI_ALG_HASH, sig: TPM2B_PUBLIC_KEY_RSA };
const ecc = { hash: TPMI_ALG_HASH, signatureR: TPM2B_ECC_PARAMETER, signatureS: TPM2B_ECC_PARAMETER };

/** TPMT_SIGNATURE+, Part 2 §11.3.4. */
export const TPMT_SIGNATURE = /* @__PURE__ */ tagged('TPMT_SIGNATURE', { sigAlg: TPM_ALG_ID }, 'sigAlg', {
  rsassa: rsa,
  rsapss: rsa,
  ecdsa: ecc,
  ecdaa: ecc,
  ecschnorr: ecc,
  hmac: { hmac: TPMT_HA },
  null: {},
});
export type TPMT_SIGNATURE = TypeOf<typeof TPMT_SIGNATURE>;
