import { equal } from '../../src/core/bytes.ts';
import type { TPMT_PUBLIC as Public, TPMT_SIGNATURE as Signature } from '../../src/tpm/structures.ts';
import { isCurve, onCurve } from './crypto/ecc.ts';
import { ecdsaVerify } from './crypto/ecdsa.ts';
import { digestSize, hmac } from './crypto/hash.ts';
import { belowModulus, checkPss, encodeRsassa, rsaPublic } from './crypto/rsa.ts';
import { rsaPublicKey } from './crypto/rsa-key.ts';
import { schnorrVerify } from './crypto/schnorr.ts';
import type { LoadedObject } from './object.ts';
import { RC } from './refusal.ts';

/**
 * What speaks against a signature of a digest, as the response code; `undefined` when it verifies. The key may be public
 * only, except for an HMAC. ECDAA has no answer here: only who knows the commitment can verify.
 */
export function signatureFault(
  { publicArea, sensitive }: LoadedObject,
  value: Uint8Array,
  signature: Signature,
): number | undefined {
  switch (publicArea.type) {
    case 'rsa':
      if (signature.sigAlg !== 'rsassa' && signature.sigAlg !== 'rsapss') return RC.SCHEME;
      return verifiesRsa(publicArea, value, signature) ? undefined : RC.SIGNATURE;
    case 'ecc':
      if (signature.sigAlg !== 'ecdsa' && signature.sigAlg !== 'ecschnorr') return RC.SCHEME;
      return verifiesEcc(publicArea, value, signature) ? undefined : RC.SIGNATURE;
    case 'keyedhash': {
      if (sensitive === undefined) return RC.HANDLE;
      if (signature.sigAlg !== 'hmac') return RC.SCHEME;
      const { hashAlg, digest } = signature.hmac;
      return equal(hmac(hashAlg, sensitive.sensitive, value), digest) ? undefined : RC.SIGNATURE;
    }
    default:
      return RC.SCHEME;
  }
}

function verifiesRsa(
  { unique, parameters }: Public & { readonly type: 'rsa' },
  value: Uint8Array,
  { sigAlg, hash, sig }: Extract<Signature, { readonly sigAlg: 'rsassa' | 'rsapss' }>,
): boolean {
  if (value.length !== digestSize(hash)) return false;
  if (sig.length !== unique.length || !belowModulus(sig, unique)) return false;
  const block = rsaPublic(rsaPublicKey(unique, parameters.exponent), sig);
  if (sigAlg === 'rsapss') return checkPss(hash, value, block);
  const expected = encodeRsassa(hash, value, unique.length);
  return expected !== undefined && equal(expected, block);
}

function verifiesEcc(
  { unique, parameters }: Public & { readonly type: 'ecc' },
  value: Uint8Array,
  {
    sigAlg,
    hash,
    signatureR: r,
    signatureS: s,
  }: Extract<Signature, { readonly sigAlg: 'ecdsa' | 'ecschnorr' }>,
): boolean {
  const { curveID } = parameters;
  if (!isCurve(curveID) || !onCurve(curveID, unique)) return false;
  return sigAlg === 'ecdsa'
    ? ecdsaVerify(curveID, unique, value, { r, s })
    : schnorrVerify(curveID, unique, hash, value, { r, s });
}
