import { concat, equal } from '../../src/core/bytes.ts';
import { aesCfbDecrypt, aesCfbEncrypt } from './crypto/cipher.ts';
import type { HashAlgorithm } from './crypto/hash.ts';
import { digestSize, hmac } from './crypto/hash.ts';
import { kdfA } from './crypto/kdf.ts';

const none = new Uint8Array();
/** Bytes of the initialization vector in TPM2B_PRIVATE. */
export const ivSize = 16;

/** What protects data outside the TPM: a secret known to both ends, and how to use it. */
export interface Protector {
  /** Name algorithm of the parent (or endorsement key). */
  readonly hash: HashAlgorithm;
  readonly seed: Uint8Array;
  /** AES key size of the parent. */
  readonly keyBits: number;
}

/**
 * TPM2B_PRIVATE's content (Part 1 §23.3): integrity HMAC, IV, and the encrypted sensitive area.
 *
 * @param sensitive TPM2B_SENSITIVE, with its size.
 * @param name of the object.
 */
export function wrapSensitive(
  protector: Protector,
  sensitive: Uint8Array,
  name: Uint8Array,
  iv: Uint8Array,
): Uint8Array {
  const encrypted = concat(sized(iv), aesCfbEncrypt(storageKey(protector, name), sensitive, iv));
  return concat(sized(integrity(protector, encrypted, name)), encrypted);
}

/** TPM2B_SENSITIVE from what {@link wrapSensitive} made; `undefined` when the integrity check fails. */
export function unwrapSensitive(
  protector: Protector,
  wrapped: Uint8Array,
  name: Uint8Array,
): Uint8Array | undefined {
  const encrypted = checked(protector, wrapped, name);
  if (encrypted === undefined || encrypted.length < 2 + ivSize) return undefined;
  const iv = encrypted.subarray(2, 2 + ivSize);
  return aesCfbDecrypt(storageKey(protector, name), encrypted.subarray(2 + ivSize), iv);
}

/**
 * The outer wrapper of duplication and of a credential (Part 1 §23.3.2.2, §24): integrity HMAC, encrypted data. The seed
 * serves once, so there is no IV.
 */
export function wrapOnce(protector: Protector, data: Uint8Array, name: Uint8Array): Uint8Array {
  const encrypted = aesCfbEncrypt(storageKey(protector, name), data);
  return concat(sized(integrity(protector, encrypted, name)), encrypted);
}

/** The data inside; `undefined` when it was made for another Name or key, or altered. */
export function unwrapOnce(protector: Protector, blob: Uint8Array, name: Uint8Array): Uint8Array | undefined {
  const encrypted = checked(protector, blob, name);
  return encrypted && aesCfbDecrypt(storageKey(protector, name), encrypted);
}

/** Bytes with a 16-bit length in front: any TPM2B. */
export function sized(data: Uint8Array): Uint8Array {
  return concat(new Uint8Array([data.length >> 8, data.length & 0xff]), data);
}

function storageKey({ hash, seed, keyBits }: Protector, name: Uint8Array): Uint8Array {
  return kdfA(hash, seed, 'STORAGE', name, none, keyBits);
}

function integrity({ hash, seed }: Protector, encrypted: Uint8Array, name: Uint8Array): Uint8Array {
  const key = kdfA(hash, seed, 'INTEGRITY', none, none, digestSize(hash) * 8);
  return hmac(hash, key, encrypted, name);
}

/** What follows the integrity value, when that is right. */
function checked(protector: Protector, wrapped: Uint8Array, name: Uint8Array): Uint8Array | undefined {
  const size = 2 + digestSize(protector.hash);
  const encrypted = wrapped.subarray(size);
  return equal(wrapped.subarray(0, size), sized(integrity(protector, encrypted, name)))
    ? encrypted
    : undefined;
}
