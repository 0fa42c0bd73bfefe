import type { Curve, Point } from './ecc.ts';
import { combined, curves, publicPoint, scalarFrom } from './ecc.ts';
import type { EccSignature } from './ecdsa.ts';
import { numbersOf } from './ecdsa.ts';
import type { HashAlgorithm } from './hash.ts';
import { digest } from './hash.ts';
import { fromInteger, toInteger } from './integer.ts';

/** EC Schnorr over a digest (Part 1 annex C.4.3, TPM_ALG_ECSCHNORR): r is the challenge, s = k + r · d. */
export function schnorrSign(
  curve: Curve,
  scalar: Uint8Array,
  hash: HashAlgorithm,
  value: Uint8Array,
  chance: (count: number) => Uint8Array,
): EccSignature {
  const { n, size } = curves[curve];
  for (;;) {
    const k = scalarFrom(curve, chance);
    const r = challenge(curve, hash, toInteger(publicPoint(curve, k).x), value);
    const s = (toInteger(k) + r * toInteger(scalar)) % n;
    // No verifier takes an r that is not below the order.
    if (r !== 0n && r < n && s !== 0n) return { r: fromInteger(r, size), s: fromInteger(s, size) };
  }
}

/** Verifies a signature of {@link schnorrSign}. The point must have been checked to lie on the curve. */
export function schnorrVerify(
  curve: Curve,
  point: Point,
  hash: HashAlgorithm,
  value: Uint8Array,
  signature: EccSignature,
): boolean {
  const numbers = numbersOf(curve, signature);
  if (numbers === undefined) return false;
  const { r, s } = numbers;
  const { n } = curves[curve];
  const sum = combined(curve, s, n - r, point);
  return sum !== undefined && challenge(curve, hash, sum.x, value) === r;
}

/**
 * One half of an ECDAA signature (Part 1 annex C.4.2): s = r + T · d with T = H(nonceK || digest), where `commitment` is
 * the r of TPM2_Commit. The other half, the commitment's points, is in what was hashed.
 */
export function ecdaaSign(
  curve: Curve,
  scalar: Uint8Array,
  hash: HashAlgorithm,
  value: Uint8Array,
  commitment: bigint,
  chance: (count: number) => Uint8Array,
): EccSignature {
  const { n, size } = curves[curve];
  for (;;) {
    const nonce = scalarFrom(curve, chance);
    const t = ecdaaChallenge(curve, hash, nonce, value);
    const s = (commitment + t * toInteger(scalar)) % n;
    if (s !== 0n) return { r: nonce, s: fromInteger(s, size) };
  }
}

/** T of an ECDAA signature. The nonce is hashed as it is in the signature; of swtpm it lacks zeros at its front. */
export function ecdaaChallenge(
  curve: Curve,
  hash: HashAlgorithm,
  nonce: Uint8Array,
  value: Uint8Array,
): bigint {
  return toInteger(digest(hash, nonce, value)) % curves[curve].n;
}

/** H(x mod n || digest), cut to the bytes of the order. */
function challenge(curve: Curve, hash: HashAlgorithm, x: bigint, value: Uint8Array): bigint {
  const { n, size } = curves[curve];
  return toInteger(digest(hash, fromInteger(x % n, size), value).subarray(0, size));
}
