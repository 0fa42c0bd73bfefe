import type { KeyObject } from 'node:crypto';
import { constants, privateDecrypt, publicEncrypt } from 'node:crypto';
import { concat, equal } from '../../../src/core/bytes.ts';
import { pad } from './ecc.ts';
import type { HashAlgorithm } from './hash.ts';
import { digest, digestSize } from './hash.ts';
import { toInteger } from './integer.ts';
import { mgf1 } from './kdf.ts';

const noPadding = constants.RSA_NO_PADDING;

/** DER of DigestInfo up to the digest (RFC 8017 §9.2, note 1). */
const digestInfo: Readonly<Record<HashAlgorithm, string>> = {
  sha1: '3021300906052b0e03021a05000414',
  sha256: '3031300d060960864801650304020105000420',
  sha384: '3041300d060960864801650304020205000430',
  sha512: '3051300d060960864801650304020305000440',
};

/** The RSA private operation on one block (same length as the modulus, smaller in value). */
export function rsaPrivate(key: KeyObject, block: Uint8Array): Uint8Array {
  return new Uint8Array(privateDecrypt({ key, padding: noPadding }, block));
}

/** The RSA public operation on one block. */
export function rsaPublic(key: KeyObject, block: Uint8Array): Uint8Array {
  return new Uint8Array(publicEncrypt({ key, padding: noPadding }, block));
}

/** EMSA-PKCS1-v1_5 of a digest; `undefined` when the modulus is too short. */
export function encodeRsassa(hash: HashAlgorithm, value: Uint8Array, size: number): Uint8Array | undefined {
  const info = concat(new Uint8Array(Buffer.from(digestInfo[hash], 'hex')), value);
  if (size < info.length + 11) return undefined;
  const filler = new Uint8Array(size - info.length - 3).fill(0xff);
  return concat(new Uint8Array([0, 1]), filler, new Uint8Array([0]), info);
}

/** Bytes of salt in our PSS signatures: as many as the digest (as JWS and FIPS 186-4 want it), if there is room. */
export function pssSaltSize(hash: HashAlgorithm, size: number): number {
  return Math.max(0, Math.min(digestSize(hash), size - digestSize(hash) - 2));
}

/** EMSA-PSS of a digest. The modulus is `size` * 8 bits. */
export function encodePss(
  hash: HashAlgorithm,
  value: Uint8Array,
  size: number,
  salt: Uint8Array,
): Uint8Array | undefined {
  const hashSize = digestSize(hash);
  if (size < hashSize + salt.length + 2) return undefined;
  const h = digest(hash, new Uint8Array(8), value, salt);
  const db = concat(new Uint8Array(size - salt.length - hashSize - 2), new Uint8Array([1]), salt);
  const masked = xor(db, mgf1(hash, h, db.length));
  masked[0] = (masked[0] ?? 0) & 0x7f;
  return concat(masked, h, new Uint8Array([0xbc]));
}

/** Whether `block` is EMSA-PSS of the digest, with a salt of any length. */
export function checkPss(hash: HashAlgorithm, value: Uint8Array, block: Uint8Array): boolean {
  const hashSize = digestSize(hash);
  const dbSize = block.length - hashSize - 1;
  if (dbSize < 1 || block[block.length - 1] !== 0xbc || (block[0] ?? 0) & 0x80) return false;
  const h = block.subarray(dbSize, dbSize + hashSize);
  const db = xor(block.subarray(0, dbSize), mgf1(hash, h, dbSize));
  db[0] = (db[0] ?? 0) & 0x7f;
  const one = db.findIndex((byte) => byte !== 0);
  if (one < 0 || db[one] !== 1) return false;
  return equal(digest(hash, new Uint8Array(8), value, db.subarray(one + 1)), h);
}

/** OAEP (RFC 8017 §7.1.1); `undefined` when the message is too long. `seed` is as long as the digest. */
export function encodeOaep(
  hash: HashAlgorithm,
  message: Uint8Array,
  label: Uint8Array,
  size: number,
  seed: Uint8Array,
): Uint8Array | undefined {
  const room = size - 2 * digestSize(hash) - 2 - message.length;
  if (room < 0) return undefined;
  const db = concat(digest(hash, label), new Uint8Array(room), new Uint8Array([1]), message);
  const maskedDb = xor(db, mgf1(hash, seed, db.length));
  const maskedSeed = xor(seed, mgf1(hash, maskedDb, seed.length));
  return concat(new Uint8Array([0]), maskedSeed, maskedDb);
}

/** The message inside an OAEP block, or `undefined`. */
export function decodeOaep(
  hash: HashAlgorithm,
  block: Uint8Array,
  label: Uint8Array,
): Uint8Array | undefined {
  const hashSize = digestSize(hash);
  if (block.length < 2 * hashSize + 2) return undefined;
  const maskedDb = block.subarray(1 + hashSize);
  const seed = xor(block.subarray(1, 1 + hashSize), mgf1(hash, maskedDb, hashSize));
  const db = xor(maskedDb, mgf1(hash, seed, maskedDb.length));
  let end = hashSize;
  while (end < db.length && db[end] === 0) end++;
  if (block[0] !== 0 || db[end] !== 1 || !equal(db.subarray(0, hashSize), digest(hash, label)))
    return undefined;
  return db.slice(end + 1);
}

/** EME-PKCS1-v1_5 (RFC 8017 §7.2.1); `undefined` when the message is too long. */
export function encodeRsaes(
  message: Uint8Array,
  size: number,
  chance: (count: number) => Uint8Array,
): Uint8Array | undefined {
  if (message.length > size - 11) return undefined;
  const filler = new Uint8Array(size - message.length - 3);
  for (let at = 0; at < filler.length; ) {
    const nonzero = chance(filler.length - at).filter((byte) => byte !== 0);
    filler.set(nonzero, at);
    at += nonzero.length;
  }
  return concat(new Uint8Array([0, 2]), filler, new Uint8Array([0]), message);
}

/** The message inside a block of {@link encodeRsaes}, or `undefined`. */
export function decodeRsaes(block: Uint8Array): Uint8Array | undefined {
  const end = block.indexOf(0, 2);
  if (block[0] !== 0 || block[1] !== 2 || end < 10) return undefined;
  return block.slice(end + 1);
}

/** Whether `block` as a number is below the modulus, so that the operations above accept it. */
export function belowModulus(block: Uint8Array, n: Uint8Array): boolean {
  return toInteger(block) < toInteger(n);
}

/** A number as a block of `size` bytes. */
export function blockOf(number: Uint8Array, size: number): Uint8Array {
  return pad(number, size);
}

function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, i) => byte ^ (b[i] ?? 0));
}
