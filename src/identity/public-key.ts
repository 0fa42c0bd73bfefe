import type { KeyObject } from 'node:crypto';
import { createPublicKey } from 'node:crypto';
import { hex } from '../core/bytes.ts';
import { readBitString, readDer, readOid, readSequence, readUnsigned, TAG } from '../core/der.ts';
import { bitString, integer, nullValue, oid, sequence } from '../core/der-writer.ts';
import { Malformed } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import type { PublicJwk } from '../core/signer.ts';
import { jwkOfPoint, pointOfJwk, publicKeyObject } from '../core/signer.ts';
import { OID } from './oids.ts';

/** A public key of a kind the profile knows. */
export type CertificateKey =
  | { readonly kind: 'p256'; readonly jwk: PublicJwk }
  | { readonly kind: 'p384' | 'p521'; readonly point: Uint8Array }
  | { readonly kind: 'rsa'; readonly modulus: Uint8Array; readonly exponent: Uint8Array };

/** SubjectPublicKeyInfo (RFC 5480), DER, of a P-256 key. */
export function spkiOfJwk(jwk: PublicJwk): Uint8Array {
  return sequence(sequence(oid(OID.ecPublicKey), oid(OID.p256)), bitString(pointOfJwk(jwk)));
}

/** SubjectPublicKeyInfo (RFC 3279), DER, of an RSA key. @param exponent default: 65,537. */
export function spkiOfRsa(modulus: Uint8Array, exponent: number = 65_537): Uint8Array {
  return sequence(
    sequence(oid(OID.rsaEncryption), nullValue()),
    bitString(sequence(integer(modulus), integer(exponent))),
  );
}

/**
 * The key in a SubjectPublicKeyInfo: P-256, P-384, P-521 (uncompressed points on the curve) or RSA from 2,048 to
 * 4,096 bits with an odd exponent of at least 65,537.
 *
 * @throws {Malformed} for any other.
 */
export function readSpki(spki: Uint8Array): CertificateKey {
  const [algorithm, bits] = readSequence(readDer(spki, TAG.sequence));
  const [name, parameters, more] = readSequence(algorithm);
  const key = readBitString(bits);
  if (more !== undefined) throw new Malformed('a public key algorithm with too many parameters');
  const algorithmOid = readOid(name);
  if (algorithmOid === OID.rsaEncryption) {
    if (parameters?.tag !== TAG.null || parameters.content.length !== 0)
      throw new Malformed('an RSA key without NULL parameters');
    const [n, e, rest] = readSequence(readDer(key));
    const modulus = readUnsigned(n);
    const exponent = readUnsigned(e);
    if (rest !== undefined) throw new Malformed('bytes after an RSA key');
    if (modulus.length < 256 || modulus.length > 512 || (modulus[0] ?? 0) < 0x80)
      throw new Malformed('an RSA key has 2,048 to 4,096 bits');
    if (exponent.length < 3 || exponent.length > 4 || ((exponent.at(-1) ?? 0) & 1) === 0)
      throw new Malformed('an RSA exponent that is even, too small or too large');
    return { kind: 'rsa', modulus, exponent };
  }
  if (algorithmOid !== OID.ecPublicKey) throw new Malformed(`a public key of algorithm ${algorithmOid}`);
  const curve = readOid(parameters);
  if (curve === OID.p256) {
    const jwk = jwkOfPoint(key);
    publicKeyObject(jwk); // refuses points off the curve
    return { kind: 'p256', jwk };
  }
  const [kind, size] = curve === OID.p384 ? (['p384', 48] as const) : (['p521', 66] as const);
  if (curve !== OID.p384 && curve !== OID.p521) throw new Malformed(`an elliptic curve key on ${curve}`);
  if (key.length !== 1 + 2 * size || key[0] !== 4) throw new Malformed('not an uncompressed point');
  keyObjectOfSpki(spki);
  return { kind, point: key };
}

/** The JWK of a SubjectPublicKeyInfo that must be P-256. @throws {Malformed} */
export function jwkOfSpki(spki: Uint8Array): PublicJwk {
  const key = readSpki(spki);
  if (key.kind !== 'p256') throw new Malformed('not a P-256 key');
  return key.jwk;
}

/** Node's key object of a SubjectPublicKeyInfo. @throws {Malformed} */
export function keyObjectOfSpki(spki: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch (cause) {
    throw new Malformed('not a public key', { cause });
  }
}

/** Key identifier of a SubjectPublicKeyInfo, hex: the leftmost 160 bits of SHA-256 of the key (RFC 7093 §2, method 1). */
export function keyIdOf(spki: Uint8Array): string {
  const [, bits] = readSequence(readDer(spki));
  return hex(sha256(readBitString(bits)).subarray(0, 20));
}
