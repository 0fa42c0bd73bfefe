import { concat, equal } from '../../src/core/bytes.ts';
import { TPM_RH } from '../../src/tpm/structures.ts';
import type { Authorization } from './authorization.ts';
import { having } from './authorization.ts';
import { hasAuthValue, hasPolicy, needsPolicy } from './availability.ts';
import { withoutTrailingZeros } from './create.ts';
import type { Entity } from './entity.ts';
import type { Invocation } from './invocation.ts';
import { cpHash } from './invocation.ts';
import { countFailure, isLockoutAuthOpen, useGuarded } from './lockout.ts';
import type { Machine } from './machine.ts';
import { countPin } from './nv-access.ts';
import { enforcePolicy } from './policy-enforcement.ts';
import { needPresence } from './presence.ts';
import { RC, Refusal, sessionRefused } from './refusal.ts';
import type { Session } from './session.ts';
import { SESSION, sessionHmac } from './session.ts';

const none = new Uint8Array();

/** Checks what every session of a command proves, one after the other (Part 1 §19, Part 3 §5.6). @throws Refusal */
export function checkAuthorizations(
  chip: Machine,
  invocation: Invocation,
  authorizations: readonly Authorization[],
): void {
  for (const one of authorizations) {
    const { session, entity, number, attributes } = one;
    if (session === undefined) {
      if (entity === undefined) throw sessionRefused(RC.HANDLE, number);
    } else {
      // A trial session tells what a policy would be; it authorises nothing.
      if (session.type === 'trial') throw sessionRefused(RC.ATTRIBUTES, number);
      if (session.guarded !== 'no') refuseWhenLocked(chip, session.guarded === 'lockoutAuth');
    }
    if (entity !== undefined) checkMeans(chip, invocation, one, entity);
    else if ((attributes & (SESSION.audit | SESSION.encrypt | SESSION.decrypt)) === 0)
      throw sessionRefused(RC.ATTRIBUTES, number);
    const pin = usesAuth(one) ? entity?.nv : undefined;
    try {
      checkProof(chip, invocation, one, authorizations);
    } catch (error) {
      if (pin !== undefined) countPin(chip, pin, false);
      throw error;
    }
    if (pin !== undefined) countPin(chip, pin, true);
  }
}

/** Whether the entity's auth value is tried: by a password, by an HMAC it is in, or because its policy wants it. */
function usesAuth({ session, includesAuth }: Authorization): boolean {
  return (
    session === undefined || includesAuth || (session.type === 'policy' && session.policy.passwordNeeded)
  );
}

/** Whether this kind of authorization can authorise this entity, now and in this role; and whether its policy is met. */
function checkMeans(chip: Machine, invocation: Invocation, one: Authorization, entity: Entity): void {
  const { session, role, number } = one;
  needPresence(chip, invocation.command.code, entity.handle, number);
  const byPolicy = session?.type === 'policy';
  if (usesAuth(one) && entity.guarded) refuseWhenLocked(chip, entity.handle === TPM_RH.lockout);
  if (!byPolicy) {
    if (needsPolicy(entity, role)) throw new Refusal(RC.AUTH_TYPE);
    if (!hasAuthValue(invocation, entity, role)) throw new Refusal(RC.AUTH_UNAVAILABLE);
    return;
  }
  if (!hasPolicy(invocation, entity, role)) throw new Refusal(RC.AUTH_UNAVAILABLE);
  enforcePolicy(chip, invocation, session, entity, role, number);
}

function refuseWhenLocked(chip: Machine, ofLockoutAuth: boolean): void {
  if (!ofLockoutAuth) useGuarded(chip);
  else if (!isLockoutAuthOpen(chip)) throw new Refusal(RC.LOCKOUT);
}

/** The password is right, or the HMAC is. */
function checkProof(
  chip: Machine,
  invocation: Invocation,
  one: Authorization,
  all: readonly Authorization[],
): void {
  const { session, entity, sent } = one;
  if (session === undefined || (entity !== undefined && session.policy.passwordNeeded)) {
    if (entity === undefined || !equal(withoutTrailingZeros(sent.hmac), entity.auth)) throw failed(chip, one);
    return;
  }
  const auth = one.includesAuth && entity !== undefined ? entity.auth : none;
  if (isKeyless(session, auth) && sent.hmac.length === 0) return;
  const hmac = sessionHmac(
    session,
    auth,
    cpHash(invocation, session.hash),
    sent.nonce,
    session.nonceTpm,
    othersNonces(one, all),
    one.attributes,
  );
  if (!equal(hmac, sent.hmac)) throw failed(chip, one);
}

/** An HMAC without key proves nothing; Part 1 §19.6.5 lets it be empty, then also in the response. */
export function isKeyless(session: Session, auth: Uint8Array): boolean {
  return session.key.length === 0 && auth.length === 0;
}

/** Nonces of the sessions that encrypt go into the HMAC of a first session that authorises, so that none is cut off. */
function othersNonces(one: Authorization, all: readonly Authorization[]): Uint8Array {
  if (one.number !== 1 || one.entity === undefined) return none;
  const decrypting = having(all, SESSION.decrypt);
  const encrypting = having(all, SESSION.encrypt);
  const nonceOf = (other: Authorization | undefined) =>
    other === one ? none : (other?.session?.nonceTpm ?? none);
  return concat(nonceOf(decrypting), encrypting === decrypting ? none : nonceOf(encrypting));
}

/** Counts the failure when a guarded auth value was tried: the entity's, or that in the session's key. */
function failed(chip: Machine, one: Authorization): Refusal {
  const { session, entity, number } = one;
  const ofEntity = usesAuth(one) && entity?.guarded === true;
  const bound = session?.guarded ?? 'no';
  if (!ofEntity && bound === 'no') return sessionRefused(RC.BAD_AUTH, number);
  countFailure(chip, bound === 'lockoutAuth' || (ofEntity && entity?.handle === TPM_RH.lockout));
  return sessionRefused(RC.AUTH_FAIL, number);
}
