import { Malformed } from '../core/errors.ts';
import type { Random } from '../core/platform.ts';
import type { CredentialChallenge } from './attestation.ts';
import { encode } from './codec.ts';
import { digestSize } from './kdf.ts';
import { protectedFor } from './protect.ts';
import { seedTo } from './seed.ts';
import { TPM2B_DIGEST } from './structures/buffers.ts';
import type { TPMT_PUBLIC } from './structures/keys.ts';

/**
 * TPM2_MakeCredential without a TPM (Part 1 §24): `secret` comes back only out of the TPM that holds `ek`, and only if
 * an object with the Name `name` is in it.
 *
 * @param options.secret at most the size of a digest of the EK's nameAlg (32 bytes for L-1 and L-2).
 * @throws {Malformed} when `ek` is no endorsement key or `name` no Name.
 */
export function makeCredential(options: {
  readonly ek: TPMT_PUBLIC;
  readonly name: Uint8Array;
  readonly secret: Uint8Array;
  readonly random: Random;
}): CredentialChallenge {
  const { ek, name, secret } = options;
  if (ek.nameAlg === 'null' || ek.objectAttributes.restricted !== true)
    throw new Malformed('not an endorsement key');
  if (name.length < 22) throw new Malformed('not a Name');
  const bits = digestSize(ek.nameAlg) * 8;
  if (secret.length > bits / 8) throw new TypeError('`secret` is longer than a digest');
  const shared = seedTo(ek, 'IDENTITY', options.random);
  const credentialBlob = protectedFor(ek, shared.seed, name, encode(TPM2B_DIGEST, secret));
  return { credentialBlob, secret: shared.secret };
}
