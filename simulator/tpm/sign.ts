import { sign } from 'node:crypto';
import type {
  TPMT_PUBLIC as Public,
  TPMT_SIG_SCHEME as Scheme,
  TPMT_SIGNATURE as Signature,
} from '../../src/tpm/structures.ts';
import { committedScalar, endCommitment } from './commitment.ts';
import type { Curve } from './crypto/ecc.ts';
import { curves, isCurve, pad } from './crypto/ecc.ts';
import type { EccSignature } from './crypto/ecdsa.ts';
import { ecdsaSign } from './crypto/ecdsa.ts';
import { digest, hmac } from './crypto/hash.ts';
import { toInteger } from './crypto/integer.ts';
import { encodePss, encodeRsassa, pssSaltSize, rsaPrivate } from './crypto/rsa.ts';
import { ecdaaSign, schnorrSign } from './crypto/schnorr.ts';
import { privateKeyOf } from './key.ts';
import type { Machine } from './machine.ts';
import type { LoadedObject } from './object.ts';
import { RC, Refusal } from './refusal.ts';

/** A scheme this TPM signs with. */
export type SigningScheme = Exclude<Scheme, { readonly scheme: 'null' }>;

/** The schemes that fit a kind of key. */
const fitting: Readonly<Record<Public['type'], readonly string[]>> = {
  rsa: ['rsassa', 'rsapss'],
  ecc: ['ecdsa', 'ecdaa', 'ecschnorr'],
  keyedhash: ['hmac'],
  symcipher: [],
};

/**
 * Which scheme a signature gets: the key's own when it has one, else the caller's (Part 1 annex B.8, C.4).
 * `undefined` when they contradict each other or do not fit the key (TPM_RC_SCHEME).
 */
export function selectScheme(publicArea: Public, asked: Scheme): SigningScheme | undefined {
  if (publicArea.type === 'symcipher') return undefined;
  const own = publicArea.parameters.scheme;
  const chosen = own.scheme === 'null' ? asked : own;
  if (!fitting[publicArea.type].includes(chosen.scheme) || !('hashAlg' in chosen)) return undefined;
  if (asked.scheme === 'null')
    // Of ECDAA the caller must say which commitment: the scheme of the key does not know.
    return chosen.scheme === 'ecdaa' ? undefined : (chosen as SigningScheme);
  return asked.scheme === chosen.scheme && asked.hashAlg === chosen.hashAlg ? asked : undefined;
}

/** Signs a digest that has the size of the scheme's hash. @throws Refusal when the scheme cannot. */
export function signDigest(
  chip: Machine,
  key: LoadedObject,
  scheme: SigningScheme,
  value: Uint8Array,
): Signature {
  const { hashAlg } = scheme;
  switch (scheme.scheme) {
    case 'rsassa':
    case 'rsapss':
      return { sigAlg: scheme.scheme, hash: hashAlg, sig: signRsa(chip, key, scheme.scheme, hashAlg, value) };
    case 'hmac': {
      if (key.sensitive === undefined) throw new Refusal(RC.KEY);
      return { sigAlg: 'hmac', hmac: { hashAlg, digest: hmac(hashAlg, key.sensitive.sensitive, value) } };
    }
    default: {
      const { r, s } = signEcc(chip, key, scheme, value);
      return { sigAlg: scheme.scheme, hash: hashAlg, signatureR: r, signatureS: s };
    }
  }
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

function signRsa(
  chip: Machine,
  key: LoadedObject,
  scheme: 'rsassa' | 'rsapss',
  hashAlg: SigningScheme['hashAlg'],
  value: Uint8Array,
): Uint8Array {
  if (key.publicArea.type !== 'rsa') throw new Refusal(RC.KEY);
  const size = key.publicArea.unique.length;
  const block =
    scheme === 'rsassa'
      ? encodeRsassa(hashAlg, value, size)
      : encodePss(hashAlg, value, size, chip.random.bytes(pssSaltSize(hashAlg, size)));
  if (block === undefined) throw new Refusal(RC.SCHEME);
  return rsaPrivate(privateKeyOf(key), block);
}

function signEcc(
  chip: Machine,
  key: LoadedObject,
  scheme: Extract<SigningScheme, { readonly scheme: 'ecdsa' | 'ecdaa' | 'ecschnorr' }>,
  value: Uint8Array,
): EccSignature {
  const { curve, scalar } = eccSecretOf(key);
  const chance = (count: number) => chip.random.bytes(count);
  switch (scheme.scheme) {
    case 'ecdsa':
      return ecdsaSign(curve, scalar, value, chance);
    case 'ecschnorr':
      return schnorrSign(curve, scalar, scheme.hashAlg, value, chance);
    case 'ecdaa': {
      const r = committedScalar(chip.commitments, scheme.count, curve, key.name);
      if (r === undefined) throw new Refusal(RC.VALUE);
      const signature = ecdaaSign(curve, scalar, scheme.hashAlg, value, toInteger(r), chance);
      endCommitment(chip.commitments, scheme.count);
      return signature;
    }
  }
}

function eccSecretOf({ publicArea, sensitive }: LoadedObject): {
  readonly curve: Curve;
  readonly scalar: Uint8Array;
} {
  if (publicArea.type !== 'ecc' || sensitive === undefined) throw new Refusal(RC.KEY);
  const curve = publicArea.parameters.curveID;
  if (!isCurve(curve)) throw new Refusal(RC.KEY);
  return { curve, scalar: pad(sensitive.sensitive, curves[curve].size) };
}
