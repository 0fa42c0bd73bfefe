import { equal } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import type { TPMT_PUBLIC } from '../tpm/index.ts';
import { keyObjectOfPublic, nameOf, readPublic, readSignature, verifyTpmSignature } from '../tpm/index.ts';

/** A key of a TPM as a verifier sees it: its public area, and what follows from it. */
export interface TpmPublic {
  readonly area: TPMT_PUBLIC;
  /** TPMT_PUBLIC as it was given. */
  readonly bytes: Uint8Array;
  /** nameAlg ‖ digest of the public area (Part 1 §16). */
  readonly name: Uint8Array;
}

const strong: readonly string[] = ['sha256', 'sha384', 'sha512'];

/** Reads a TPMT_PUBLIC with SHA-256, SHA-384 or SHA-512 as name algorithm and an EC or RSA key. @throws {Malformed} */
export function readTpmPublic(bytes: Uint8Array): TpmPublic {
  const area = readPublic(bytes);
  if (!strong.includes(area.nameAlg)) throw new Malformed('a key whose name algorithm is weak or missing');
  if (area.type === 'rsa' && area.unique.length < 256)
    throw new Malformed('an RSA key of less than 2,048 bits');
  keyObjectOfPublic(area); // refuses what is no point, or no asymmetric key
  return { area, bytes, name: nameOf(area) };
}

/** Whether `signature` (TPMT_SIGNATURE) is `key`'s over `data`. @throws {Malformed} when it is no TPMT_SIGNATURE. */
export function signedBy(key: TpmPublic, data: Uint8Array, signature: Uint8Array): boolean {
  return verifyTpmSignature(key.area, data, readSignature(signature));
}

/** What a key must be, by {@link faultOfTpmKey}. */
export interface TpmKeyShape {
  readonly restricted: boolean;
  /** Policy digests of which the key must have one; absent: any. */
  readonly policies?: readonly Uint8Array[] | undefined;
}

/**
 * Why `key` is not a signing key that was made in its TPM and can never leave it; `undefined` when it is.
 * (TCG "TPM 2.0 Keys for Device Identity and Attestation" §6.2.2 d, e.)
 */
export function faultOfTpmKey(key: TpmPublic, shape: TpmKeyShape): string | undefined {
  const { objectAttributes: has, authPolicy } = key.area;
  for (const name of ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'sign'] as const)
    if (has[name] !== true) return `it is not ${name}`;
  for (const name of ['decrypt', 'stClear', 'encryptedDuplication', 'x509sign'] as const)
    if (has[name] === true) return `it is ${name}`;
  if ((has.restricted === true) !== shape.restricted)
    return shape.restricted ? 'it is not restricted' : 'it is restricted';
  if (shape.policies !== undefined && !shape.policies.some((one) => equal(one, authPolicy)))
    return 'its policy is not that of the TCG template';
  return undefined;
}
