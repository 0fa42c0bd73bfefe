import { readTpmPublic } from '../attestation/tpm-key.ts';
import { fromBase64url, fromHex, hex } from '../core/bytes.ts';
import { thumbprint, verifySignature } from '../core/signer.ts';
import { judgeAibom } from './aibom.ts';
import { renewalBytes, renewalQualifier, verifyKeys } from './keys.ts';
import type { CredentialsMessage, RenewRequest } from './messages.ts';
import { refuse } from './refuse.ts';
import { aibomOf, appraise } from './registrar-activate.ts';
import { judgeEndorsement } from './registrar-begin.ts';
import type { RenewState } from './registrar-challenge.ts';
import { issueCredentials } from './registrar-issue.ts';
import type { RegistrarOptions } from './registrar-options.ts';
import type { DeviceRecord } from './registrar-store.ts';

/** An enrolled device that is not revoked. @throws {EnrolmentRefused} `unknown-device` or `revoked` */
export async function enrolled(options: RegistrarOptions, agentId: string): Promise<DeviceRecord> {
  const device = await options.store.device(agentId);
  if (device === undefined) return refuse('unknown-device', 'it is not enrolled here');
  if (device.status === 'revoked') refuse('revoked', 'its owner revoked it');
  return device;
}

/**
 * Judges a renewal: evidence by the LAK, request by the LDevID, fresh software keys, posture appraised anew. How long
 * the old credential has been expired does not matter: a robot that was away for a month is not bricked.
 *
 * @throws {EnrolmentRefused} naming the check.
 */
export async function renew(
  options: RegistrarOptions,
  request: RenewRequest,
  challenge: RenewState & { readonly nonceBytes: Uint8Array },
): Promise<CredentialsMessage> {
  const at = options.platform.clock.now();
  if (request.agent !== challenge.agentId) refuse('challenge', 'it was made for another agent');
  const device = await enrolled(options, request.agent);
  const { signature, ...unsigned } = request;
  if (!verifySignature(device.ldevidJwk, renewalBytes(unsigned), fromBase64url(signature)))
    refuse('renewal-signature', 'the LDevID of this agent did not sign the request');
  const nonce = challenge.nonceBytes;
  const thumbprints = verifyKeys(request.keys, nonce);

  const aibomBytes = fromBase64url(request.aibom ?? device.aibomBytes);
  const endorsement = request.endorsement ?? device.endorsement;
  const endorsed = judgeEndorsement(options, endorsement, aibomBytes, device.maker, device.model, at);
  if (device.capabilities.some((name) => !endorsed.capabilities.includes(name)))
    refuse('endorsement', 'the provider no longer endorses what this agent offers');
  judgeAibom(aibomBytes, options.aibomRules);
  const aibom = aibomOf(aibomBytes);

  const appraisal = await appraise(options, {
    evidence: request.evidence,
    key: readTpmPublic(fromHex(device.lak)),
    qualifier: renewalQualifier({ nonce, agentId: device.agentId, thumbprints }),
    nonce,
    agentId: device.agentId,
    ldevid: thumbprint(device.ldevidJwk),
    aibom,
    previous: device.tpmClock,
    genuineHardware: !device.simulated,
    at,
  });
  const updated = await options.store.updateDevice({
    ...device,
    aibom: hex(aibom.digest),
    aibomBytes: request.aibom ?? device.aibomBytes,
    endorsement,
    tpmClock: appraisal.clock,
    renewedAt: at,
  });
  if (!updated) refuse('revoked', 'its owner revoked it meanwhile');
  return await issueCredentials(options, {
    agentId: device.agentId,
    capabilities: device.capabilities,
    ldevid: device.ldevidJwk,
    keys: request.keys,
    ear: appraisal.ear,
    at,
  });
}
