import {
  decodeRequest,
  encodeRefusal,
  encodeResponse,
  encodeResponseParameters,
  OperandError,
  readHeader,
  responseHandles,
  splitCommand,
} from '../../src/tpm/chip-framing.ts';
import { CodecError, Reader } from '../../src/tpm/codec.ts';
import type { Command } from '../../src/tpm/command.ts';
import { entriesOf, HEADER_SIZE, NO_SESSIONS, SESSIONS } from '../../src/tpm/framing.ts';
import { answer, decrypted, takesSessions } from './answer.ts';
import { authorizationsOf } from './authorization.ts';
import type { Entity } from './entity.ts';
import { entityOf } from './entity.ts';
import { handlers } from './handlers/index.ts';
import type { Invocation } from './invocation.ts';
import { isTaken } from './kinds.ts';
import type { Machine } from './machine.ts';
import { operandCode } from './operand.ts';
import { undoesShutdown } from './orderly.ts';
import { checkAuthorizations } from './proof.ts';
import { handleRefused, RC, Refusal } from './refusal.ts';

/** TPM_PT_MAX_COMMAND_SIZE. */
const largestCommand = 4096;

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
  chip.abandonHash();
  const { tag, size, code } = readHeader(bytes);
  if (tag !== NO_SESSIONS && tag !== SESSIONS) throw new Refusal(RC.BAD_TAG);
  if (size !== bytes.length || size > largestCommand) throw new Refusal(RC.COMMAND_SIZE);
  const handler = handlers().get(code);
  if (handler === undefined) throw new Refusal(RC.COMMAND_CODE);
  const { command } = handler;
  checkFailure(chip, command, tag);
  if (!chip.powered || chip.started === (command.name === 'TPM2_Startup')) throw new Refusal(RC.INITIALIZE);
  const entities = entitiesOf(chip, command, bytes, tag);
  if (tag === SESSIONS && !takesSessions(command)) throw new Refusal(RC.AUTH_CONTEXT);
  const { handles, sessions, parameters: sent } = splitCommand(command, bytes);
  const authorizations = authorizationsOf(chip, command, sessions, entities);
  const invocation: Invocation = { command, entities, sent, auditHash: chip.audit.hash };
  checkAuthorizations(chip, invocation, authorizations);
  const inClear = decrypted(invocation, authorizations);
  const request = decodeRequest(command, handles, inClear);
  const response = handler.run(chip, request);
  if (chip.shutdown !== null && undoesShutdown(chip, command, request)) {
    chip.shutdown = null;
    chip.dirty = true;
  }
  const { parameters, answers } = answer(
    chip,
    invocation,
    authorizations,
    encodeResponseParameters(command, response),
  );
  return encodeResponse(
    responseHandles(command, response),
    parameters,
    tag === NO_SESSIONS ? undefined : answers,
  );
}

/** In failure mode only TPM2_GetTestResult and TPM2_GetCapability are answered, without sessions (Part 3 §10.1). */
function checkFailure(chip: Machine, { name }: Command, tag: number): void {
  if (!chip.failed) return;
  const answered = name === 'TPM2_GetTestResult' || name === 'TPM2_GetCapability';
  if (!answered || tag !== NO_SESSIONS) throw new Refusal(RC.FAILURE);
}

/** What the handles of a command stand for; checked before its sessions are looked at (Part 3 §5.4). */
function entitiesOf(chip: Machine, command: Command, bytes: Uint8Array, tag: number): Entity[] {
  const from = new Reader(bytes, HEADER_SIZE);
  const handles = entriesOf(command.handles).map(([key], i) => {
    if (from.remaining < 4) throw handleRefused(RC.INSUFFICIENT, i + 1);
    const handle = from.u32();
    if (!isTaken(chip, command, key, handle)) throw handleRefused(RC.VALUE, i + 1);
    return handle;
  });
  const entities = handles.map((handle, i) => entityOf(chip, handle, i + 1));
  checkEndorsed(chip, command, entities);
  // The shortest session, a password without characters, has nine bytes.
  if (tag === SESSIONS) {
    if (from.remaining < 4) throw new Refusal(RC.INSUFFICIENT);
    if (from.u32() < 9) throw new Refusal(RC.SIZE);
  }
  return entities;
}

/** Persistent objects of the endorsement hierarchy are out of reach while it is off, but for their removal. */
function checkEndorsed(chip: Machine, command: Command, entities: readonly Entity[]): void {
  if (chip.enabled.endorsement || command.name === 'TPM2_EvictControl') return;
  for (const [i, { object }] of entities.entries())
    if (object?.hierarchy === 'endorsement') throw handleRefused(RC.HANDLE, i + 1);
}
