import { base64url, fromBase64url, wipe } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import { activateCredential } from '../tpm/index.ts';
import { openDeviceIdentity } from './device-identity.ts';
import { pinOf, writeOwnership } from './device-nv.ts';
import { activationProof, enrolmentQualifier, proveKeys } from './keys.ts';
import { challengeSchema, credentialsSchema } from './messages.ts';
import { makeOwnerKeys } from './owner-keys.ts';
import type { Enrolled, PledgeContext } from './pledge-context.ts';
import { thumbprintsOf } from './pledge-context.ts';
import { pinnedTo, post } from './pledge-exchange.ts';
import { certifiedKey, makeCsr } from './pledge-proofs.ts';

/**
 * Enrols: the TPM's identity, keys of the owner that it certifies, a credential that only it can open, and a quote of what
 * runs (design.md section 3, provisioning).
 *
 * @throws {EnrolmentRefused} naming the check. @throws {WrongAuthority} @throws {Unreachable} @throws {CredentialsRefused}
 */
export async function enrol(context: PledgeContext, signal: AbortSignal | undefined): Promise<Enrolled> {
  const { tpm, platform, authority, attester, aibom, endorsement, binding } = context.options;
  const { voucher, ownership = 0 } = context.store.file;
  const { pinned } = context;
  const exchange = context.exchange(pinnedTo(pinned, authority, platform.clock.now), signal);
  const identity = await openDeviceIdentity(tpm);
  const csr = await makeCsr(tpm, identity);
  const challenge = await post(
    exchange,
    'begin',
    {
      csr: base64url(csr),
      ekIntermediates: identity.ekIntermediates.map(base64url),
      iakChain: [base64url(identity.iakCertificate.der)],
      idevidChain: [base64url(identity.idevidCertificate.der)],
      aibom: base64url(aibom),
      voucher,
      endorsement,
      ...(binding === undefined ? {} : { binding }),
    },
    challengeSchema,
  );
  const nonce = fromBase64url(challenge.nonce);
  // The keys are of this attempt: those of one that was cut short are replaced.
  const owned = await makeOwnerKeys(tpm, context.auth);
  const keys = context.freshKeys();
  const activationSecret = await activateCredential(tpm, {
    ak: identity.iak,
    ek: identity.ek,
    challenge: {
      credentialBlob: fromBase64url(challenge.credentialBlob),
      secret: fromBase64url(challenge.secret),
    },
  });
  const evidence = await attester.evidence({
    key: identity.iak,
    qualifier: enrolmentQualifier({
      nonce,
      activationSecret,
      csr,
      lakName: owned.lak.name,
      ldevidName: owned.ldevid.name,
      thumbprints: thumbprintsOf(keys),
    }),
    pcrs: challenge.pcrs,
    aibom: sha256(aibom),
  });
  const message = await post(
    exchange,
    'activate',
    {
      challenge: challenge.challenge,
      activation: base64url(activationProof(activationSecret, nonce)),
      evidence,
      lak: await certifiedKey(tpm, identity.iak, owned.lak, nonce),
      ldevid: await certifiedKey(tpm, identity.iak, owned.ldevid, nonce),
      keys: proveKeys(keys, nonce),
    },
    credentialsSchema,
  );
  wipe(activationSecret);
  const enrolled = context.accept(message, owned, keys, nonce);
  await writeOwnership(tpm, { sequence: ownership, pinned: pinOf(pinned) });
  await context.store.move('issued', { credentials: message });
  return enrolled;
}
