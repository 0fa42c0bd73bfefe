import { createHmac, hash as hashOnce } from 'node:crypto';
import { concat } from '../../../src/core/bytes.ts';

/** The hash algorithms of this TPM, by the names `node:crypto` and the schema both use. */
export const hashAlgorithms = ['sha1', 'sha256', 'sha384', 'sha512'] as const;

/** One of {@link hashAlgorithms}. */
export type HashAlgorithm = (typeof hashAlgorithms)[number];

const none = new Uint8Array();
const sizes: Readonly<Record<HashAlgorithm, number>> = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 };

/** Whether `name` (any algorithm's name) is a hash this TPM has. */
export function isHash(name: string): name is HashAlgorithm {
  return Object.hasOwn(sizes, name);
}

/** Bytes of a digest. */
export function digestSize(hash: HashAlgorithm): number {
  return sizes[hash];
}

/** Bytes of one block of the hash function: an HMAC key longer than it is hashed first. */
export function hashBlockSize(hash: HashAlgorithm): number {
  return sizes[hash] > 32 ? 128 : 64;
}

/** The digest of all parts, one after the other. */
export function digest(hash: HashAlgorithm, ...parts: readonly Uint8Array[]): Uint8Array {
  const [only = none] = parts;
  // In hexadecimal, because it crosses into JavaScript three times as fast as bytes do.
  const made = hashOnce(hash, parts.length === 1 ? only : concat(...parts), 'hex');
  return new Uint8Array(Buffer.from(made, 'hex'));
}

/** The HMAC of all parts. */
export function hmac(hash: HashAlgorithm, key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const state = createHmac(hash, key);
  for (const part of parts) state.update(part);
  return new Uint8Array(state.digest());
}
