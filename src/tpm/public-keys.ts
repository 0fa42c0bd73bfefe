import type { KeyObject } from 'node:crypto';
import { createPublicKey } from 'node:crypto';
import { base64url, fromBase64url } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import type { PublicJwk } from '../core/signer.ts';
import { minimalBytes, padLeft } from './integers.ts';
import type { TPM_ECC_CURVE } from './structures/algorithms.ts';
import type { TPMT_PUBLIC } from './structures/keys.ts';

const curves = {
  'P-256': { size: 32, node: 'prime256v1' },
  'P-384': { size: 48, node: 'secp384r1' },
  'P-521': { size: 66, node: 'secp521r1' },
} as const;

/** Bytes of a coordinate on `curve`. @throws {Malformed} for curves fealty does not compute with. */
export function coordinateSize(curve: TPM_ECC_CURVE): number {
  return known(curve).size;
}

/** OpenSSL's name of `curve`. @throws {Malformed} as above. */
export function nodeCurve(curve: TPM_ECC_CURVE): string {
  return known(curve).node;
}

/** The P-256 key in a public area as a JWK. @throws {Malformed} when it is another key, or no point. */
export function jwkOfPublic(area: TPMT_PUBLIC): PublicJwk {
  if (area.type !== 'ecc' || area.parameters.curveID !== 'P-256') throw new Malformed('not a P-256 key');
  return {
    kty: 'EC',
    crv: 'P-256',
    x: base64url(padLeft(area.unique.x, 32)),
    y: base64url(padLeft(area.unique.y, 32)),
  };
}

/** `template` with the point of `jwk`: the public area of the key that has both. */
export function publicOfJwk(
  template: Extract<TPMT_PUBLIC, { readonly type: 'ecc' }>,
  jwk: PublicJwk,
): Extract<TPMT_PUBLIC, { readonly type: 'ecc' }> {
  return { ...template, unique: { x: fromBase64url(jwk.x), y: fromBase64url(jwk.y) } };
}

/** Node's key object of an RSA or ECC public area. @throws {Malformed} when it is no such key. */
export function keyObjectOfPublic(area: TPMT_PUBLIC): KeyObject {
  try {
    if (area.type === 'rsa') return rsaKey(area.unique, area.parameters.exponent);
    if (area.type === 'ecc') {
      const { size } = known(area.parameters.curveID);
      return createPublicKey({
        key: {
          kty: 'EC',
          crv: area.parameters.curveID,
          x: base64url(padLeft(area.unique.x, size)),
          y: base64url(padLeft(area.unique.y, size)),
        },
        format: 'jwk',
      });
    }
  } catch (cause) {
    if (cause instanceof Malformed) throw cause;
    throw new Malformed('the public area holds no valid key', { cause });
  }
  throw new Malformed('neither an RSA nor an ECC key');
}

/** Node's key object of an RSA modulus; exponent 0 stands for 65537, as in TPMS_RSA_PARMS. */
export function rsaKey(modulus: Uint8Array, exponent: number): KeyObject {
  const e = base64url(minimalBytes(exponent === 0 ? 65537 : exponent));
  return createPublicKey({ key: { kty: 'RSA', n: base64url(modulus), e }, format: 'jwk' });
}

/** SubjectPublicKeyInfo, DER, of an RSA or ECC public area. */
export function spkiOfPublic(area: TPMT_PUBLIC): Uint8Array {
  return new Uint8Array(keyObjectOfPublic(area).export({ format: 'der', type: 'spki' }));
}

function known(curve: TPM_ECC_CURVE): (typeof curves)[keyof typeof curves] {
  if (curve === 'P-256' || curve === 'P-384' || curve === 'P-521') return curves[curve];
  throw new Malformed(`curve \`${curve}\` is not supported`);
}
