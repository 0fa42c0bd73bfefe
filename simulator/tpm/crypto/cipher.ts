import { createCipheriv, createDecipheriv } from 'node:crypto';
import { fromInteger, toInteger } from './integer.ts';

/** Modes of AES in this TPM. */
export const cipherModes = ['cfb', 'cbc', 'ctr', 'ofb', 'ecb'] as const;

/** One of {@link cipherModes}. */
export type CipherMode = (typeof cipherModes)[number];

const blockSize = 16;

/** Encrypts with AES in CFB mode (full blocks of feedback). Key of 16, 24 or 32 bytes; `iv` of 16, zero by default. */
export function aesCfbEncrypt(
  key: Uint8Array,
  data: Uint8Array,
  iv: Uint8Array = new Uint8Array(blockSize),
): Uint8Array {
  return aesEncrypt('cfb', key, iv, data);
}

/** The inverse of {@link aesCfbEncrypt}. */
export function aesCfbDecrypt(
  key: Uint8Array,
  data: Uint8Array,
  iv: Uint8Array = new Uint8Array(blockSize),
): Uint8Array {
  return aesDecrypt('cfb', key, iv, data);
}

/** Encrypts with AES, without padding. `iv` of 16 bytes; empty for ECB. */
export function aesEncrypt(mode: CipherMode, key: Uint8Array, iv: Uint8Array, data: Uint8Array): Uint8Array {
  return ended(createCipheriv(nameOf(mode, key), key, mode === 'ecb' ? null : iv), data);
}

/** The inverse of {@link aesEncrypt}. */
export function aesDecrypt(mode: CipherMode, key: Uint8Array, iv: Uint8Array, data: Uint8Array): Uint8Array {
  return ended(createDecipheriv(nameOf(mode, key), key, mode === 'ecb' ? null : iv), data);
}

/**
 * The IV with which the next piece of the same data goes on (SP 800-38A). After a piece that ends within a block it is
 * what the block would have given had zeros followed; nothing can go on from there, but TPMs show it.
 */
export function nextIv(
  mode: CipherMode,
  key: Uint8Array,
  iv: Uint8Array,
  plain: Uint8Array,
  encrypted: Uint8Array,
): Uint8Array {
  const blocks = Math.ceil(plain.length / blockSize);
  if (blocks === 0 || mode === 'ecb') return iv;
  const endsWhole = plain.length % blockSize === 0;
  if (mode === 'cbc' || (mode === 'cfb' && endsWhole)) return encrypted.slice(-blockSize);
  if (mode === 'ctr') return fromInteger(BigInt.asUintN(128, toInteger(iv) + BigInt(blocks)), blockSize);
  const whole = new Uint8Array(blocks * blockSize);
  if (mode === 'cfb') whole.set(plain);
  return aesEncrypt(mode, key, iv, whole).slice(-blockSize);
}

function nameOf(mode: CipherMode, key: Uint8Array): string {
  return `aes-${key.length * 8}-${mode}`;
}

function ended(cipher: ReturnType<typeof createCipheriv>, data: Uint8Array): Uint8Array {
  // Without effect on modes that are streams; the others get whole blocks only.
  cipher.setAutoPadding(false);
  return new Uint8Array(Buffer.concat([cipher.update(data), cipher.final()]));
}
