import { concat, equal } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import type { Signer } from '../core/signer.ts';
import { thumbprint, verifySignature } from '../core/signer.ts';
import { withAuthorizations } from './client/authorize.ts';
import { run } from './client/run.ts';
import type { Tpm } from './client/tpm.ts';
import { TPM2_Sign } from './commands/signing.ts';
import { TpmMalformed, TpmUntrusted } from './errors.ts';
import { padLeft } from './integers.ts';
import type { TpmObject } from './objects.ts';
import { jwkOfPublic } from './public-keys.ts';
import { TPM_RH } from './structures/handles.ts';

/** TPM_GENERATED_VALUE: data beginning so would pass for something the TPM itself said. */
const generated = Uint8Array.of(0xff, 0x54, 0x43, 0x47);

/**
 * An unrestricted P-256 signing key in the TPM (LDevID, IDevID) as a `Signer`. Each signature is verified before it is
 * given out. Data beginning ff544347 is refused with a `TypeError`, like a restricted key.
 */
export function tpmSigner(tpm: Tpm, key: TpmObject): Signer {
  const { sign, restricted } = key.public.objectAttributes;
  if (sign !== true || restricted === true) throw new TypeError('`key` must be an unrestricted signing key');
  const publicJwk = jwkOfPublic(key.public);
  return {
    kid: thumbprint(publicJwk),
    alg: 'ES256',
    publicJwk,
    async sign(data) {
      if (equal(data.subarray(0, 4), generated)) throw new TypeError('`data` looks like an attestation');
      const signature = await signDigest(tpm, key, sha256(data));
      if (!verifySignature(publicJwk, data, signature))
        throw new TpmUntrusted('signature', 'the TPM gives a signature that does not verify');
      return signature;
    },
  };
}

async function signDigest(tpm: Tpm, key: TpmObject, digest: Uint8Array): Promise<Uint8Array> {
  return await withAuthorizations(tpm, [{ by: 'auth', auth: key.auth }], async (authorizations) => {
    const { signature } = await run(
      tpm,
      TPM2_Sign,
      {
        keyHandle: key,
        digest,
        inScheme: { scheme: 'ecdsa', hashAlg: 'sha256' },
        // no ticket: the TPM need not know where the digest comes from
        validation: { tag: 'hashcheck', hierarchy: TPM_RH.null, digest: new Uint8Array(0) },
      },
      { authorizations },
    );
    if (signature.sigAlg !== 'ecdsa' || signature.hash !== 'sha256')
      throw new TpmMalformed('the TPM signed with another scheme');
    return concat(padLeft(signature.signatureR, 32), padLeft(signature.signatureS, 32));
  });
}
