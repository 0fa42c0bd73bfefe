import type { ECDH, KeyObject } from 'node:crypto';
import { createECDH, createPrivateKey } from 'node:crypto';
import { concat } from '../../../src/core/bytes.ts';
import type { Curve } from './curves.ts';
import { curves } from './curves.ts';
import { fromInteger, toInteger } from './integer.ts';
import type { Affine, Jacobian } from './point.ts';
import { add, affineOf, multiply } from './point.ts';

export type { Curve } from './curves.ts';
export { curves, isCurve } from './curves.ts';

/** A point, both coordinates padded to the size of the field. */
export interface Point {
  readonly x: Uint8Array;
  readonly y: Uint8Array;
}

/** A private scalar from at least 8 bytes more than the field (FIPS 186-4 §B.4.1): no bias worth the name. */
export function scalarFrom(curve: Curve, chance: (count: number) => Uint8Array): Uint8Array {
  const { n, size } = curves[curve];
  return fromInteger((toInteger(chance(size + 8)) % (n - 1n)) + 1n, size);
}

/** Making an ECDH object costs as much as using it. */
const ecdhs = new Map<Curve, ECDH>();

/** The public point of a private scalar, 1 to n - 1. @throws Error for any other. */
export function publicPoint(curve: Curve, scalar: Uint8Array): Point {
  const { node, size } = curves[curve];
  let ecdh = ecdhs.get(curve);
  if (ecdh === undefined) {
    ecdh = createECDH(node);
    ecdhs.set(curve, ecdh);
  }
  ecdh.setPrivateKey(scalar);
  const raw = new Uint8Array(ecdh.getPublicKey());
  return { x: raw.slice(1, 1 + size), y: raw.slice(1 + size) };
}

/** The private key for `node:crypto`: ECPrivateKey (RFC 5915), which unlike a JWK can be on any curve. */
export function eccPrivateKey(curve: Curve, scalar: Uint8Array, point: Point): KeyObject {
  const { oid, size } = curves[curve];
  const parameters = new Uint8Array(Buffer.from(oid, 'hex'));
  const key = der(
    0x30,
    der(0x02, new Uint8Array([1])),
    der(0x04, pad(scalar, size)),
    der(0xa0, der(0x06, parameters)),
    der(0xa1, der(0x03, new Uint8Array([0, 4]), pad(point.x, size), pad(point.y, size))),
  );
  return createPrivateKey({ key: Buffer.from(key), format: 'der', type: 'sec1' });
}

/** Whether the point lies on the curve (and is not at infinity). Coordinates may lack leading zeros. */
export function onCurve(curve: Curve, point: Point): boolean {
  const { p, b } = curves[curve];
  const x = toInteger(point.x);
  const y = toInteger(point.y);
  return x < p && y < p && (y * y - (x * x * x - 3n * x + b)) % p === 0n;
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

/** scalar · point, both coordinates; `undefined` for infinity. The point must be on the curve. */
export function multiplied(curve: Curve, scalar: Uint8Array, point: Point): Point | undefined {
  const { p } = curves[curve];
  return pointOf(curve, affineOf(multiply(toInteger(scalar), jacobian(point), p), p));
}

/** a · generator + b · point, the equation of every verification; `undefined` for infinity. */
export function combined(curve: Curve, a: bigint, b: bigint, point: Point): Affine | undefined {
  const { p, size } = curves[curve];
  const second = multiply(b, jacobian(point), p);
  const sum = a === 0n ? second : add(second, jacobian(publicPoint(curve, fromInteger(a, size))), p);
  return affineOf(sum, p);
}

/** `bytes` with zeros before it, `size` long. */
export function pad(bytes: Uint8Array, size: number): Uint8Array {
  if (bytes.length >= size) return bytes;
  const out = new Uint8Array(size);
  out.set(bytes, size - bytes.length);
  return out;
}

function jacobian(point: Point): Jacobian {
  return { x: toInteger(point.x), y: toInteger(point.y), z: 1n };
}

function pointOf(curve: Curve, affine: Affine | undefined): Point | undefined {
  const { size } = curves[curve];
  return affine && { x: fromInteger(affine.x, size), y: fromInteger(affine.y, size) };
}

/** One element of DER; lengths up to 255, which is enough for a key. */
function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = concat(...parts);
  const length = content.length < 128 ? [content.length] : [0x81, content.length];
  return concat(new Uint8Array([tag, ...length]), content);
}
