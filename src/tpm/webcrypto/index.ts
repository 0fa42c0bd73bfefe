export type { TpmCryptoOptions } from './crypto.ts';
export { TpmCrypto } from './crypto.ts';
