import { sha256 } from '../core/hash.ts';
import type { Signer } from '../core/signer.ts';
import { thumbprint, verifySignature } from '../core/signer.ts';
import type { Tpm } from './client/tpm.ts';
import { TpmUntrusted } from './errors.ts';
import type { TpmObject } from './objects.ts';
import { jwkOfPublic } from './public-keys.ts';
import { checkSignable, checkSigningKey, rawSignature, signDigest } from './sign.ts';

/**
 * An unrestricted P-256 signing key in the TPM (LDevID, IDevID) as a `Signer`. Each signature is verified before it is
 * given out. Data beginning ff544347 is refused with a `TypeError`, like a restricted key.
 */
export function tpmSigner(tpm: Tpm, key: TpmObject): Signer {
  checkSigningKey(key);
  const publicJwk = jwkOfPublic(key.public);
  return {
    kid: thumbprint(publicJwk),
    alg: 'ES256',
    publicJwk,
    async sign(data) {
      checkSignable(data);
      const made = await signDigest(tpm, key, sha256(data), { scheme: 'ecdsa', hashAlg: 'sha256' });
      const signature = rawSignature(key.public, made);
      if (!verifySignature(publicJwk, data, signature))
        throw new TpmUntrusted('signature', 'the TPM gives a signature that does not verify');
      return signature;
    },
  };
}
