import { sign } from 'node:crypto';
import { equal } from '../../src/core/bytes.ts';
import type {
  TPMT_PUBLIC as Public,
  TPMT_SIG_SCHEME as Scheme,
  TPMT_SIGNATURE as Signature,
} from '../../src/tpm/structures.ts';
import { curves, isCurve, onCurve, pad } from './crypto/ecc.ts';
import { ecdsaSign, ecdsaVerify } from './crypto/ecdsa.ts';
import type { HashAlgorithm } from './crypto/hash.ts';
import { digest, digestSize, hmac } from './crypto/hash.ts';
import { belowModulus, checkPss, encodePss, encodeRsassa, rsaPrivate, rsaPublic } from './crypto/rsa.ts';
import { rsaPublicKey } from './crypto/rsa-key.ts';
import { privateKeyOf } from './key.ts';
import type { Machine } from './machine.ts';
import type { LoadedObject } from './object.ts';
import { RC, Refusal } from './refusal.ts';

/** A scheme this TPM signs with. */
export type SigningScheme = {
  readonly scheme: 'rsassa' | 'rsapss' | 'ecdsa' | 'hmac';
  readonly hashAlg: HashAlgorithm;
};

/**
 * Which scheme a signature gets: the key's own when it has one, else the caller's (Part 1 annex B.8, C.4).
 * `undefined` when they contradict each other or do not fit the key (TPM_RC_SCHEME).
 */
export function selectScheme(publicArea: Public, asked: Scheme): SigningScheme | undefined {
  const own =
    publicArea.type === 'rsa' || publicArea.type === 'ecc'
      ? publicArea.parameters.scheme
      : publicArea.type === 'keyedhash'
        ? publicArea.parameters.scheme
        : undefined;
  if (own === undefined) return undefined;
  const chosen = own.scheme === 'null' ? asked : own;
  const fits: readonly string[] =
    publicArea.type === 'rsa' ? ['rsassa', 'rsapss'] : publicArea.type === 'ecc' ? ['ecdsa'] : ['hmac'];
  if (!fits.includes(chosen.scheme) || !('hashAlg' in chosen)) return undefined;
  if (asked.scheme !== 'null') {
    if (asked.scheme !== chosen.scheme || !('hashAlg' in asked) || asked.hashAlg !== chosen.hashAlg)
      return undefined;
  }
  return { scheme: chosen.scheme as SigningScheme['scheme'], hashAlg: chosen.hashAlg };
}

/** Signs a digest that has the size of the scheme's hash. */
export function signDigest(
  chip: Machine,
  key: LoadedObject,
  { scheme, hashAlg }: SigningScheme,
  value: Uint8Array,
): Signature {
  const { publicArea, sensitive } = key;
  if (sensitive === undefined) throw new Refusal(RC.KEY);
  const chance = (count: number) => chip.random.bytes(count);
  if (scheme === 'ecdsa') {
    if (publicArea.type !== 'ecc' || !isCurve(publicArea.parameters.curveID)) throw new Refusal(RC.KEY);
    const curve = publicArea.parameters.curveID;
    const { r, s } = ecdsaSign(curve, pad(sensitive.sensitive, curves[curve].size), value, chance);
    return { sigAlg: 'ecdsa', hash: hashAlg, signatureR: r, signatureS: s };
  }
  if (scheme === 'hmac') {
    return { sigAlg: 'hmac', hmac: { hashAlg, digest: hmac(hashAlg, sensitive.sensitive, value) } };
  }
  if (publicArea.type !== 'rsa') throw new Refusal(RC.KEY);
  const size = publicArea.unique.length;
  const block =
    scheme === 'rsassa'
      ? encodeRsassa(hashAlg, value, size)
      : encodePss(hashAlg, value, size, chance(digestSize(hashAlg)));
  if (block === undefined) throw new Refusal(RC.SCHEME);
  return { sigAlg: scheme, hash: hashAlg, sig: rsaPrivate(privateKeyOf(key), block) };
}

/**
 * Signs bytes that the TPM itself made. With chance from the system, OpenSSL does hash and signature in one go, three
 * times as fast as {@link signDigest}; a simulated chip keeps to its own chance, so that its signatures repeat.
 */
export function signMessage(
  chip: Machine,
  key: LoadedObject,
  scheme: SigningScheme,
  message: Uint8Array,
): Signature {
  if (scheme.scheme !== 'ecdsa' || chip.simulated)
    return signDigest(chip, key, scheme, digest(scheme.hashAlg, message));
  const signature = sign(scheme.hashAlg, message, { key: privateKeyOf(key), dsaEncoding: 'ieee-p1363' });
  const size = signature.length / 2;
  return {
    sigAlg: 'ecdsa',
    hash: scheme.hashAlg,
    signatureR: new Uint8Array(signature.subarray(0, size)),
    signatureS: new Uint8Array(signature.subarray(size)),
  };
}

/** Whether the signature of a digest verifies. The key may be public only. */
export function verifyDigest(key: LoadedObject, value: Uint8Array, signature: Signature): boolean {
  const { publicArea, sensitive } = key;
  switch (signature.sigAlg) {
    case 'ecdsa': {
      if (publicArea.type !== 'ecc' || !isCurve(publicArea.parameters.curveID)) return false;
      const curve = publicArea.parameters.curveID;
      if (!onCurve(curve, publicArea.unique)) return false;
      return ecdsaVerify(curve, publicArea.unique, value, {
        r: signature.signatureR,
        s: signature.signatureS,
      });
    }
    case 'rsassa':
    case 'rsapss': {
      if (publicArea.type !== 'rsa' || value.length !== digestSize(signature.hash)) return false;
      const { unique, parameters } = publicArea;
      if (signature.sig.length !== unique.length || !belowModulus(signature.sig, unique)) return false;
      const block = rsaPublic(rsaPublicKey(unique, parameters.exponent), signature.sig);
      if (signature.sigAlg === 'rsapss') return checkPss(signature.hash, value, block);
      const expected = encodeRsassa(signature.hash, value, unique.length);
      return expected !== undefined && equal(expected, block);
    }
    case 'hmac':
      return (
        publicArea.type === 'keyedhash' &&
        sensitive !== undefined &&
        equal(hmac(signature.hmac.hashAlg, sensitive.sensitive, value), signature.hmac.digest)
      );
    default:
      return false;
  }
}
