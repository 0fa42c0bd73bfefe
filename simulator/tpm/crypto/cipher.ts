import { createCipheriv, createDecipheriv } from 'node:crypto';

/** Encrypts with AES in CFB mode (full blocks of feedback). Key of 16, 24 or 32 bytes; `iv` of 16, zero by default. */
export function aesCfbEncrypt(
  key: Uint8Array,
  data: Uint8Array,
  iv: Uint8Array = new Uint8Array(16),
): Uint8Array {
  const cipher = createCipheriv(`aes-${key.length * 8}-cfb`, key, iv);
  return new Uint8Array(Buffer.concat([cipher.update(data), cipher.final()]));
}

/** The inverse of {@link aesCfbEncrypt}. */
export function aesCfbDecrypt(
  key: Uint8Array,
  data: Uint8Array,
  iv: Uint8Array = new Uint8Array(16),
): Uint8Array {
  const cipher = createDecipheriv(`aes-${key.length * 8}-cfb`, key, iv);
  return new Uint8Array(Buffer.concat([cipher.update(data), cipher.final()]));
}
