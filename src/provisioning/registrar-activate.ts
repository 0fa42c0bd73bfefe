import { AppraisalRefused } from '../attestation/errors.ts';
import type { TpmPublic } from '../attestation/tpm-key.ts';
import { faultOfTpmKey, readTpmPublic } from '../attestation/tpm-key.ts';
import type { Appraisal, AppraisalRequest } from '../attestation/verifier.ts';
import { equal, fromBase64url, fromHex, hex } from '../core/bytes.ts';
import { slugOf } from '../core/names.ts';
import { thumbprint } from '../core/signer.ts';
import { jwkOfPublic } from '../tpm/index.ts';
import { readAibom } from './aibom.ts';
import type { Check } from './checks.ts';
import { EnrolmentRefused } from './errors.ts';
import { activationProof, enrolmentQualifier, verifyKeys } from './keys.ts';
import type { ActivateRequest, CredentialsMessage, TpmKeyProof } from './messages.ts';
import { formed, refuse } from './refuse.ts';
import { judgeCertified } from './registrar-begin.ts';
import type { EnrolState } from './registrar-challenge.ts';
import { issueCredentials } from './registrar-issue.ts';
import type { RegistrarOptions } from './registrar-options.ts';

/**
 * Judges message 2 against the challenge it answers, claims the device in the store and issues its credentials.
 *
 * @throws {EnrolmentRefused} naming the check.
 */
export async function activate(
  options: RegistrarOptions,
  request: ActivateRequest,
  challenge: EnrolState & { readonly nonceBytes: Uint8Array },
): Promise<CredentialsMessage> {
  const at = options.platform.clock.now();
  const nonce = challenge.nonceBytes;
  const activationSecret = fromBase64url(challenge.activationSecret);
  if (!equal(fromBase64url(request.activation), activationProof(activationSecret, nonce)))
    refuse('credential-activation', 'the TPM with this EK does not hold this IAK');

  const iak = readTpmPublic(fromHex(challenge.iak));
  const lak = judgeKey(request.lak, iak, nonce, 'lak');
  const ldevid = judgeKey(request.ldevid, iak, nonce, 'ldevid');
  const ldevidJwk = formed('ldevid-attributes', () => jwkOfPublic(ldevid.area));
  const thumbprints = verifyKeys(request.keys, nonce);
  const aibomBytes = fromBase64url(challenge.aibom);
  const { agentId, capabilities, simulated } = challenge;
  const appraisal = await appraise(options, {
    evidence: request.evidence,
    key: iak,
    qualifier: enrolmentQualifier({
      nonce,
      activationSecret,
      csr: fromBase64url(challenge.csr),
      lakName: lak.name,
      ldevidName: ldevid.name,
      thumbprints,
    }),
    nonce,
    agentId,
    ldevid: thumbprint(ldevidJwk),
    aibom: aibomOf(aibomBytes),
    genuineHardware: !simulated,
    at,
  });

  const claimed = await options.store.claimDevice({
    agentId,
    slug: slugOf(agentId),
    maker: challenge.maker,
    model: challenge.model,
    serial: challenge.serial,
    ek: challenge.ek,
    idevid: challenge.idevidName,
    iak: hex(iak.name),
    hwSerialNum: challenge.hwSerialNum,
    simulated,
    lak: hex(lak.bytes),
    ldevid: hex(ldevid.bytes),
    ldevidJwk,
    capabilities,
    owner: challenge.owner,
    aibom: hex(aibomOf(aibomBytes).digest),
    aibomBytes: challenge.aibom,
    endorsement: challenge.endorsement,
    tpmClock: undefined, // of the IAK: the LAK's is another, the TPM obfuscates it
    status: 'active',
    enrolledAt: at,
    renewedAt: at,
  });
  if (claimed !== undefined)
    refuse(claimed, claimed === 'revoked' ? 'its owner revoked it' : 'another device has it already');
  return await issueCredentials(options, {
    agentId,
    capabilities,
    ldevid: ldevidJwk,
    keys: request.keys,
    ear: appraisal.ear,
    at,
  });
}

/** The verifier's appraisal; its refusals are ours. @throws {EnrolmentRefused} naming the verifier's check. */
export async function appraise(options: RegistrarOptions, request: AppraisalRequest): Promise<Appraisal> {
  try {
    return await options.verifier.appraise(request);
  } catch (cause) {
    if (cause instanceof AppraisalRefused) throw new EnrolmentRefused(cause.check, cause.message, { cause });
    throw cause;
  }
}

/** Digest and component hashes of an AIBOM that was judged before. */
export function aibomOf(bytes: Uint8Array): AppraisalRequest['aibom'] {
  const { digest, components } = readAibom(bytes);
  return { digest, hashes: new Set(components.flatMap(({ sha256 }) => sha256 ?? [])) };
}

function judgeKey(proof: TpmKeyProof, iak: TpmPublic, nonce: Uint8Array, which: 'lak' | 'ldevid'): TpmPublic {
  const attributes: Check = `${which}-attributes`;
  const key = formed(attributes, () => readTpmPublic(fromBase64url(proof.public)));
  const fault = faultOfTpmKey(key, { restricted: which === 'lak' });
  if (fault !== undefined) refuse(attributes, fault);
  judgeCertified(
    `${which}-certified`,
    iak,
    key,
    fromBase64url(proof.certifyInfo),
    fromBase64url(proof.signature),
    nonce,
  );
  return key;
}
