import {
  TPM2_ContextLoad,
  TPM2_ContextSave,
  TPM2_FlushContext,
  TPM2_StartAuthSession,
} from '../../../src/tpm/commands.ts';
import type { TPMT_SYM_DEF as SymDef } from '../../../src/tpm/structures.ts';
import { TPM_HT, TPM_RH } from '../../../src/tpm/structures.ts';
import { loadContext, saveObjectContext, saveSequenceContext, saveSessionContext } from '../context.ts';
import { digestSize } from '../crypto/hash.ts';
import type { Entity } from '../entity.ts';
import { entityOf, objectOf, sequenceOf } from '../entity.ts';
import { handler } from '../handler.ts';
import { mostSessions } from '../limits.ts';
import type { Machine } from '../machine.ts';
import { isPin } from '../nv-access.ts';
import { freshPolicy } from '../policy-state.ts';
import { handleRefused, parameterRefused, RC } from '../refusal.ts';
import { openSecret } from '../secret.ts';
import type { Session, SessionCipher } from '../session.ts';
import { boundTo, sessionKey } from '../session.ts';
import { flushSession, newSessionHandle } from '../slots.ts';

const none = new Uint8Array();

/** Part 3 §11.1 and §28: sessions begin, contexts leave and come back. */
export const sessionHandlers = [
  handler(TPM2_StartAuthSession, (chip, request) => {
    const { tpmKey, bind, nonceCaller, encryptedSalt, sessionType, symmetric, authHash } = request;
    if (nonceCaller.length < 16 || nonceCaller.length > digestSize(authHash))
      throw parameterRefused(RC.SIZE, 1);
    const salt = saltOf(chip, tpmKey, encryptedSalt);
    const bound = bindOf(chip, bind);
    const handle = newSessionHandle(chip, sessionType);
    const nonceTpm = chip.random.bytes(nonceCaller.length);
    const keyed = salt !== undefined || bound !== undefined;
    chip.sessions.set(handle, {
      handle,
      type: sessionType,
      hash: authHash,
      cipher: cipherOf(symmetric),
      key: keyed ? sessionKey(authHash, bound?.auth ?? none, salt ?? none, nonceTpm, nonceCaller) : none,
      bound: bound && sessionType === 'hmac' ? boundTo(bound.name, bound.auth) : undefined,
      guarded: guardOf(bound),
      nonceSize: nonceCaller.length,
      startedAt: chip.time,
      startedIn: chip.timeEpoch,
      nonceTpm,
      policy: freshPolicy(authHash),
      auditDigest: undefined,
    });
    return { sessionHandle: handle, nonceTPM: nonceTpm };
  }),

  handler(TPM2_ContextSave, (chip, { saveHandle }) => {
    const sequence = sequenceOf(chip, saveHandle);
    if (sequence !== undefined) return { context: saveSequenceContext(chip, sequence) };
    const { object } = entityOf(chip, saveHandle, 1);
    if (object !== undefined) {
      if (saveHandle >>> 24 !== TPM_HT.transient) throw handleRefused(RC.VALUE, 1);
      return { context: saveObjectContext(chip, object) };
    }
    const session = chip.sessions.get(saveHandle);
    if (session === undefined) throw handleRefused(RC.VALUE, 1);
    return { context: saveSessionContext(chip, session) };
  }),

  handler(TPM2_ContextLoad, (chip, { context }) => ({ loadedHandle: loadContext(chip, context) })),

  handler(TPM2_FlushContext, (chip, { flushHandle }) => {
    switch (flushHandle >>> 24) {
      case TPM_HT.hmacSession:
      case TPM_HT.policySession:
        if ((flushHandle & 0xffffff) >= mostSessions) throw parameterRefused(RC.VALUE, 1);
        if (!flushSession(chip, flushHandle)) throw parameterRefused(RC.HANDLE, 1);
        return {};
      case TPM_HT.transient:
        if ((flushHandle & 0xffffff) >= chip.slots) throw parameterRefused(RC.VALUE, 1);
        if (!chip.objects.delete(flushHandle) && !chip.sequences.delete(flushHandle))
          throw parameterRefused(RC.HANDLE, 1);
        return {};
      default:
        throw parameterRefused(RC.VALUE, 1);
    }
  }),
];

function bindOf(chip: Machine, bind: number): Entity | undefined {
  if (bind === TPM_RH.null) return undefined;
  const entity = entityOf(chip, bind, 2);
  if (entity.kind === 'session') throw handleRefused(RC.VALUE, 2);
  // Each use of its auth value counts, and a session would use it unseen (Part 3 §11.1).
  if (entity.nv !== undefined && isPin(entity.nv.publicArea.attributes.nt)) throw handleRefused(RC.HANDLE, 2);
  if (entity.object !== undefined && entity.object.sensitive === undefined) throw handleRefused(RC.HANDLE, 2);
  return entity;
}

function guardOf(bound: Entity | undefined): Session['guarded'] {
  if (bound?.guarded !== true) return 'no';
  return bound.handle === TPM_RH.lockout ? 'lockoutAuth' : 'entity';
}

function saltOf(chip: Machine, tpmKey: number, encryptedSalt: Uint8Array): Uint8Array | undefined {
  const none = encryptedSalt.length === 0;
  if (tpmKey === TPM_RH.null) {
    if (!none) throw parameterRefused(RC.VALUE, 2);
    return undefined;
  }
  const key = objectOf(chip, tpmKey, 1);
  const { type, objectAttributes } = key.publicArea;
  if (type !== 'rsa' && type !== 'ecc') throw handleRefused(RC.KEY, 1);
  if (none) throw parameterRefused(RC.VALUE, 2);
  if (key.sensitive === undefined) throw handleRefused(RC.HANDLE, 1);
  if (!objectAttributes.decrypt) throw handleRefused(RC.ATTRIBUTES, 1);
  const salt = openSecret(key, 'SECRET', encryptedSalt);
  // Why it cannot be read is not told.
  if (typeof salt === 'number') throw parameterRefused(RC.VALUE, 2);
  return salt;
}

function cipherOf(symmetric: SymDef): SessionCipher | undefined {
  switch (symmetric.algorithm) {
    case 'null':
      return undefined;
    case 'xor':
      return { kind: 'xor' };
    case 'aes':
      if (symmetric.mode !== 'cfb') throw parameterRefused(RC.MODE, 4);
      return { kind: 'aes', keyBits: symmetric.keyBits };
  }
}
