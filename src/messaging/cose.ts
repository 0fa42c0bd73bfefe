import { encodeCbor } from '../core/cbor.ts';

/** COSE algorithm identifiers in use (RFC 9053 §4.1, §2.1). */
export const A256GCM = 3;
/** ECDSA with SHA-256 on P-256. */
export const ES256 = -7;

/** COSE header parameters in use (RFC 9052 §3.1, RFC 8613 §5, RFC 9338 §2, RFC 9596). */
export const HEADER = {
  alg: 1,
  kid: 4,
  partialIv: 6,
  kidContext: 10,
  countersignature: 11,
  typ: 16,
} as const;

/** What the AEAD of a COSE_Encrypt0 authenticates: the Enc_structure, encoded (RFC 9052 §5.3). */
export function encStructure(bodyProtected: Uint8Array, externalAad: Uint8Array): Uint8Array {
  return encodeCbor(['Encrypt0', bodyProtected, externalAad]);
}

/**
 * What a full countersignature of a COSE_Encrypt0 signs: the Countersign_structure, encoded (RFC 9338 §3.3).
 *
 * The context is `CounterSignature` although the header is "version 2": the string `CounterSignatureV2` belongs to
 * targets with more than two byte strings, whose further ones go into `other_fields`; a COSE_Encrypt0 has two.
 */
export function countersignStructure(
  bodyProtected: Uint8Array,
  signProtected: Uint8Array,
  externalAad: Uint8Array,
  ciphertext: Uint8Array,
): Uint8Array {
  return encodeCbor(['CounterSignature', bodyProtected, signProtected, externalAad, ciphertext]);
}
