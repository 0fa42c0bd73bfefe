import type { KeyObject } from 'node:crypto';
import { createECDH, createPrivateKey, createPublicKey, diffieHellman, sign, verify } from 'node:crypto';
import { base64url, equal, fromBase64url, utf8 } from './bytes.ts';
import { Malformed } from './errors.ts';
import { sha256 } from './hash.ts';
import type { Random } from './platform.ts';

/** A P-256 public key as a JWK (RFC 7518 §6.2.1), nothing but what identifies it. */
export interface PublicJwk {
  readonly kty: 'EC';
  readonly crv: 'P-256';
  /** base64url, 32 bytes. */
  readonly x: string;
  /** base64url, 32 bytes. */
  readonly y: string;
}

/** A key that signs, wherever it lives: in memory, in a TPM. One queue per TPM is the signer's own business. */
export interface Signer {
  /** Key identifier: the RFC 7638 thumbprint unless the protocol says otherwise. */
  readonly kid: string;
  readonly alg: 'ES256';
  readonly publicJwk: PublicJwk;
  /** ECDSA P-256 over SHA-256 of `data`: 64 bytes, r ‖ s. */
  sign(data: Uint8Array): Promise<Uint8Array>;
}

/** A P-256 key pair in memory. */
export interface SoftwareKey extends Signer {
  /** For what must have the key itself: a TLS socket, ECDH. */
  readonly privateKey: KeyObject;
  /** Synchronous form of {@link Signer.sign}, for the message path. */
  signSync(data: Uint8Array): Uint8Array;
}

/** RFC 7638 SHA-256 thumbprint, base64url. */
export function thumbprint(jwk: PublicJwk): string {
  return base64url(sha256(utf8(`{"crv":"${jwk.crv}","kty":"${jwk.kty}","x":"${jwk.x}","y":"${jwk.y}"}`)));
}

/** A fresh P-256 key pair from `random`, FIPS 186-5 A.2.2 (rejection sampling). */
export function generateKey(random: Random): SoftwareKey {
  for (;;) {
    const scalar = random.bytes(32);
    const ecdh = createECDH('prime256v1');
    try {
      ecdh.setPrivateKey(scalar);
    } catch {
      continue; // not in [1, n-1]: about once in 2^32
    }
    return softwareKey(jwkOfPoint(new Uint8Array(ecdh.getPublicKey())), scalar);
  }
}

/** The key pair in a PKCS #8 PEM file. @throws {Malformed} when it is not a P-256 private key. */
export function keyFromPem(pem: string): SoftwareKey {
  let jwk: Record<string, unknown>;
  try {
    jwk = createPrivateKey(pem).export({ format: 'jwk' }) as Record<string, unknown>;
  } catch (cause) {
    throw new Malformed('not a private key in PKCS #8 PEM', { cause });
  }
  const { d } = jwk;
  if (typeof d !== 'string') throw new Malformed('not a P-256 private key');
  return softwareKey(readPublicJwk(jwk), fromBase64url(d));
}

/** PKCS #8 PEM of a private key. */
export function pemOfKey(key: SoftwareKey): string {
  return key.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
}

/** The four members that identify a P-256 key, from a JWK that may hold more. @throws {Malformed}, also off-curve. */
export function readPublicJwk(value: unknown): PublicJwk {
  if (typeof value !== 'object' || value === null) throw new Malformed('not a JWK');
  const { kty, crv, x, y } = value as Record<string, unknown>;
  if (kty !== 'EC' || crv !== 'P-256' || typeof x !== 'string' || typeof y !== 'string')
    throw new Malformed('not a P-256 JWK');
  if (fromBase64url(x).length !== 32 || fromBase64url(y).length !== 32)
    throw new Malformed('JWK coordinates must have 32 bytes');
  const jwk: PublicJwk = { kty, crv, x, y };
  publicKeyObject(jwk);
  return jwk;
}

/** The JWK of an uncompressed point (65 bytes, 0x04 ‖ x ‖ y). */
export function jwkOfPoint(point: Uint8Array): PublicJwk {
  if (point.length !== 65 || point[0] !== 4) throw new Malformed('not an uncompressed P-256 point');
  return {
    kty: 'EC',
    crv: 'P-256',
    x: base64url(point.subarray(1, 33)),
    y: base64url(point.subarray(33, 65)),
  };
}

/** The uncompressed point (65 bytes) of a JWK. */
export function pointOfJwk(jwk: PublicJwk): Uint8Array {
  const point = new Uint8Array(65);
  point[0] = 4;
  point.set(fromBase64url(jwk.x), 1);
  point.set(fromBase64url(jwk.y), 33);
  return point;
}

const importedMax = 4096;
const imported = new Map<string, KeyObject>();

/** Node's key object of a public JWK; importing costs 49 µs, so the newest 4,096 are kept. */
export function publicKeyObject(jwk: PublicJwk): KeyObject {
  const id = `${jwk.x}.${jwk.y}`;
  const known = imported.get(id);
  if (known !== undefined) return known;
  let key: KeyObject;
  try {
    key = createPublicKey({ key: { ...jwk }, format: 'jwk' });
  } catch (cause) {
    throw new Malformed('the JWK is not a point on P-256', { cause });
  }
  if (imported.size >= importedMax) imported.delete(imported.keys().next().value ?? '');
  imported.set(id, key);
  return key;
}

/** Whether `signature` (64 bytes, r ‖ s) is `jwk`'s over `data`. Synchronous: 51 µs. */
export function verifySignature(jwk: PublicJwk, data: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64) return false;
  return verify('sha256', data, { key: publicKeyObject(jwk), dsaEncoding: 'ieee-p1363' }, signature);
}

/** The x-coordinate of the ECDH point (RFC 7748-style raw secret, 32 bytes). */
export function agree(privateKey: SoftwareKey, publicJwk: PublicJwk): Uint8Array {
  return new Uint8Array(
    diffieHellman({ privateKey: privateKey.privateKey, publicKey: publicKeyObject(publicJwk) }),
  );
}

/** Whether both JWKs are the same key. */
export function sameKey(a: PublicJwk, b: PublicJwk): boolean {
  return equal(pointOfJwk(a), pointOfJwk(b));
}

function softwareKey(publicJwk: PublicJwk, scalar: Uint8Array): SoftwareKey {
  const privateKey = createPrivateKey({ key: { ...publicJwk, d: base64url(scalar) }, format: 'jwk' });
  const signSync = (data: Uint8Array) =>
    new Uint8Array(sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' }));
  return {
    kid: thumbprint(publicJwk),
    alg: 'ES256',
    publicJwk,
    privateKey,
    signSync,
    sign: (data) => Promise.resolve(signSync(data)),
  };
}
