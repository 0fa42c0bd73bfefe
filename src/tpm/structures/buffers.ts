import { buffer } from '../combinators.ts';

/** Largest digest: SHA-512. */
export const DIGEST_MAX = 64;

/** TPM2B_DIGEST, Part 2 §10.4.2. */
export const TPM2B_DIGEST = /* @__PURE__ */ buffer('TPM2B_DIGEST', DIGEST_MAX);
/** TPM2B_DATA, Part 2 §10.4.3: qualifying data and outside information. fealty sends at most 32 bytes. */
export const TPM2B_DATA = /* @__PURE__ */ buffer('TPM2B_DATA', DIGEST_MAX + 2);
/** TPM2B_NONCE, Part 2 §10.4.4. */
export const TPM2B_NONCE = /* @__PURE__ */ buffer('TPM2B_NONCE', DIGEST_MAX);
/** TPM2B_AUTH, Part 2 §10.4.5. */
export const TPM2B_AUTH = /* @__PURE__ */ buffer('TPM2B_AUTH', DIGEST_MAX);
/** TPM2B_OPERAND, Part 2 §10.4.6. */
export const TPM2B_OPERAND = /* @__PURE__ */ buffer('TPM2B_OPERAND', DIGEST_MAX);
/** TPM2B_EVENT, Part 2 §10.4.7. */
export const TPM2B_EVENT = /* @__PURE__ */ buffer('TPM2B_EVENT', 1024);
/** TPM2B_MAX_BUFFER, Part 2 §10.4.8. */
export const TPM2B_MAX_BUFFER = /* @__PURE__ */ buffer('TPM2B_MAX_BUFFER', 2048);
/** TPM2B_MAX_NV_BUFFER, Part 2 §10.4.9. A TPM tells its own limit in TPM_PT_NV_BUFFER_MAX. */
export const TPM2B_MAX_NV_BUFFER = /* @__PURE__ */ buffer('TPM2B_MAX_NV_BUFFER', 2048);
/** TPM2B_TIMEOUT, Part 2 §10.4.10. */
export const TPM2B_TIMEOUT = /* @__PURE__ */ buffer('TPM2B_TIMEOUT', 8);
/** TPM2B_IV, Part 2 §10.4.11. */
export const TPM2B_IV = /* @__PURE__ */ buffer('TPM2B_IV', 16);
/** TPM2B_NAME, Part 2 §10.5.3. */
export const TPM2B_NAME = /* @__PURE__ */ buffer('TPM2B_NAME', DIGEST_MAX + 4);
/**
 * TPM2B_ATTEST, Part 2 §10.12.13: the bytes that are signed; `readAttest` takes them apart. The longest are of NV: a
 * TPM2B_MAX_NV_BUFFER, and less than 256 bytes that say whose they are.
 */
export const TPM2B_ATTEST = /* @__PURE__ */ buffer('TPM2B_ATTEST', 2048 + 256);
/** TPM2B_PUBLIC_KEY_RSA, Part 2 §11.2.4.5. */
export const TPM2B_PUBLIC_KEY_RSA = /* @__PURE__ */ buffer('TPM2B_PUBLIC_KEY_RSA', 512);
/** TPM2B_PRIVATE_KEY_RSA, Part 2 §11.2.4.7. */
export const TPM2B_PRIVATE_KEY_RSA = /* @__PURE__ */ buffer('TPM2B_PRIVATE_KEY_RSA', 5 * 256);
/** TPM2B_ECC_PARAMETER, Part 2 §11.2.5.1. */
export const TPM2B_ECC_PARAMETER = /* @__PURE__ */ buffer('TPM2B_ECC_PARAMETER', 128);
/** TPM2B_SYM_KEY, Part 2 §11.1.8. */
export const TPM2B_SYM_KEY = /* @__PURE__ */ buffer('TPM2B_SYM_KEY', 32);
/** TPM2B_SENSITIVE_DATA, Part 2 §11.1.14: at most MAX_SYM_DATA bytes are sealed. */
export const TPM2B_SENSITIVE_DATA = /* @__PURE__ */ buffer('TPM2B_SENSITIVE_DATA', 128);
/** TPM2B_ENCRYPTED_SECRET, Part 2 §11.4.4. */
export const TPM2B_ENCRYPTED_SECRET = /* @__PURE__ */ buffer('TPM2B_ENCRYPTED_SECRET', 512);
/** TPM2B_TEMPLATE, Part 2 §12.2.6: a TPMT_PUBLIC, marshalled. */
export const TPM2B_TEMPLATE = /* @__PURE__ */ buffer('TPM2B_TEMPLATE', 1024);
/** TPM2B_PRIVATE, Part 2 §12.3.7: only the TPM that made it can open it. */
export const TPM2B_PRIVATE = /* @__PURE__ */ buffer('TPM2B_PRIVATE', 2048);
/** TPM2B_ID_OBJECT, Part 2 §12.4.3. */
export const TPM2B_ID_OBJECT = /* @__PURE__ */ buffer('TPM2B_ID_OBJECT', 2 * (DIGEST_MAX + 2));
/** TPM2B_CONTEXT_DATA, Part 2 §14.4. */
export const TPM2B_CONTEXT_DATA = /* @__PURE__ */ buffer('TPM2B_CONTEXT_DATA', 5120);
