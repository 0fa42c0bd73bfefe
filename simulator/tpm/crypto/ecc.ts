import type { KeyObject } from 'node:crypto';
import { createECDH, createPrivateKey, createPublicKey } from 'node:crypto';
import { base64url, concat } from '../../../src/core/bytes.ts';
import { fromInteger, toInteger } from './integer.ts';

/** The curves of this TPM. */
export const curves = {
  'P-256': {
    node: 'prime256v1',
    bits: 256,
    size: 32,
    p: 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn,
    n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  },
  'P-384': {
    node: 'secp384r1',
    bits: 384,
    size: 48,
    p: 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffffn,
    n: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  },
  'P-521': {
    node: 'secp521r1',
    bits: 521,
    size: 66,
    p: (1n << 521n) - 1n,
    n: 0x1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
  },
} as const;

/** One of {@link curves}. */
export type Curve = keyof typeof curves;

/** A point, both coordinates padded to the size of the field. */
export interface Point {
  readonly x: Uint8Array;
  readonly y: Uint8Array;
}

/** Whether `name` is a curve this TPM has. */
export function isCurve(name: string): name is Curve {
  return Object.hasOwn(curves, name);
}

/** A private scalar from at least 8 bytes more than the field (FIPS 186-4 §B.4.1): no bias worth the name. */
export function scalarFrom(curve: Curve, chance: (count: number) => Uint8Array): Uint8Array {
  const { n, size } = curves[curve];
  return fromInteger((toInteger(chance(size + 8)) % (n - 1n)) + 1n, size);
}

/** The public point of a private scalar. */
export function publicPoint(curve: Curve, scalar: Uint8Array): Point {
  const { node, size } = curves[curve];
  const ecdh = createECDH(node);
  ecdh.setPrivateKey(scalar);
  const raw = new Uint8Array(ecdh.getPublicKey());
  return { x: raw.slice(1, 1 + size), y: raw.slice(1 + size) };
}

/** The private key for `node:crypto`. */
export function eccPrivateKey(curve: Curve, scalar: Uint8Array, point: Point): KeyObject {
  const member = (bytes: Uint8Array) => base64url(pad(bytes, curves[curve].size));
  return createPrivateKey({
    key: { kty: 'EC', crv: curve, d: member(scalar), x: member(point.x), y: member(point.y) },
    format: 'jwk',
  });
}

/** Whether the point lies on the curve (and is not at infinity). Coordinates may lack leading zeros. */
export function onCurve(curve: Curve, point: Point): boolean {
  const { size } = curves[curve];
  if (point.x.length > size || point.y.length > size) return false;
  try {
    createPublicKey({
      key: { kty: 'EC', crv: curve, x: base64url(pad(point.x, size)), y: base64url(pad(point.y, size)) },
      format: 'jwk',
    });
    return true;
  } catch {
    return false;
  }
}

/**
 * The x coordinate of scalar · point (ECDH, one pass), padded.
 * @throws Error when the point is not on the curve.
 */
export function sharedSecret(curve: Curve, scalar: Uint8Array, point: Point): Uint8Array {
  const { node, size } = curves[curve];
  const ecdh = createECDH(node);
  ecdh.setPrivateKey(scalar);
  const raw = concat(new Uint8Array([4]), pad(point.x, size), pad(point.y, size));
  return new Uint8Array(ecdh.computeSecret(raw));
}

/** `bytes` with zeros before it, `size` long. */
export function pad(bytes: Uint8Array, size: number): Uint8Array {
  if (bytes.length >= size) return bytes;
  const out = new Uint8Array(size);
  out.set(bytes, size - bytes.length);
  return out;
}
