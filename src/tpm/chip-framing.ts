import { CodecError, Reader, Writer } from './codec.ts';
import type { Command } from './command.ts';
import { encodeFields, entriesOf, HEADER_SIZE, NO_SESSIONS, SESSIONS, SESSIONS_MAX } from './framing.ts';
import type {
  TPMS_AUTH_COMMAND as AuthCommand,
  TPMS_AUTH_RESPONSE as AuthResponse,
} from './structures/sessions.ts';
import { TPMS_AUTH_COMMAND, TPMS_AUTH_RESPONSE } from './structures/sessions.ts';

/** Which part of a command could not be read; `number` counts from 1, as response codes do. */
export class OperandError extends Error {
  readonly operand: 'header' | 'handle' | 'session' | 'parameter';
  readonly number: number;
  override readonly cause: CodecError;

  constructor(operand: OperandError['operand'], number: number, cause: CodecError) {
    super(`${operand} ${number}: ${cause.message}`, { cause });
    this.name = 'OperandError';
    this.operand = operand;
    this.number = number;
    this.cause = cause;
  }
}

/** The first ten bytes of a command. */
export interface CommandHeader {
  readonly tag: number;
  readonly size: number;
  readonly code: number;
}

/** A command taken apart as far as can be done before its sessions are checked. */
export interface CommandParts {
  readonly handles: readonly number[];
  readonly sessions: readonly AuthCommand[];
  /** The parameter area, its first parameter possibly still encrypted. */
  readonly parameters: Uint8Array;
}

/** Reads tag, size and code. @throws {OperandError} when the bytes are fewer than ten. */
export function readHeader(bytes: Uint8Array): CommandHeader {
  return reading('header', 1, () => {
    const from = new Reader(bytes);
    return { tag: from.u16('header'), size: from.u32('header'), code: from.u32('header') };
  });
}

/** Handles, sessions and the parameter area of `bytes`. @throws {OperandError} naming what cannot be read. */
export function splitCommand(command: Command, bytes: Uint8Array): CommandParts {
  const { tag, size } = readHeader(bytes);
  if (size !== bytes.length)
    throw new OperandError('header', 1, new CodecError('header', 'size', 'its size is not what came'));
  if (tag !== NO_SESSIONS && tag !== SESSIONS)
    throw new OperandError('header', 1, new CodecError('header', 'value', 'not a command tag'));
  const from = new Reader(bytes, HEADER_SIZE);
  const handles = entriesOf(command.handles).map(([, codec], i) =>
    reading('handle', i + 1, () => codec.read(from)),
  );
  const sessions: AuthCommand[] = [];
  if (tag === SESSIONS) {
    const area = reading('session', 1, () => from.sub(from.u32('authorizationSize'), 'authorizationSize'));
    while (sessions.length === 0 || area.remaining > 0) {
      const number = sessions.length + 1;
      if (number > SESSIONS_MAX)
        throw new OperandError(
          'session',
          number,
          new CodecError('authorizationSize', 'size', 'too many sessions'),
        );
      sessions.push(reading('session', number, () => TPMS_AUTH_COMMAND.read(area)));
    }
  }
  return { handles, sessions, parameters: from.bytes(from.remaining) };
}

/** Handles and the decrypted parameter area by name, as a handler is given them. @throws {OperandError} */
export function decodeRequest(
  command: Command,
  handles: readonly number[],
  bytes: Uint8Array,
): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const [i, [key]] of entriesOf(command.handles).entries()) value[key] = handles[i] ?? 0;
  const from = new Reader(bytes);
  for (const [i, [key, codec]] of entriesOf(command.parameters).entries()) {
    const member = reading('parameter', i + 1, () => codec.read(from));
    if (member !== undefined) value[key] = member;
  }
  reading('header', 1, () => from.done(command.name));
  return value;
}

/** The answer's parameter area, before a session encrypts it. */
export function encodeResponseParameters(
  command: Command,
  response: Readonly<Record<string, unknown>>,
): Uint8Array {
  return encodeFields(command.responseParameters, response);
}

/** The answer's handle area as numbers, in order. */
export function responseHandles(
  command: Command,
  response: Readonly<Record<string, unknown>>,
): readonly number[] {
  return entriesOf(command.responseHandles).map(([key]) => Number(response[key]));
}

/** The bytes of a successful answer. With `sessions` undefined the command had none (tag NO_SESSIONS). */
export function encodeResponse(
  handles: readonly number[],
  parameters: Uint8Array,
  sessions: readonly AuthResponse[] | undefined,
): Uint8Array {
  const out = new Writer();
  out.u16(sessions === undefined ? NO_SESSIONS : SESSIONS);
  out.u32(0);
  out.u32(0);
  for (const handle of handles) out.u32(handle);
  if (sessions !== undefined) out.u32(parameters.length);
  out.bytes(parameters);
  for (const session of sessions ?? []) TPMS_AUTH_RESPONSE.write(out, session);
  out.patchU32(2, out.length);
  return out.finish();
}

/** The ten bytes of a refusal. */
export function encodeRefusal(code: number): Uint8Array {
  const out = new Writer();
  out.u16(NO_SESSIONS);
  out.u32(HEADER_SIZE);
  out.u32(code);
  return out.finish();
}

function reading<T>(operand: OperandError['operand'], number: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof CodecError) throw new OperandError(operand, number, error);
    throw error;
  }
}
