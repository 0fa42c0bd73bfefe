import { u32 } from '../../../src/core/bytes.ts';
import { TPM2_PolicySecret, TPM2_PolicySigned, TPM2_PolicyTicket } from '../../../src/tpm/commands.ts';
import { digest } from '../crypto/hash.ts';
import { entityOf, objectOf, policySessionOf } from '../entity.ts';
import { handler } from '../handler.ts';
import {
  checkLimits,
  expiryOf,
  hierarchyOfEntity,
  readTimeout,
  takeLimits,
  ticketAnswer,
} from '../policy-authority.ts';
import { extendPolicyBy } from '../policy-state.ts';
import { handleRefused, parameterRefused, RC } from '../refusal.ts';
import { checkAuthTicket } from '../tickets.ts';
import { signatureFault } from '../verify.ts';

const numbers = { nonceTPM: 1, cpHashA: 2, expiresAt: 4 };

/** Part 3 §23.3 to §23.5: somebody else agrees, by a signature, by a secret, or did so before, as a ticket shows. */
export const policySignedHandlers = [
  handler(TPM2_PolicySigned, (chip, request) => {
    const { authObject, policySession, nonceTPM, cpHashA, policyRef, expiration, auth } = request;
    const key = objectOf(chip, authObject, 1);
    const session = policySessionOf(chip, policySession, 2);
    if (auth.sigAlg === 'null') throw parameterRefused(RC.SCHEME, 5);
    const real = session.type === 'policy';
    const expiresAt = real ? expiryOf(chip, session, expiration, nonceTPM) : undefined;
    if (real) {
      checkLimits(chip, session, { nonceTPM, cpHashA, expiresAt, numbers });
      const hash = auth.sigAlg === 'hmac' ? auth.hmac.hashAlg : auth.hash;
      const fault = signatureFault(
        key,
        digest(hash, nonceTPM, u32(expiration >>> 0), cpHashA, policyRef),
        auth,
      );
      if (fault !== undefined) throw parameterRefused(fault, 5);
    }
    extendPolicyBy(session, TPM2_PolicySigned.code, key.name, policyRef);
    takeLimits(session, cpHashA, expiresAt);
    if (expiration >= 0 || expiresAt === undefined) return ticketAnswer(chip, 'authSigned', undefined);
    const authorized = { expiresAt, untilReset: nonceTPM.length === 0, cpHashA, policyRef, name: key.name };
    return ticketAnswer(chip, 'authSigned', { hierarchy: key.hierarchy, authorized });
  }),

  handler(TPM2_PolicySecret, (chip, request) => {
    const { authHandle, policySession, nonceTPM, cpHashA, policyRef, expiration } = request;
    const entity = entityOf(chip, authHandle, 1);
    const session = policySessionOf(chip, policySession, 2);
    const real = session.type === 'policy';
    const expiresAt = real ? expiryOf(chip, session, expiration, nonceTPM) : undefined;
    if (real) checkLimits(chip, session, { nonceTPM, cpHashA, expiresAt, numbers });
    const { name } = entity;
    extendPolicyBy(session, TPM2_PolicySecret.code, name, policyRef);
    takeLimits(session, cpHashA, expiresAt);
    // A ticket would use the PIN of a counting index more often than it counts.
    const counted = entity.nv?.publicArea.attributes.nt === 'pinPass';
    if (expiration >= 0 || expiresAt === undefined || counted)
      return ticketAnswer(chip, 'authSecret', undefined);
    const authorized = { expiresAt, untilReset: nonceTPM.length === 0, cpHashA, policyRef, name };
    return ticketAnswer(chip, 'authSecret', { hierarchy: hierarchyOfEntity(entity), authorized });
  }),

  handler(TPM2_PolicyTicket, (chip, request) => {
    const { policySession, timeout, cpHashA, policyRef, authName, ticket } = request;
    const session = policySessionOf(chip, policySession, 1);
    const tag = ticket.tag === 'authSigned' ? 'authSigned' : 'authSecret';
    // In a trial nobody authorises, so nobody did so before.
    if (session.type === 'trial') throw handleRefused(RC.ATTRIBUTES, 1);
    if (timeout.length !== 8) throw parameterRefused(RC.SIZE, 1);
    const { expiresAt, untilReset } = readTimeout(timeout);
    checkLimits(chip, session, {
      nonceTPM: undefined,
      cpHashA,
      expiresAt: expiresAt === 0 ? undefined : expiresAt,
      numbers: { nonceTPM: 0, cpHashA: 2, expiresAt: 1 },
    });
    const authorized = { tag, expiresAt, untilReset, cpHashA, policyRef, name: authName } as const;
    if (!checkAuthTicket(chip, ticket, authorized)) throw parameterRefused(RC.TICKET, 5);
    const code = tag === 'authSigned' ? TPM2_PolicySigned.code : TPM2_PolicySecret.code;
    extendPolicyBy(session, code, authName, policyRef);
    takeLimits(session, cpHashA, expiresAt);
    return {};
  }),
];
