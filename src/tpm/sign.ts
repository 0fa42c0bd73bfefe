import { concat, equal } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import { withAuthorizations } from './client/authorize.ts';
import { run } from './client/run.ts';
import type { Tpm } from './client/tpm.ts';
import { TPM2_Sign } from './commands/signing.ts';
import { TpmMalformed, TpmUntrusted } from './errors.ts';
import { padLeft } from './integers.ts';
import { digest as hash } from './kdf.ts';
import type { TpmObject } from './objects.ts';
import { coordinateSize } from './public-keys.ts';
import type { TPMI_ALG_HASH } from './structures/algorithms.ts';
import { TPM_RH } from './structures/handles.ts';
import type { TPMT_PUBLIC } from './structures/keys.ts';
import type { TPMT_SIGNATURE } from './structures/signatures.ts';
import { verifyTpmSignature } from './verify.ts';

/** How data is signed. The key must allow it: it has the same scheme, or none of its own. */
export interface SigningScheme {
  readonly scheme: 'ecdsa' | 'rsassa' | 'rsapss';
  readonly hashAlg: TPMI_ALG_HASH;
}

/** TPM_GENERATED_VALUE: data beginning so would pass for something the TPM itself said. */
const generated = Uint8Array.of(0xff, 0x54, 0x43, 0x47);

/**
 * Signs `data` by an unrestricted key in the TPM (TPM2_Sign); it is hashed here, so it may be of any length. The
 * signature is verified before it is given out. Data beginning ff544347 is refused with a `TypeError`, as is a
 * restricted key: what they sign is for the TPM to say.
 *
 * @throws {TpmUntrusted} `signature`, also for SHA-1, which nothing here verifies.
 */
export async function sign(
  tpm: Tpm,
  key: TpmObject,
  data: Uint8Array,
  scheme: SigningScheme,
): Promise<TPMT_SIGNATURE> {
  checkSigningKey(key);
  checkSignable(data);
  const signature = await signDigest(tpm, key, hash(scheme.hashAlg, data), scheme);
  if (!verifyTpmSignature(key.public, data, signature))
    throw new TpmUntrusted('signature', 'the TPM gives a signature that does not verify');
  return signature;
}

/** TPM2_Sign of a digest, unverified: for callers who verify it in their own way. */
export async function signDigest(
  tpm: Tpm,
  key: TpmObject,
  digest: Uint8Array,
  scheme: SigningScheme,
): Promise<TPMT_SIGNATURE> {
  return await withAuthorizations(tpm, [{ by: 'auth', auth: key.auth }], async (authorizations) => {
    const { signature } = await run(
      tpm,
      TPM2_Sign,
      {
        keyHandle: key,
        digest,
        inScheme: scheme,
        // no ticket: the TPM need not know where the digest comes from
        validation: { tag: 'hashcheck', hierarchy: TPM_RH.null, digest: new Uint8Array(0) },
      },
      { authorizations },
    );
    if (signature.sigAlg !== scheme.scheme || signature.hash !== scheme.hashAlg)
      throw new TpmMalformed('the TPM signed with another scheme');
    return signature;
  });
}

/** A signature as others expect it: r ‖ s for ECDSA, each as long as a coordinate (IEEE P1363); the number for RSA. */
export function rawSignature(area: TPMT_PUBLIC, signature: TPMT_SIGNATURE): Uint8Array {
  if (signature.sigAlg === 'ecdsa' && area.type === 'ecc') {
    const size = coordinateSize(area.parameters.curveID);
    return concat(padLeft(signature.signatureR, size), padLeft(signature.signatureS, size));
  }
  if ((signature.sigAlg === 'rsassa' || signature.sigAlg === 'rsapss') && area.type === 'rsa')
    return padLeft(signature.sig, area.unique.length);
  throw new Malformed('the signature is not of a kind that the key makes');
}

/** @throws {TypeError} when `key` does not sign whatever it is given. */
export function checkSigningKey(key: TpmObject): void {
  const { sign, restricted } = key.public.objectAttributes;
  if (sign !== true || restricted === true) throw new TypeError('`key` must be an unrestricted signing key');
}

/** @throws {TypeError} when `data` would pass for something the TPM itself said. */
export function checkSignable(data: Uint8Array): void {
  if (equal(data.subarray(0, 4), generated)) throw new TypeError('`data` looks like an attestation');
}
