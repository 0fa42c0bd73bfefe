import { encode } from '../../src/tpm/codec.ts';
import type { AuthRole, Command } from '../../src/tpm/command.ts';
import { encryptableRequest, encryptableResponse, rolesOf } from '../../src/tpm/command.ts';
import type { TPMS_AUTH_COMMAND as AuthCommand } from '../../src/tpm/structures.ts';
import { TPM_RH, TPMA_SESSION } from '../../src/tpm/structures.ts';
import type { Entity } from './entity.ts';
import { mostSessions } from './limits.ts';
import type { Machine } from './machine.ts';
import { RC, Refusal, sessionRefused } from './refusal.ts';
import type { Session } from './session.ts';
import { isBoundTo, SESSION } from './session.ts';

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

/**
 * The sessions of a command, matched with the handles they authorise, as far as they can be checked without looking
 * at what they prove (Part 3 §5.5).
 *
 * @throws Refusal
 */
export function authorizationsOf(
  chip: Machine,
  command: Command,
  sent: readonly AuthCommand[],
  entities: readonly Entity[],
): Authorization[] {
  const roles = rolesOf(command);
  const authorizations: Authorization[] = [];
  for (const [i, one] of sent.entries()) {
    const number = i + 1;
    const attributes = encode(TPMA_SESSION, one.sessionAttributes)[0] ?? 0;
    const session = sessionOf(chip, one, attributes, number);
    const role = roles[i];
    const entity = role === undefined ? undefined : entities[i];
    const fresh = {
      number,
      sent: one,
      attributes,
      session,
      entity,
      role,
      includesAuth: includesAuth(session, entity),
    };
    if (session !== undefined) checkSharing(chip, command, session, fresh, authorizations);
    authorizations.push(fresh);
  }
  if (sent.length < roles.length) throw new Refusal(RC.AUTH_MISSING);
  return authorizations;
}

/** The session with the attribute, of which there is at most one. */
export function having(
  authorizations: readonly Authorization[],
  attribute: number,
): Authorization | undefined {
  return authorizations.find(
    ({ session, attributes }) => session !== undefined && (attributes & attribute) !== 0,
  );
}

function sessionOf(
  chip: Machine,
  { sessionHandle, nonce }: AuthCommand,
  attributes: number,
  number: number,
): Session | undefined {
  if (sessionHandle === TPM_RH.password) {
    const others =
      SESSION.decrypt | SESSION.encrypt | SESSION.audit | SESSION.auditExclusive | SESSION.auditReset;
    if (attributes & others) throw sessionRefused(RC.ATTRIBUTES, number);
    if (nonce.length !== 0) throw sessionRefused(RC.NONCE, number);
    return undefined;
  }
  if ((sessionHandle & 0xffffff) >= mostSessions) throw sessionRefused(RC.VALUE, number);
  const session = chip.sessions.get(sessionHandle);
  if (session !== undefined) return session;
  // Sessions of both kinds are numbered together: the number is right, the kind is not.
  const sameNumber = [...chip.sessions.keys()].some((handle) => ((handle ^ sessionHandle) & 0xffffff) === 0);
  throw sameNumber ? sessionRefused(RC.HANDLE, number) : new Refusal(RC.REFERENCE_S0 + number - 1);
}

function includesAuth(session: Session | undefined, entity: Entity | undefined): boolean {
  if (session === undefined || entity === undefined) return false;
  if (session.type === 'policy') return session.policy.authValueNeeded;
  return !isBoundTo(session, entity.name, entity.auth);
}

/** No session comes twice, no two encrypt or audit, and what they are asked for they can do (Part 2 §8.4). */
function checkSharing(
  chip: Machine,
  command: Command,
  session: Session,
  { attributes, number }: Authorization,
  before: readonly Authorization[],
): void {
  if (before.some((other) => other.session === session)) throw sessionRefused(RC.HANDLE, number);
  const refuseUnless = (may: boolean, code: number) => {
    if (!may) throw sessionRefused(code, number);
  };
  if (attributes & SESSION.decrypt) {
    refuseUnless(encryptableRequest(command) && having(before, SESSION.decrypt) === undefined, RC.ATTRIBUTES);
    refuseUnless(session.cipher !== undefined, RC.SYMMETRIC);
  }
  if (attributes & SESSION.encrypt) {
    refuseUnless(
      encryptableResponse(command) && having(before, SESSION.encrypt) === undefined,
      RC.ATTRIBUTES,
    );
    refuseUnless(session.cipher !== undefined, RC.SYMMETRIC);
  }
  if (attributes & SESSION.audit) {
    refuseUnless(having(before, SESSION.audit) === undefined && session.type === 'hmac', RC.ATTRIBUTES);
    const goesOn = !(attributes & SESSION.auditReset) && session.auditDigest !== undefined;
    if (goesOn && attributes & SESSION.auditExclusive && chip.exclusiveAudit !== session.handle)
      throw new Refusal(RC.EXCLUSIVE);
  } else {
    refuseUnless((attributes & (SESSION.auditExclusive | SESSION.auditReset)) === 0, RC.ATTRIBUTES);
  }
}
