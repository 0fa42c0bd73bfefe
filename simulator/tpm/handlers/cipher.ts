import type { Handler } from '../handler.ts';

/** RSA and symmetric encryption, and TPM2_HMAC. */
export const cipherHandlers: readonly Handler[] = [];
