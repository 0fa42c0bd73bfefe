import type { Curve, Point } from '../../simulator/tpm/crypto/ecc.ts';
import { combined, curves } from '../../simulator/tpm/crypto/ecc.ts';
import { toInteger } from '../../simulator/tpm/crypto/integer.ts';
import { ecdaaChallenge } from '../../simulator/tpm/crypto/schnorr.ts';
import type { TPMT_SIGNATURE } from '../../src/tpm/structures.ts';

/**
 * Whether an ECDAA signature of a digest is one by the key `Q` with the commitment `E` = r·G: s·G - T·Q = E
 * (Part 1 annex C.4.2). No TPM verifies such a signature; who knows the commitment does.
 */
export function ecdaaHolds(
  curve: Curve,
  Q: Point,
  E: Point,
  digest: Uint8Array,
  signature: TPMT_SIGNATURE,
): boolean {
  if (signature.sigAlg !== 'ecdaa') return false;
  const { n } = curves[curve];
  const t = ecdaaChallenge(curve, signature.hash, signature.signatureR, digest);
  const found = combined(curve, toInteger(signature.signatureS), n - t, Q);
  return found !== undefined && found.x === toInteger(E.x) && found.y === toInteger(E.y);
}
