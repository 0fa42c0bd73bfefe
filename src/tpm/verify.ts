import { constants, verify } from 'node:crypto';
import { concat, equal } from '../core/bytes.ts';
import { BadSignature, Malformed } from '../core/errors.ts';
import { CodecError, decode } from './codec.ts';
import { AttestationRefused } from './errors.ts';
import { padLeft } from './integers.ts';
import { digest } from './kdf.ts';
import { coordinateSize, keyObjectOfPublic } from './public-keys.ts';
import type { TPMI_ALG_HASH } from './structures/algorithms.ts';
import { TPMS_ATTEST } from './structures/attest.ts';
import type { TPMT_PUBLIC } from './structures/keys.ts';
import { TPMT_PUBLIC as PublicCodec } from './structures/keys.ts';
import { TPMT_SIGNATURE } from './structures/signatures.ts';

/** TPMS_ATTEST, taken apart. @throws {Malformed} also when it does not begin with the magic value of TPMs. */
export function readAttest(bytes: Uint8Array): TPMS_ATTEST {
  return reading('attestation', () => decode(TPMS_ATTEST, bytes));
}

/** TPMT_SIGNATURE, taken apart. @throws {Malformed} */
export function readSignature(bytes: Uint8Array): TPMT_SIGNATURE {
  return reading('signature', () => decode(TPMT_SIGNATURE, bytes));
}

/** TPMT_PUBLIC, taken apart. @throws {Malformed} */
export function readPublic(bytes: Uint8Array): TPMT_PUBLIC {
  return reading('public area', () => decode(PublicCodec, bytes));
}

/**
 * Whether `signature` is that of the key `area` over `data`. Only hashes of SHA-2, and only the key's own scheme when it
 * has one. False, never an exception, for keys and schemes that do not fit.
 */
export function verifyTpmSignature(area: TPMT_PUBLIC, data: Uint8Array, signature: TPMT_SIGNATURE): boolean {
  try {
    if (!fitsScheme(area, signature)) return false;
    const key = keyObjectOfPublic(area);
    if (signature.sigAlg === 'ecdsa' && area.type === 'ecc') {
      const size = coordinateSize(area.parameters.curveID);
      const both = concat(padLeft(signature.signatureR, size), padLeft(signature.signatureS, size));
      return verify(signature.hash, data, { key, dsaEncoding: 'ieee-p1363' }, both);
    }
    if (signature.sigAlg === 'rsassa' && area.type === 'rsa')
      return verify(signature.hash, data, { key, padding: constants.RSA_PKCS1_PADDING }, signature.sig);
    if (signature.sigAlg === 'rsapss' && area.type === 'rsa') {
      const padding = constants.RSA_PKCS1_PSS_PADDING;
      return verify(
        signature.hash,
        data,
        { key, padding, saltLength: constants.RSA_PSS_SALTLEN_AUTO },
        signature.sig,
      );
    }
    return false;
  } catch (error) {
    if (error instanceof Malformed) return false;
    throw error;
  }
}

/** What an attestation must be. */
export interface Expected<K extends TPMS_ATTEST['type']> {
  /** The attestation key; it must be restricted, fixedTPM and a signing key. */
  readonly key: TPMT_PUBLIC;
  readonly attest: Uint8Array;
  readonly signature: Uint8Array;
  readonly type: K;
  /** What it must be qualified with: the verifier's nonce, or a hash with it. */
  readonly qualifyingData: Uint8Array;
}

/**
 * An attestation, after every check that needs no policy: form, kind of key, signature, type, qualifying data.
 *
 * @throws {Malformed} @throws {BadSignature} @throws {AttestationRefused} `key-attributes`, `type` or `qualifying-data`.
 */
export function verifyAttestation<K extends TPMS_ATTEST['type']>(
  expected: Expected<K>,
): Extract<TPMS_ATTEST, { readonly type: K }> {
  const { key } = expected;
  const { restricted, fixedTPM, sign, decrypt } = key.objectAttributes;
  // an unrestricted key signs anything, also a forged attestation
  if (restricted !== true || fixedTPM !== true || sign !== true || decrypt === true)
    throw new AttestationRefused(
      'key-attributes',
      'the key is no attestation key: restricted, fixedTPM, sign',
    );
  const attest = readAttest(expected.attest);
  if (!verifyTpmSignature(key, expected.attest, readSignature(expected.signature)))
    throw new BadSignature('attestation');
  if (attest.type !== expected.type)
    throw new AttestationRefused('type', `the attestation is \`${attest.type}\`, not \`${expected.type}\``);
  if (!equal(attest.extraData, expected.qualifyingData))
    throw new AttestationRefused('qualifying-data', 'the attestation is qualified with other data');
  return attest as Extract<TPMS_ATTEST, { readonly type: K }>;
}

/** The digest a quote carries: the hash (that of the signing scheme) over the selected PCRs' values in their order. */
export function pcrDigest(hash: TPMI_ALG_HASH, values: readonly Uint8Array[]): Uint8Array {
  return digest(hash, ...values);
}

function fitsScheme(area: TPMT_PUBLIC, signature: TPMT_SIGNATURE): boolean {
  if (signature.sigAlg !== 'ecdsa' && signature.sigAlg !== 'rsassa' && signature.sigAlg !== 'rsapss')
    return false;
  if (signature.hash === 'sha1') return false;
  if (area.type !== 'ecc' && area.type !== 'rsa') return false;
  const { scheme } = area.parameters;
  if (scheme.scheme === 'null') return true;
  return scheme.scheme === signature.sigAlg && 'hashAlg' in scheme && scheme.hashAlg === signature.hash;
}

function reading<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof CodecError) throw new Malformed(`not a TPM ${what}: ${cause.message}`, { cause });
    throw cause;
  }
}
