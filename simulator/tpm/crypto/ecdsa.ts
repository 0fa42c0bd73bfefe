import type { Curve, Point } from './ecc.ts';
import { curves, publicPoint, scalarFrom } from './ecc.ts';
import { fromInteger, inverse, toInteger } from './integer.ts';
import { add, affineOf, jacobian, multiply } from './point.ts';

/** An ECDSA signature, both numbers padded to the size of the curve. */
export interface EcdsaSignature {
  readonly r: Uint8Array;
  readonly s: Uint8Array;
}

/**
 * Signs a digest that already exists, which `node:crypto` cannot: it always hashes once more.
 * `chance` gives the ephemeral scalar. Not constant in time: a simulator has no bystander to hide from.
 */
export function ecdsaSign(
  curve: Curve,
  scalar: Uint8Array,
  digest: Uint8Array,
  chance: (count: number) => Uint8Array,
): EcdsaSignature {
  const { n, size } = curves[curve];
  const e = leftBits(curve, digest);
  const d = toInteger(scalar);
  for (;;) {
    const k = scalarFrom(curve, chance);
    const r = toInteger(publicPoint(curve, k).x) % n;
    const s = (inverse(toInteger(k), n) * (e + r * d)) % n;
    if (r !== 0n && s !== 0n) return { r: fromInteger(r, size), s: fromInteger(s, size) };
  }
}

/** Verifies a signature of {@link ecdsaSign}. The point must have been checked to lie on the curve. */
export function ecdsaVerify(
  curve: Curve,
  point: Point,
  digest: Uint8Array,
  signature: EcdsaSignature,
): boolean {
  const { n, p } = curves[curve];
  const r = toInteger(signature.r);
  const s = toInteger(signature.s);
  if (r <= 0n || r >= n || s <= 0n || s >= n) return false;
  const w = inverse(s, n);
  const u1 = (leftBits(curve, digest) * w) % n;
  const u2 = (r * w) % n;
  let sum = multiply(u2, jacobian(point), p);
  if (u1 !== 0n) sum = add(sum, jacobian(publicPoint(curve, fromInteger(u1, curves[curve].size))), p);
  const affine = affineOf(sum, p);
  return affine !== undefined && affine.x % n === r;
}

/** The digest as a number, cut to the bits of the group order (FIPS 186-4 §6.4). */
function leftBits(curve: Curve, digest: Uint8Array): bigint {
  const surplus = digest.length * 8 - curves[curve].bits;
  return surplus > 0 ? toInteger(digest) >> BigInt(surplus) : toInteger(digest);
}
