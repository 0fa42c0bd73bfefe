import { concat } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import { encode } from './codec.ts';
import { cfbEncrypt, digestSize, hmac, kdfa } from './kdf.ts';
import { TPM2B_DIGEST } from './structures/buffers.ts';
import type { TPMT_PUBLIC } from './structures/keys.ts';

/**
 * Encrypts `plain` for the storage key `to` and ties it to an object's Name (Part 1 §22.4 and §24.4: credentials and the
 * outer wrap of duplicates): integrity value, then ciphertext. `seed` travels apart (`seedTo`).
 *
 * @throws {Malformed} when `to` is no storage key with AES in CFB mode.
 */
export function protectedFor(
  to: TPMT_PUBLIC,
  seed: Uint8Array,
  name: Uint8Array,
  plain: Uint8Array,
): Uint8Array {
  if (to.nameAlg === 'null' || (to.type !== 'rsa' && to.type !== 'ecc'))
    throw new Malformed('neither an RSA nor an ECC key');
  const { symmetric } = to.parameters;
  if (
    symmetric.algorithm !== 'aes' ||
    symmetric.mode !== 'cfb' ||
    (symmetric.keyBits !== 128 && symmetric.keyBits !== 256)
  )
    throw new Malformed('the key has another symmetric algorithm than AES in CFB mode');
  const none = new Uint8Array(0);
  const key = kdfa(to.nameAlg, seed, 'STORAGE', name, none, symmetric.keyBits);
  const encrypted = cfbEncrypt(key, new Uint8Array(16), plain);
  const macKey = kdfa(to.nameAlg, seed, 'INTEGRITY', none, none, digestSize(to.nameAlg) * 8);
  return concat(encode(TPM2B_DIGEST, hmac(to.nameAlg, macKey, encrypted, name)), encrypted);
}
