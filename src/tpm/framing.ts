import type { Fields } from './codec.ts';
import { CodecError, Reader, Writer } from './codec.ts';
import type { Command } from './command.ts';
import type {
  TPMS_AUTH_COMMAND as AuthCommand,
  TPMS_AUTH_RESPONSE as AuthResponse,
} from './structures/sessions.ts';
import { TPMS_AUTH_COMMAND, TPMS_AUTH_RESPONSE } from './structures/sessions.ts';

/** TPM_ST_NO_SESSIONS: the tag of a command without authorizations, of its answer, and of every refusal. */
export const NO_SESSIONS = 0x8001;
/** TPM_ST_SESSIONS: the tag of a command with authorizations, and of its answer. */
export const SESSIONS = 0x8002;
/** tag, size, code. */
export const HEADER_SIZE = 10;
/** Nothing larger is sent or accepted; TPMs of the PC Client profile have 4,096. */
export const MESSAGE_MAX = 8192;
/** Part 1 §18.9: at most three sessions accompany a command. */
export const SESSIONS_MAX = 3;

const none = /* @__PURE__ */ new Uint8Array(0);
const nobody: readonly never[] = /* @__PURE__ */ Object.freeze([]);

/** What is made of each of `all`. Many commands have no handle and no authorization: no list is made for them. */
export function eachOf<T, U>(all: readonly T[], make: (one: T) => U): readonly U[] {
  return all.length === 0 ? nobody : all.map(make);
}

/** A response taken apart; `code` is 0 for success. */
export class ResponseParts {
  readonly code: number;
  readonly handles: readonly number[];
  readonly sessions: readonly AuthResponse[];
  readonly #area: Reader;

  constructor(
    code: number,
    handles: readonly number[],
    sessions: readonly AuthResponse[],
    area: Reader = new Reader(none),
  ) {
    this.code = code;
    this.handles = handles;
    this.sessions = sessions;
    this.#area = area;
  }

  /** The parameter area, its first parameter possibly still encrypted. */
  get parameters(): Uint8Array {
    return this.#area.rest();
  }

  /** Reads the parameter area from its beginning, where nothing in it is encrypted. */
  get reader(): Reader {
    return this.#area.copy();
  }
}

type Entries<F extends Fields> = readonly (readonly [key: string, codec: F[string]])[];
const listed = /* @__PURE__ */ new WeakMap<Fields, Entries<Fields>>();

/** The members of `fields` as a list, made once. */
export function entriesOf<F extends Fields>(fields: F): Entries<F> {
  let entries = listed.get(fields);
  if (entries === undefined) {
    entries = Object.entries(fields);
    listed.set(fields, entries);
  }
  return entries as Entries<F>;
}

/** The members of `fields`, one after the other. */
export function encodeFields(fields: Fields, value: Readonly<Record<string, unknown>>): Uint8Array {
  if (entriesOf(fields).length === 0) return none;
  const out = new Writer();
  writeFields(out, fields, value);
  return out.finish();
}

/** {@link encodeFields} into what is being written. */
export function writeFields(out: Writer, fields: Fields, value: Readonly<Record<string, unknown>>): void {
  for (const [key, codec] of entriesOf(fields)) codec.write(out, value[key]);
}

/** The members of `fields` that all of `bytes` are. @throws {CodecError} */
export function decodeFields(
  name: string,
  fields: Fields,
  bytes: Uint8Array | Reader,
): Record<string, unknown> {
  const from = bytes instanceof Reader ? bytes : new Reader(bytes);
  const value: Record<string, unknown> = {};
  for (const [key, codec] of entriesOf(fields)) {
    const member = codec.read(from);
    if (member !== undefined) value[key] = member;
  }
  from.done(name);
  return value;
}

/**
 * The bytes of a command (Part 1 §18). `parameters` are marshalled and, where a session asks for it, encrypted; or are
 * written when it is their turn.
 */
export function encodeCommand(
  code: number,
  handles: readonly number[],
  sessions: readonly AuthCommand[],
  parameters: Uint8Array | ((out: Writer) => void),
): Uint8Array {
  const out = new Writer();
  out.u16(sessions.length === 0 ? NO_SESSIONS : SESSIONS);
  out.u32(0);
  out.u32(code);
  for (const handle of handles) out.u32(handle);
  if (sessions.length > 0) {
    const at = out.length;
    out.u32(0);
    for (const session of sessions) TPMS_AUTH_COMMAND.write(out, session);
    out.patchU32(at, out.length - at - 4);
  }
  if (parameters instanceof Uint8Array) out.bytes(parameters);
  else parameters(out);
  out.patchU32(2, out.length);
  return out.finish();
}

/** Takes a response apart. @throws {CodecError} when it does not have the form that `command` and `sessions` demand. */
export function decodeResponse(command: Command, sessions: number, bytes: Uint8Array): ResponseParts {
  const where = `response to ${command.name}`;
  const from = new Reader(bytes);
  const tag = from.u16(where);
  const size = from.u32(where);
  const code = from.u32(where);
  if (size !== bytes.length) throw new CodecError(where, 'size', 'its size is not what came');
  if (code !== 0) {
    from.done(where);
    return new ResponseParts(code, nobody, nobody);
  }
  if (tag !== (sessions === 0 ? NO_SESSIONS : SESSIONS)) throw new CodecError(where, 'value', 'wrong tag');
  const handles = eachOf(entriesOf(command.responseHandles), ([, codec]) => codec.read(from));
  if (sessions === 0) return new ResponseParts(code, handles, nobody, from);
  const area = from.sub(from.u32(where), where);
  const answers: AuthResponse[] = [];
  for (let i = 0; i < sessions; i++) answers.push(TPMS_AUTH_RESPONSE.read(from));
  from.done(where);
  return new ResponseParts(code, handles, answers, area);
}
