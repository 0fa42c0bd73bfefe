import { concat, equal } from '../../src/core/bytes.ts';
import { encode } from '../../src/tpm/codec.ts';
import type { AuthRole, Command } from '../../src/tpm/command.ts';
import type { TPMS_AUTH_COMMAND as AuthCommand } from '../../src/tpm/structures.ts';
import { TPM_RH, TPMA_SESSION } from '../../src/tpm/structures.ts';
import { withoutTrailingZeros } from './create.ts';
import type { Entity } from './entity.ts';
import { countFailure, isLockoutAuthOpen, useGuarded } from './lockout.ts';
import type { Machine } from './machine.ts';
import { checkNvAuthority, countPin } from './nv-access.ts';
import { hasAuthority } from './pcr.ts';
import { needPresence } from './presence.ts';
import { RC, Refusal, sessionRefused } from './refusal.ts';
import type { Session } from './session.ts';
import { isBoundTo, SESSION, sessionHmac } from './session.ts';

const none = new Uint8Array();

/** One authorization of a command: how it came, and what it authorises. */
export interface Authorization {
  /** From 1. */
  readonly number: number;
  readonly sent: AuthCommand;
  /** TPMA_SESSION as sent. */
  readonly attributes: number;
  /** `undefined` for a password. */
  readonly session: Session | undefined;
  /** The handle it authorises; `undefined` when it only encrypts or audits. */
  readonly entity: Entity | undefined;
  readonly role: AuthRole | undefined;
  /** The entity's auth value is part of the session's HMAC key (Part 1 §19.6.5). */
  readonly includesAuth: boolean;
}

/** The sessions of a command, matched with the handles they authorise (Part 3 §5.5). */
export function authorizationsOf(
  chip: Machine,
  sent: readonly AuthCommand[],
  entities: readonly Entity[],
  roles: readonly AuthRole[],
): Authorization[] {
  if (sent.length < roles.length) throw new Refusal(RC.AUTH_MISSING);
  const authorizations = sent.map((one, i): Authorization => {
    const number = i + 1;
    const attributes = encode(TPMA_SESSION, one.sessionAttributes)[0] ?? 0;
    const entity = i < roles.length ? entities[i] : undefined;
    const common = { number, sent: one, attributes, entity, role: roles[i], includesAuth: false };
    if (one.sessionHandle === TPM_RH.password) {
      if (entity === undefined) throw sessionRefused(RC.HANDLE, number);
      const others =
        SESSION.decrypt | SESSION.encrypt | SESSION.audit | SESSION.auditExclusive | SESSION.auditReset;
      if (attributes & others) throw sessionRefused(RC.ATTRIBUTES, number);
      if (one.nonce.length !== 0) throw sessionRefused(RC.NONCE, number);
      return { ...common, session: undefined };
    }
    const session = chip.sessions.get(one.sessionHandle);
    if (session === undefined) {
      const type = one.sessionHandle >>> 24;
      if (type !== 2 && type !== 3) throw sessionRefused(RC.VALUE, number);
      throw new Refusal(RC.REFERENCE_S0 + i);
    }
    if (session.type === 'trial') throw sessionRefused(RC.ATTRIBUTES, number);
    return { ...common, session, includesAuth: includesAuth(session, entity) };
  });
  checkSharing(authorizations);
  return authorizations;
}

/**
 * Checks every authorization (Part 1 §19, Part 3 §5.6).
 *
 * @param cpHashOf cpHash with the session's hash, over the parameters as they came, possibly encrypted.
 * @throws Refusal
 */
export function checkAuthorizations(
  chip: Machine,
  command: Command,
  authorizations: readonly Authorization[],
  cpHashOf: (session: Session) => Uint8Array,
): void {
  const decrypting = authorizations.find((one) => one.attributes & SESSION.decrypt && one.session);
  const encrypting = authorizations.find((one) => one.attributes & SESSION.encrypt && one.session);
  for (const one of authorizations) {
    const { entity, session, number } = one;
    if (entity !== undefined) {
      checkKind(chip, command, one, entity);
      if (session === undefined) {
        checkPassword(chip, entity, one.sent.hmac, number);
        continue;
      }
      if (session.type === 'policy') {
        checkPolicy(chip, command, session, entity, one, cpHashOf);
        if (session.policy.passwordNeeded) {
          checkPassword(chip, entity, one.sent.hmac, number);
          continue;
        }
      }
    }
    if (session === undefined) continue;
    // Nonces of the sessions that encrypt go into the first session's HMAC, so that none can be cut off.
    const others =
      number === 1
        ? concat(
            decrypting && decrypting !== one ? (decrypting.session?.nonceTpm ?? none) : none,
            encrypting && encrypting !== one && encrypting !== decrypting
              ? (encrypting.session?.nonceTpm ?? none)
              : none,
          )
        : none;
    const auth = one.includesAuth && entity !== undefined ? entity.auth : none;
    const keyless = session.type === 'policy' && session.key.length === 0 && auth.length === 0;
    // A policy session without key proves nothing by an HMAC; Part 1 §19.6.5 lets it be empty.
    if (keyless && one.sent.hmac.length === 0) continue;
    const expected = sessionHmac(
      session,
      auth,
      cpHashOf(session),
      one.sent.nonce,
      session.nonceTpm,
      others,
      one.attributes,
    );
    if (session.guarded) useGuarded(chip);
    if (session.lockoutBound && !isLockoutAuthOpen(chip)) throw new Refusal(RC.LOCKOUT);
    const right = equal(expected, one.sent.hmac);
    if (entity?.nv !== undefined && one.includesAuth) countPin(chip, entity.nv, right);
    if (!right) throw failed(chip, entity, number, session);
  }
}

function includesAuth(session: Session, entity: Entity | undefined): boolean {
  if (entity === undefined) return false;
  if (session.type === 'policy') return session.policy.authValueNeeded;
  return !isBoundTo(session, entity.name, entity.auth);
}

/** No two sessions encrypt, none comes twice, and what encrypts has a cipher. */
function checkSharing(authorizations: readonly Authorization[]): void {
  const seen = new Set<number>();
  let decrypts = 0;
  let encrypts = 0;
  for (const { attributes, number, session } of authorizations) {
    if (session === undefined) continue;
    if (seen.has(session.handle)) throw sessionRefused(RC.HANDLE, number);
    seen.add(session.handle);
    if (attributes & SESSION.decrypt && ++decrypts > 1) throw sessionRefused(RC.ATTRIBUTES, number);
    if (attributes & SESSION.encrypt && ++encrypts > 1) throw sessionRefused(RC.ATTRIBUTES, number);
    if (attributes & (SESSION.decrypt | SESSION.encrypt) && session.cipher === undefined)
      throw sessionRefused(RC.SYMMETRIC, number);
    const audits = attributes & SESSION.audit;
    if (!audits && attributes & (SESSION.auditExclusive | SESSION.auditReset))
      throw sessionRefused(RC.ATTRIBUTES, number);
  }
}

/** Whether a session of this kind can authorise this entity in this role at all. */
function checkKind(
  chip: Machine,
  command: Command,
  { session, role, number }: Authorization,
  entity: Entity,
): void {
  needPresence(chip, command.code, entity.handle, number);
  const byPolicy = session?.type === 'policy';
  const provesAuth = !byPolicy || session.policy.authValueNeeded || session.policy.passwordNeeded;
  if (provesAuth && entity.handle === TPM_RH.lockout && !isLockoutAuthOpen(chip))
    throw new Refusal(RC.LOCKOUT);
  if (provesAuth && entity.handle !== TPM_RH.lockout && entity.guarded) useGuarded(chip);
  const adminByPolicy =
    entity.object?.publicArea.objectAttributes.adminWithPolicy === true && role === 'admin';
  if (!byPolicy && (adminByPolicy || role === 'dup')) throw new Refusal(RC.AUTH_TYPE);
  if (entity.object !== undefined && !byPolicy && role === 'user') {
    if (entity.object.publicArea.objectAttributes.userWithAuth !== true)
      throw new Refusal(RC.AUTH_UNAVAILABLE);
  }
  if (entity.object !== undefined && entity.object.sensitive === undefined && role === 'user')
    throw new Refusal(RC.AUTH_UNAVAILABLE);
  if (entity.nv !== undefined) checkNvAuthority(entity.nv, command.name, role, byPolicy);
  if (entity.kind === 'pcr') {
    // A PCR with a policy has no other authority (Part 1 §19.2).
    if (!byPolicy && entity.policyAlg !== 'null') throw new Refusal(RC.AUTH_TYPE);
    if (byPolicy && !hasAuthority(entity.handle)) throw new Refusal(RC.AUTH_UNAVAILABLE);
  } else if (byPolicy && entity.policy.length === 0) throw new Refusal(RC.AUTH_UNAVAILABLE);
}

function checkPassword(chip: Machine, entity: Entity, password: Uint8Array, number: number): void {
  const right = equal(withoutTrailingZeros(password), entity.auth);
  if (entity.nv !== undefined) countPin(chip, entity.nv, right);
  if (!right) throw failed(chip, entity, number);
}

function failed(chip: Machine, entity: Entity | undefined, number: number, session?: Session): Refusal {
  const ofLockout = entity?.handle === TPM_RH.lockout || session?.lockoutBound === true;
  if (entity?.guarded !== true && session?.guarded !== true && !ofLockout)
    return sessionRefused(RC.BAD_AUTH, number);
  countFailure(chip, ofLockout);
  return sessionRefused(RC.AUTH_FAIL, number);
}

/** Whether the assertions collected satisfy the entity's policy for this very command (Part 1 §19.7). */
function checkPolicy(
  chip: Machine,
  command: Command,
  session: Session,
  entity: Entity,
  { role, number }: Authorization,
  cpHashOf: (session: Session) => Uint8Array,
): void {
  const { policy } = session;
  if (policy.expiresAt !== undefined && chip.time > policy.expiresAt)
    throw sessionRefused(RC.EXPIRED, number);
  if (policy.cpHash !== undefined && !equal(policy.cpHash, cpHashOf(session)))
    throw sessionRefused(RC.POLICY_FAIL, number);
  if (policy.commandCode !== undefined) {
    if (policy.commandCode !== command.code) throw sessionRefused(RC.POLICY_CC, number);
  } else if (role !== 'user') {
    // ADMIN and DUP need a policy that names the command (Part 1 §19.2).
    throw sessionRefused(RC.POLICY_FAIL, number);
  }
  if (policy.pcrCounter !== undefined && policy.pcrCounter !== chip.pcrUpdateCounter)
    throw new Refusal(RC.PCR_CHANGED);
  if (session.hash !== entity.policyAlg || !equal(policy.digest, entity.policy))
    throw sessionRefused(RC.POLICY_FAIL, number);
}
