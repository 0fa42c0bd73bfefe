import { u32 } from '../../core/bytes.ts';
import type { Writer } from '../codec.ts';
import { CodecError, encode } from '../codec.ts';
import type { Command, HandleArgument, RequestOf, ResponseOf } from '../command.ts';
import { encryptableRequest, encryptableResponse, handleOf, rolesOf } from '../command.ts';
import { TpmMalformed, TpmRefused, TpmUntrusted } from '../errors.ts';
import type { ResponseParts } from '../framing.ts';
import {
  decodeFields,
  decodeResponse,
  eachOf,
  encodeCommand,
  encodeFields,
  entriesOf,
  SESSIONS_MAX,
  writeFields,
} from '../framing.ts';
import { digest, digestSize } from '../kdf.ts';
import { nameOfHandle } from '../names.ts';
import { TPMA_SESSION } from '../structures/attributes.ts';
import { TPM_RH } from '../structures/handles.ts';
import type { TPMS_AUTH_COMMAND } from '../structures/sessions.ts';
import type { Authorization } from './authorization.ts';
import { password } from './authorization.ts';
import type { InSession } from './encryption.ts';
import { authOf, first, foreignNonces, only } from './encryption.ts';
import { learnNames } from './learn.ts';
import type { Tpm } from './tpm.ts';

/** What accompanies a command. */
export interface RunOptions {
  /**
   * One for each authorized handle, in their order, then sessions that only encrypt. Missing ones are empty passwords.
   */
  readonly authorizations?: readonly Authorization[];
  /** Gives up while the command still waits for its turn; one that was sent is always waited for. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs one command. Nothing of an answer is returned before its sessions' HMACs and every Name in it are checked.
 *
 * @throws {TpmRefused} what the TPM said. @throws {TpmSilent} @throws {TpmMalformed} @throws {TpmUntrusted}
 */
export async function run<C extends Command>(
  tpm: Tpm,
  command: C,
  request: NoInfer<RequestOf<C>>,
  options: RunOptions = {},
): Promise<ResponseOf<C>> {
  const turn = tpm.take();
  if (turn !== undefined) await turn;
  try {
    options.signal?.throwIfAborted();
    tpm.checkOpen();
    const given = request as Readonly<Record<string, unknown>>;
    const prepared = prepare(tpm, command, given, options);
    try {
      const answer = await tpm.exchange(prepared.bytes, options.signal);
      const response = finish(command, prepared, answer);
      learnNames(tpm, command, given, response);
      return response as ResponseOf<C>;
    } catch (error) {
      if (error instanceof TpmRefused) throw error;
      abandon(prepared.authorizations); // whether the TPM has moved its nonces, or says so truly, is unknown
      if (error instanceof CodecError)
        throw new TpmMalformed(`the answer to \`${command.name}\` is malformed: ${error.message}`, {
          cause: error,
        });
      throw error;
    }
  } finally {
    tpm.pass();
  }
}

const none = /* @__PURE__ */ new Uint8Array(0);

interface Prepared {
  readonly bytes: Uint8Array;
  readonly authorizations: readonly Authorization[];
  /** How many of them authorize a handle. */
  readonly roles: number;
}

function prepare(
  tpm: Tpm,
  command: Command,
  request: Readonly<Record<string, unknown>>,
  options: RunOptions,
): Prepared {
  const roles = rolesOf(command).length;
  const authorizations = allOf(options.authorizations, roles);
  const entities = eachOf(entriesOf(command.handles), ([key]) => request[key] as HandleArgument);
  const handles = eachOf(entities, handleOf);
  if (authorizations.every(isPassword)) {
    const sessions = eachOf(authorizations, inClear);
    const parameters = (out: Writer) => writeFields(out, command.parameters, request);
    return { bytes: encodeCommand(command.code, handles, sessions, parameters), authorizations, roles };
  }
  let parameters = encodeFields(command.parameters, request);
  for (const one of authorizations)
    if (one.kind === 'session') one.session.begin(tpm.random.bytes(digestSize(one.session.hash)));
  const encrypting = only(authorizations, 'encryptRequest');
  if (encrypting !== undefined) {
    if (!encryptableRequest(command)) throw new TypeError(`\`${command.name}\` has no parameter to encrypt`);
    const { session } = encrypting;
    parameters = first(parameters, (data) =>
      session.encrypt(data, authOf(authorizations, encrypting, roles)),
    );
  }
  const decrypting = only(authorizations, 'encryptResponse');
  if (decrypting !== undefined && !encryptableResponse(command))
    throw new TypeError(`the answer to \`${command.name}\` has no parameter to encrypt`);

  const sessions = authorizations.map((one, at): TPMS_AUTH_COMMAND => {
    if (isPassword(one)) return inClear(one);
    const { session, use } = one;
    const attributes: TPMA_SESSION = {
      continueSession: use.last !== true,
      decrypt: use.encryptRequest === true,
      encrypt: use.encryptResponse === true,
      audit: use.audit !== undefined && use.audit !== false,
      auditExclusive: use.auditExclusive === true,
      auditReset: use.auditReset === true,
    };
    const names = entities.map((entity) => nameOfArgument(tpm, entity));
    const cpHash = digest(session.hash, u32(command.code), ...names, parameters);
    if (typeof use.audit === 'object') use.audit.asked(cpHash, use.auditReset === true);
    // the first session vouches for the nonces of sessions that encrypt, if it authorizes (Part 1 §19.6.5)
    const others = at === 0 && roles > 0 ? foreignNonces(one, encrypting, decrypting) : none;
    const auth = authOf(authorizations, one, roles);
    return {
      sessionHandle: session.handle,
      nonce: session.nonceCaller,
      sessionAttributes: attributes,
      hmac: session.requestHmac(
        cpHash,
        auth,
        at < roles ? names[at] : undefined,
        others,
        attributeByte(attributes),
      ),
    };
  });
  return {
    bytes: encodeCommand(command.code, handles, sessions, parameters),
    authorizations,
    roles,
  };
}

/** What was given, and an empty password for each handle that nothing was given for. */
function allOf(given: readonly Authorization[] = [], roles: number): readonly Authorization[] {
  if (given.length > SESSIONS_MAX) throw new TypeError('`authorizations` must be at most three');
  const all = [...given];
  while (all.length < roles) all.push(password());
  return all;
}

type Password = Extract<Authorization, { kind: 'password' }>;

function isPassword(one: Authorization): one is Password {
  return one.kind === 'password';
}

function inClear({ auth }: Password): TPMS_AUTH_COMMAND {
  return {
    sessionHandle: TPM_RH.password,
    nonce: none,
    sessionAttributes: { continueSession: true },
    hmac: auth,
  };
}

function finish(command: Command, prepared: Prepared, bytes: Uint8Array): Record<string, unknown> {
  const { authorizations, roles } = prepared;
  const parts = decodeResponse(command, authorizations.length, bytes);
  if (parts.code !== 0) throw new TpmRefused(command.name, parts.code);
  authorizations.forEach((one, at) => {
    checkSession(command, parts, at, one, at < roles);
  });
  const decrypting = only(authorizations, 'encryptResponse');
  const area = decrypting === undefined ? parts.reader : decrypted(prepared, parts, decrypting);
  for (const one of authorizations) if (one.kind === 'session' && one.use.last === true) one.session.end();
  const response = decodeFields(command.name, command.responseParameters, area);
  entriesOf(command.responseHandles).forEach(([key], i) => {
    response[key] = parts.handles[i];
  });
  return response;
}

function decrypted({ authorizations, roles }: Prepared, parts: ResponseParts, one: InSession): Uint8Array {
  const auth = one.use.authAfter ?? authOf(authorizations, one, roles);
  return first(parts.parameters, (data) => one.session.decrypt(data, auth));
}

function checkSession(
  command: Command,
  parts: ResponseParts,
  at: number,
  one: Authorization,
  authorizes: boolean,
): void {
  const answer = parts.sessions[at];
  if (answer === undefined) throw new TpmMalformed(`the answer to \`${command.name}\` lacks a session`);
  if (one.kind === 'password') {
    if (answer.nonce.length > 0 || answer.hmac.length > 0)
      throw new TpmMalformed('the answer to a password carries a nonce or an HMAC');
    return;
  }
  const { session, use } = one;
  const rpHash = digest(session.hash, u32(parts.code), u32(command.code), parts.parameters);
  const auth = (authorizes ? (use.authAfter ?? use.auth) : undefined) ?? none;
  session.respond(answer, rpHash, auth, attributeByte(answer.sessionAttributes));
  // answered attributes are those of the command but for auditing; another `encrypt` would change what we read
  if (
    (answer.sessionAttributes.encrypt === true) !== (use.encryptResponse === true) ||
    (answer.sessionAttributes.continueSession === true) === (use.last === true)
  )
    throw new TpmUntrusted('response-attributes', 'the answer has other session attributes than the command');
  if (typeof use.audit === 'object') use.audit.answered(rpHash);
}

function nameOfArgument(tpm: Tpm, entity: HandleArgument): Uint8Array {
  if (typeof entity !== 'number') return entity.name;
  const name = nameOfHandle(entity) ?? tpm.names.get(entity);
  if (name === undefined)
    throw new TypeError(`the Name of handle 0x${entity.toString(16)} is unknown: pass \`{ handle, name }\``);
  return name;
}

function attributeByte(attributes: TPMA_SESSION): number {
  return encode(TPMA_SESSION, attributes)[0] ?? 0;
}

/** What happened to these sessions in the TPM is unknown: never use them again. */
function abandon(authorizations: readonly Authorization[]): void {
  for (const one of authorizations) if (one.kind === 'session') one.session.abandon();
}
