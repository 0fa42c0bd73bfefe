import { digestSize } from '../../../src/tpm/kdf.ts';

export { digest, digestSize, hmac } from '../../../src/tpm/kdf.ts';

/** The hash algorithms of this TPM, by the names `node:crypto` and the schema both use. */
export const hashAlgorithms = ['sha1', 'sha256', 'sha384', 'sha512'] as const;

/** One of {@link hashAlgorithms}. */
export type HashAlgorithm = (typeof hashAlgorithms)[number];

/** Whether `name` (any algorithm's name) is a hash this TPM has. */
export function isHash(name: string): name is HashAlgorithm {
  return (hashAlgorithms as readonly string[]).includes(name);
}

/** Bytes of one block of the hash function: an HMAC key longer than it is hashed first. */
export function hashBlockSize(hash: HashAlgorithm): number {
  return digestSize(hash) > 32 ? 128 : 64;
}
