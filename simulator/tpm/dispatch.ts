import { concat, u32 } from '../../src/core/bytes.ts';
import {
  decodeParameters,
  encodeRefusal,
  encodeResponse,
  encodeResponseParameters,
  handlesByName,
  OperandError,
  readHeader,
  responseHandles,
  splitCommand,
} from '../../src/tpm/chip-framing.ts';
import { CodecError, Reader } from '../../src/tpm/codec.ts';
import type { Command } from '../../src/tpm/command.ts';
import { encryptableRequest, encryptableResponse, rolesOf } from '../../src/tpm/command.ts';
import { HEADER_SIZE, NO_SESSIONS, SESSIONS } from '../../src/tpm/framing.ts';
import type { TPMS_AUTH_RESPONSE as AuthResponse } from '../../src/tpm/structures.ts';
import type { Authorization } from './authorization.ts';
import { authorizationsOf, checkAuthorizations } from './authorization.ts';
import { digest } from './crypto/hash.ts';
import type { Entity } from './entity.ts';
import { entityOf } from './entity.ts';
import { handlers } from './handlers/index.ts';
import { isTaken } from './kinds.ts';
import type { Machine } from './machine.ts';
import { operandCode } from './operand.ts';
import { handleRefused, parameterRefused, RC, Refusal, sessionRefused } from './refusal.ts';
import type { Session } from './session.ts';
import { decryptParameter, encryptParameter, freshPolicy, SESSION, sessionHmac } from './session.ts';

const none = new Uint8Array();
/** TPM_PT_MAX_COMMAND_SIZE. */
const largestCommand = 4096;

/** Commands that change nothing which TPM2_Shutdown has put in order; after any other one its work is void. */
const keepsShutdown: ReadonlySet<string> = new Set([
  'TPM2_Shutdown',
  'TPM2_GetCapability',
  'TPM2_GetRandom',
  'TPM2_GetTestResult',
  'TPM2_ReadClock',
  'TPM2_PCR_Read',
  'TPM2_ReadPublic',
  'TPM2_NV_ReadPublic',
]);

/** One command, one response (Part 3 §5): whatever the bytes, the answer is well formed. */
export function execute(chip: Machine, bytes: Uint8Array): Uint8Array {
  try {
    return perform(chip, bytes);
  } catch (error) {
    if (error instanceof Refusal) return encodeRefusal(error.code);
    if (error instanceof OperandError) return encodeRefusal(operandCode(error));
    if (error instanceof CodecError) return encodeRefusal(RC.SIZE);
    // A mistake of ours: a chip would enter failure mode; the caller learns that nothing was done.
    return encodeRefusal(RC.FAILURE);
  }
}

function perform(chip: Machine, bytes: Uint8Array): Uint8Array {
  const { tag, size, code } = readHeader(bytes);
  if (tag !== NO_SESSIONS && tag !== SESSIONS) throw new Refusal(RC.BAD_TAG);
  if (size !== bytes.length || size > largestCommand) throw new Refusal(RC.COMMAND_SIZE);
  const handler = handlers().get(code);
  if (handler === undefined) throw new Refusal(RC.COMMAND_CODE);
  const { command } = handler;
  if (!chip.powered || chip.started === (command.name === 'TPM2_Startup')) throw new Refusal(RC.INITIALIZE);
  const entities = entitiesOf(chip, command, bytes);
  const { handles, sessions, parameters: sent } = splitCommand(command, bytes);
  const authorizations = authorizationsOf(chip, sessions, entities, rolesOf(command));
  checkEncryption(command, authorizations);
  const names = entities.map((entity) => entity.name);
  checkAuthorizations(chip, command, authorizations, (session) =>
    digest(session.hash, u32(code), ...names, sent),
  );
  const inClear = cryptFirst(authorizations, SESSION.decrypt, sent, (session, one, data) =>
    decryptParameter(session, one.entity?.auth ?? none, one.sent.nonce, session.nonceTpm, data),
  );
  const request = { ...handlesByName(command, handles), ...decodeParameters(command, inClear) };
  const response = handler.run(chip, request);
  if (chip.shutdown !== null && !keepsShutdown.has(command.name)) {
    chip.shutdown = null;
    chip.dirty = true;
  }
  const out = encodeResponseParameters(command, response);
  const handlesOut = responseHandles(command, response);
  if (tag === NO_SESSIONS) return encodeResponse(handlesOut, out, undefined);
  const { parameters, answers } = answer(chip, command, authorizations, out);
  return encodeResponse(handlesOut, parameters, answers);
}

/** What the handles of a command stand for; checked before its sessions are looked at (Part 3 §5.4). */
function entitiesOf(chip: Machine, command: Command, bytes: Uint8Array): Entity[] {
  const from = new Reader(bytes, HEADER_SIZE);
  const handles = Object.keys(command.handles).map((key, i) => {
    if (from.remaining < 4) throw handleRefused(RC.INSUFFICIENT, i + 1);
    const handle = from.u32();
    if (!isTaken(chip, command, key, handle)) throw handleRefused(RC.VALUE, i + 1);
    return handle;
  });
  const entities = handles.map((handle, i) => entityOf(chip, handle, i + 1));
  // The shortest session, a password without characters, has nine bytes.
  if (readHeader(bytes).tag === SESSIONS && (from.remaining < 4 || from.u32() < 9))
    throw new Refusal(RC.SIZE);
  return entities;
}

/** Encrypts the response and signs it with every session, whose nonces roll (Part 1 §19.6). */
function answer(
  chip: Machine,
  command: Command,
  authorizations: readonly Authorization[],
  out: Uint8Array,
): { readonly parameters: Uint8Array; readonly answers: readonly AuthResponse[] } {
  for (const { session } of authorizations)
    if (session !== undefined) session.nonceTpm = chip.random.bytes(session.nonceSize);
  const parameters = cryptFirst(authorizations, SESSION.encrypt, out, (session, one, data) =>
    encryptParameter(session, authAfter(chip, one), session.nonceTpm, one.sent.nonce, data),
  );
  const answers = authorizations.map((one): AuthResponse => {
    const { session, sent, attributes } = one;
    if (session === undefined)
      return { nonce: none, sessionAttributes: { continueSession: true }, hmac: none };
    const rpHash = digest(session.hash, u32(0), u32(command.code), parameters);
    const auth = one.includesAuth ? authAfter(chip, one) : none;
    const hmac = isSilent(one, session)
      ? none
      : sessionHmac(session, auth, rpHash, session.nonceTpm, sent.nonce, none, attributes);
    return { nonce: session.nonceTpm, sessionAttributes: sent.sessionAttributes, hmac };
  });
  for (const { session, entity, attributes } of authorizations) {
    if (session === undefined) continue;
    if ((attributes & SESSION.continueSession) === 0) chip.sessions.delete(session.handle);
    // What a policy session had collected is spent with its use.
    else if (session.type === 'policy' && entity !== undefined) session.policy = freshPolicy(session.hash);
  }
  return { parameters, answers };
}

/** The key of a response is the auth value after the command: TPM2_HierarchyChangeAuth answers with the new one. */
function authAfter(chip: Machine, { entity, number }: Authorization): Uint8Array {
  if (entity === undefined) return none;
  try {
    return entityOf(chip, entity.handle, number).auth;
  } catch (error) {
    // The command removed it.
    if (error instanceof Refusal) return entity.auth;
    throw error;
  }
}

/** A policy session that proved nothing by an HMAC is not answered with one (Part 1 §19.6.5). */
function isSilent({ sent, entity }: Authorization, session: Session): boolean {
  if (session.type !== 'policy' || entity === undefined) return false;
  return session.policy.passwordNeeded || (session.key.length === 0 && sent.hmac.length === 0);
}

/** The parameter area with its first parameter's content through `crypt`, if a session has the attribute. */
function cryptFirst(
  authorizations: readonly Authorization[],
  attribute: number,
  area: Uint8Array,
  crypt: (session: Session, one: Authorization, data: Uint8Array) => Uint8Array,
): Uint8Array {
  const one = authorizations.find(({ attributes }) => (attributes & attribute) !== 0);
  if (one?.session === undefined) return area;
  const size = ((area[0] ?? 0) << 8) | (area[1] ?? 0);
  if (area.length < 2 + size) throw parameterRefused(RC.SIZE, 1);
  return concat(
    area.subarray(0, 2),
    crypt(one.session, one, area.slice(2, 2 + size)),
    area.subarray(2 + size),
  );
}

/** Only a first parameter with a size of its own can be encrypted (Part 1 §21.1). */
function checkEncryption(command: Command, authorizations: readonly Authorization[]): void {
  for (const { attributes, number } of authorizations) {
    if (attributes & SESSION.decrypt && !encryptableRequest(command))
      throw sessionRefused(RC.ATTRIBUTES, number);
    if (attributes & SESSION.encrypt && !encryptableResponse(command))
      throw sessionRefused(RC.ATTRIBUTES, number);
  }
}
