import { base64url, fromBase64url } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import { thumbprint } from '../core/signer.ts';
import { parseCertificate } from '../identity/certificate.ts';
import type { Credentials } from '../identity/credentials.ts';
import { jwkOfSpki } from '../identity/public-key.ts';
import { jwkOfPublic, tpmSigner } from '../tpm/index.ts';
import { proveKeys, renewalBytes, renewalQualifier } from './keys.ts';
import { credentialsSchema, renewalChallengeSchema } from './messages.ts';
import type { OwnerKeys } from './owner-keys.ts';
import { loadOwnerKeys } from './owner-keys.ts';
import type { Enrolled, PledgeContext } from './pledge-context.ts';
import { thumbprintsOf } from './pledge-context.ts';
import { pinnedTo, post } from './pledge-exchange.ts';
import { readCredentials } from './pledge-state.ts';

/**
 * Renews: fresh software keys and a fresh appraisal, asked for with the LDevID that only this TPM has.
 *
 * @returns `undefined` when the TPM was cleared: the keys are gone, and it has to enrol again.
 * @throws {EnrolmentRefused} naming the check. @throws {WrongAuthority} @throws {Unreachable} @throws {CredentialsRefused}
 */
export async function renew(
  context: PledgeContext,
  signal: AbortSignal | undefined,
): Promise<Enrolled | undefined> {
  const { tpm, platform, attester, aibom, endorsement, authority } = context.options;
  const owned = await loadOwnerKeys(tpm, context.auth);
  const { credentials } = context.store.file;
  const before = credentials === undefined ? undefined : readCredentials(credentials);
  if (owned === undefined || before === undefined || !isKeyOf(owned, before)) {
    await context.store.move('cleared');
    return undefined;
  }
  const { agentId } = before;
  const exchange = context.exchange(pinnedTo(context.pinned, authority, platform.clock.now), signal);
  const challenge = await post(exchange, 'challenge', { agent: agentId }, renewalChallengeSchema);
  const nonce = fromBase64url(challenge.nonce);
  const keys = context.freshKeys();
  const evidence = await attester.evidence({
    key: owned.lak,
    qualifier: renewalQualifier({ nonce, agentId, thumbprints: thumbprintsOf(keys) }),
    pcrs: challenge.pcrs,
    aibom: sha256(aibom),
  });
  const unsigned = {
    challenge: challenge.challenge,
    agent: agentId,
    evidence,
    aibom: base64url(aibom),
    endorsement,
    keys: proveKeys(keys, nonce),
  };
  const signature = await tpmSigner(tpm, owned.ldevid).sign(renewalBytes(unsigned));
  const request = { ...unsigned, signature: base64url(signature) };
  const message = await post(exchange, 'renew', request, credentialsSchema);
  const enrolled = context.accept(message, owned, keys, nonce, before);
  await context.store.move('issued', { credentials: message });
  return enrolled;
}

/** Whether the stored LDevID certificate is for the key in the TPM. */
function isKeyOf(owned: OwnerKeys, credentials: Credentials): boolean {
  const [leaf] = credentials.ldevidChain;
  return (
    leaf !== undefined &&
    thumbprint(jwkOfPublic(owned.ldevid.public)) === thumbprint(jwkOfSpki(parseCertificate(leaf).spki))
  );
}
