import type { TPMT_RSA_DECRYPT as Padding, TPMT_PUBLIC as Public } from '../../src/tpm/structures.ts';
import { digestSize } from './crypto/hash.ts';
import * as rsa from './crypto/rsa.ts';
import { rsaPublicKey } from './crypto/rsa-key.ts';
import { privateKeyOf } from './key.ts';
import type { LoadedObject } from './object.ts';
import { RC } from './refusal.ts';

/** RSA encryption (Part 1 annex B.4 to B.6); the response code when the message does not fit. */
export function rsaEncrypt(
  to: Public & { readonly type: 'rsa' },
  padding: Padding,
  label: Uint8Array,
  message: Uint8Array,
  chance: (count: number) => Uint8Array,
): Uint8Array | number {
  const { unique, parameters } = to;
  const block = padded(padding, label, message, unique.length, chance);
  if (typeof block === 'number') return block;
  if (!rsa.belowModulus(block, unique)) return RC.VALUE;
  return rsa.rsaPublic(rsaPublicKey(unique, parameters.exponent), block);
}

/** The inverse of {@link rsaEncrypt}; the response code when what came is no such message. */
export function rsaDecrypt(
  key: LoadedObject,
  padding: Padding,
  label: Uint8Array,
  cipherText: Uint8Array,
): Uint8Array | number {
  const { publicArea } = key;
  if (publicArea.type !== 'rsa') return RC.KEY;
  if (cipherText.length !== publicArea.unique.length) return RC.SIZE;
  if (!rsa.belowModulus(cipherText, publicArea.unique)) return RC.VALUE;
  const block = rsa.rsaPrivate(privateKeyOf(key), cipherText);
  switch (padding.scheme) {
    case 'null':
      return block;
    case 'rsaes':
      return rsa.decodeRsaes(block) ?? RC.VALUE;
    case 'oaep':
      return rsa.decodeOaep(padding.hashAlg, block, label) ?? RC.VALUE;
    default:
      return RC.SCHEME;
  }
}

function padded(
  padding: Padding,
  label: Uint8Array,
  message: Uint8Array,
  size: number,
  chance: (count: number) => Uint8Array,
): Uint8Array | number {
  switch (padding.scheme) {
    case 'null': {
      // A number may have zeros in front.
      const from = message.findIndex((byte) => byte !== 0);
      const number = from < 0 ? new Uint8Array() : message.subarray(from);
      return number.length > size ? RC.VALUE : rsa.blockOf(number, size);
    }
    case 'rsaes':
      return rsa.encodeRsaes(message, size, chance) ?? RC.VALUE;
    case 'oaep': {
      const seed = chance(digestSize(padding.hashAlg));
      return rsa.encodeOaep(padding.hashAlg, message, label, size, seed) ?? RC.VALUE;
    }
    default:
      return RC.SCHEME;
  }
}
