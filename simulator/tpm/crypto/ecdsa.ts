import type { Curve, Point } from './ecc.ts';
import { combined, curves, publicPoint, scalarFrom } from './ecc.ts';
import { fromInteger, inverse, toInteger } from './integer.ts';

/** A signature of two numbers; ours are padded to the size of the curve. */
export interface EccSignature {
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
): EccSignature {
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
  signature: EccSignature,
): boolean {
  const numbers = numbersOf(curve, signature);
  if (numbers === undefined) return false;
  const { r, s } = numbers;
  const { n } = curves[curve];
  const w = inverse(s, n);
  const sum = combined(curve, (leftBits(curve, digest) * w) % n, (r * w) % n, point);
  return sum !== undefined && sum.x % n === r;
}

/** The numbers of a signature; none when one of them is not between zero and the order of the curve. */
export function numbersOf(
  curve: Curve,
  signature: EccSignature,
): { readonly r: bigint; readonly s: bigint } | undefined {
  const { n } = curves[curve];
  const [r, s] = [toInteger(signature.r), toInteger(signature.s)];
  return r > 0n && r < n && s > 0n && s < n ? { r, s } : undefined;
}

/** The digest as a number, cut to the bits of the group order (FIPS 186-4 §6.4). */
function leftBits(curve: Curve, digest: Uint8Array): bigint {
  const surplus = digest.length * 8 - curves[curve].bits;
  return surplus > 0 ? toInteger(digest) >> BigInt(surplus) : toInteger(digest);
}
