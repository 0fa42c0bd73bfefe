import { concat } from '../../src/core/bytes.ts';
import { decode } from '../../src/tpm/codec.ts';
import type { Command } from '../../src/tpm/command.ts';
import type { TPMS_AUTH_RESPONSE as AuthResponse } from '../../src/tpm/structures.ts';
import { TPMA_SESSION } from '../../src/tpm/structures.ts';
import { answeredAttributes, auditCommand, auditSession } from './audit.ts';
import type { Authorization } from './authorization.ts';
import { having } from './authorization.ts';
import { entityOf } from './entity.ts';
import type { Answered, Invocation } from './invocation.ts';
import { rpHash } from './invocation.ts';
import type { Machine } from './machine.ts';
import { freshPolicy } from './policy-state.ts';
import { isKeyless } from './proof.ts';
import { RC, Refusal, sessionRefused } from './refusal.ts';
import type { Session } from './session.ts';
import { decryptParameter, encryptParameter, SESSION, sessionHmac } from './session.ts';

const none = new Uint8Array();

/** Commands that come without sessions, whatever for (TPM_ST_NO_SESSIONS in the tables of Part 3). */
const withoutSessions: ReadonlySet<string> = new Set([
  'TPM2_Startup',
  'TPM2_ContextSave',
  'TPM2_ContextLoad',
  'TPM2_FlushContext',
]);

/** Whether a command may be accompanied by sessions. */
export function takesSessions(command: Command): boolean {
  return !withoutSessions.has(command.name);
}

/** The parameters of a command in clear (Part 1 §21). @throws Refusal SIZE. */
export function decrypted({ sent }: Invocation, authorizations: readonly Authorization[]): Uint8Array {
  const one = having(authorizations, SESSION.decrypt);
  if (one?.session === undefined) return sent;
  const { session, entity } = one;
  return cryptFirst(sent, one, (data) =>
    decryptParameter(session, entity?.auth ?? none, one.sent.nonce, session.nonceTpm, data),
  );
}

/** What goes back after success: nonces roll, the response is encrypted, audited and signed (Part 1 §19.6). */
export function answer(
  chip: Machine,
  invocation: Invocation,
  authorizations: readonly Authorization[],
  out: Uint8Array,
): { readonly parameters: Uint8Array; readonly answers: readonly AuthResponse[] } {
  const { command } = invocation;
  for (const { session } of authorizations)
    if (session !== undefined) session.nonceTpm = chip.random.bytes(session.nonceSize);
  const answered: Answered = { command, leaving: encrypted(chip, authorizations, out) };
  if (takesSessions(command)) auditSession(chip, invocation, answered, authorizations);
  auditCommand(chip, invocation, answered);
  const answers = authorizations.map((one) => answerOf(chip, answered, one));
  for (const { session, attributes } of authorizations)
    if (session !== undefined) settle(chip, session, attributes);
  return { parameters: answered.leaving, answers };
}

function encrypted(chip: Machine, authorizations: readonly Authorization[], out: Uint8Array): Uint8Array {
  const one = having(authorizations, SESSION.encrypt);
  if (one?.session === undefined) return out;
  const { session } = one;
  return cryptFirst(out, one, (data) =>
    encryptParameter(session, authAfter(chip, one), session.nonceTpm, one.sent.nonce, data),
  );
}

function answerOf(chip: Machine, answered: Answered, one: Authorization): AuthResponse {
  const { session, sent, entity } = one;
  if (session === undefined) return { nonce: none, sessionAttributes: { continueSession: true }, hmac: none };
  const attributes = answeredAttributes(chip, one);
  const auth = one.includesAuth ? authAfter(chip, one) : none;
  // What proved nothing by an HMAC is not answered with one.
  const silent =
    (entity !== undefined && session.policy.passwordNeeded) ||
    (isKeyless(session, auth) && sent.hmac.length === 0);
  const hmac = silent
    ? none
    : sessionHmac(
        session,
        auth,
        rpHash(answered, session.hash),
        session.nonceTpm,
        sent.nonce,
        none,
        attributes,
      );
  return {
    nonce: session.nonceTpm,
    sessionAttributes: decode(TPMA_SESSION, new Uint8Array([attributes])),
    hmac,
  };
}

/** A session ends with its use, or goes on; what a policy session had collected is spent either way. */
function settle(chip: Machine, session: Session, attributes: number): void {
  if ((attributes & SESSION.continueSession) === 0) {
    chip.sessions.delete(session.handle);
  } else if (session.type === 'policy') {
    session.policy = freshPolicy(session.hash);
    session.startedAt = chip.time;
    session.startedIn = chip.timeEpoch;
  }
}

/**
 * The key of a response is the auth value after the command: TPM2_HierarchyChangeAuth answers with the new one, and
 * TPM2_NV_UndefineSpaceSpecial, which leaves no index, with the empty one (Part 3 §24.8, §31.5).
 */
function authAfter(chip: Machine, { entity, number }: Authorization): Uint8Array {
  if (entity === undefined) return none;
  try {
    return entityOf(chip, entity.handle, number).auth;
  } catch (error) {
    // A sequence object that completed is gone too, but only now.
    if (error instanceof Refusal) return entity.nv === undefined ? entity.auth : none;
    throw error;
  }
}

/** The parameter area with its first parameter's content through `crypt`. */
function cryptFirst(
  area: Uint8Array,
  { number }: Authorization,
  crypt: (data: Uint8Array) => Uint8Array,
): Uint8Array {
  const size = ((area[0] ?? 0) << 8) | (area[1] ?? 0);
  if (area.length < 2) throw sessionRefused(RC.INSUFFICIENT, number);
  if (area.length < 2 + size) throw sessionRefused(RC.SIZE, number);
  return concat(area.subarray(0, 2), crypt(area.slice(2, 2 + size)), area.subarray(2 + size));
}
