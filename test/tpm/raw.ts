import type { Fields } from '../../src/tpm/codec.ts';
import type { ArgumentsOf, Command, HandleFields, ResponseOf } from '../../src/tpm/command.ts';
import { rolesOf } from '../../src/tpm/command.ts';
import type { ResponseParts } from '../../src/tpm/framing.ts';
import { decodeFields, decodeResponse, encodeCommand, encodeFields } from '../../src/tpm/framing.ts';
import { TPM_RC_WARN } from '../../src/tpm/response-codes.ts';
import type {
  TPMS_AUTH_COMMAND as AuthCommand,
  TPMS_AUTH_RESPONSE as AuthResponse,
} from '../../src/tpm/structures.ts';
import { TPM_RH } from '../../src/tpm/structures.ts';

/** Whatever answers commands: the software TPM in this process, or a real swtpm. */
export interface Answering {
  exchange(command: Uint8Array): Promise<Uint8Array>;
}

/** A session as it is to be sent; what is left out is empty, and the session goes on. */
export type RawSession = Pick<AuthCommand, 'sessionHandle'> & Partial<AuthCommand>;

/** An authorization: a password, or a session. */
export type Proof = Uint8Array | RawSession;

/** What came back. */
export interface Answer<R> {
  readonly code: number;
  /** Empty when the code is not 0. */
  readonly response: R;
  readonly sessions: readonly AuthResponse[];
}

export const none = new Uint8Array();

/** `count` bytes of one value. */
export function filled(count: number, value = 0): Uint8Array {
  return new Uint8Array(count).fill(value);
}

/** A password authorization. */
export function passwordOf(auth: Uint8Array = none): RawSession {
  return { sessionHandle: TPM_RH.password, hmac: auth };
}

/** An empty password for each handle of a command that needs one. */
export function emptyPasswords(command: object): readonly Proof[] {
  return rolesOf(command as Command).map(() => none);
}

/** The bytes of a command, with exactly these authorizations. */
export function bytesOf<H extends HandleFields, P extends Fields, RH extends HandleFields, RP extends Fields>(
  command: Command<H, P, RH, RP>,
  request: NoInfer<ArgumentsOf<Command<H, P, RH, RP>>>,
  proofs: readonly Proof[] = emptyPasswords(command),
): Uint8Array {
  const values = request as Readonly<Record<string, unknown>>;
  const handles = Object.keys(command.handles).map((key) => Number(values[key]));
  const sessions = proofs.map((proof) => ({
    nonce: none,
    sessionAttributes: { continueSession: true },
    hmac: none,
    ...(proof instanceof Uint8Array ? passwordOf(proof) : proof),
  }));
  return encodeCommand(command.code, handles, sessions, encodeFields(command.parameters, values));
}

/** The command code in a command, or the response code in an answer. */
export function codeOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(6);
}

/** A TPM that is sent each command again while it asks for that: libtpms does at the first use of a guarded entity. */
export function patient(tpm: Answering): Answering {
  return {
    async exchange(command) {
      for (;;) {
        const answer = await tpm.exchange(command);
        if (codeOf(answer) !== TPM_RC_WARN.RETRY) return answer;
      }
    },
  };
}

/** What is in an answer to a command that went out with `proofs` authorizations. */
export function answerOf<
  H extends HandleFields,
  P extends Fields,
  RH extends HandleFields,
  RP extends Fields,
>(
  command: Command<H, P, RH, RP>,
  proofs: number,
  bytes: Uint8Array,
): Answer<ResponseOf<Command<H, P, RH, RP>>> {
  const parts = decodeResponse(command as unknown as Command, proofs, bytes);
  return { code: parts.code, response: responseOf(command, parts), sessions: parts.sessions };
}

/** The members of a response whose parameters are in clear. */
export function responseOf<
  H extends HandleFields,
  P extends Fields,
  RH extends HandleFields,
  RP extends Fields,
>(
  command: Command<H, P, RH, RP>,
  parts: Pick<ResponseParts, 'code' | 'handles' | 'parameters'>,
): ResponseOf<Command<H, P, RH, RP>> {
  const named = Object.keys(command.responseHandles).map((key, i) => [key, parts.handles[i]]);
  const fields = parts.code === 0 ? command.responseParameters : {};
  const values = decodeFields(command.name, fields, parts.parameters);
  return { ...(parts.code === 0 ? Object.fromEntries(named) : {}), ...values } as never;
}

/** Sends a command and reads what comes back. */
export async function send<
  H extends HandleFields,
  P extends Fields,
  RH extends HandleFields,
  RP extends Fields,
>(
  tpm: Answering,
  command: Command<H, P, RH, RP>,
  request: NoInfer<ArgumentsOf<Command<H, P, RH, RP>>>,
  proofs: readonly Proof[] = emptyPasswords(command),
): Promise<Answer<ResponseOf<Command<H, P, RH, RP>>>> {
  return answerOf(command, proofs.length, await patient(tpm).exchange(bytesOf(command, request, proofs)));
}

/** Sends a command that succeeds; the response. @throws Error with the response code in hexadecimal. */
export async function ask<
  H extends HandleFields,
  P extends Fields,
  RH extends HandleFields,
  RP extends Fields,
>(
  tpm: Answering,
  command: Command<H, P, RH, RP>,
  request: NoInfer<ArgumentsOf<Command<H, P, RH, RP>>>,
  proofs?: readonly Proof[],
): Promise<ResponseOf<Command<H, P, RH, RP>>> {
  return succeeded(command, await send(tpm, command, request, proofs));
}

/** The response in an answer. @throws Error with the response code in hexadecimal when it is a refusal. */
export function succeeded<R>({ name }: { readonly name: string }, { code, response }: Answer<R>): R {
  if (code !== 0) throw new Error(`${name}: ${code.toString(16)}`);
  return response;
}

/** Sends a command; its response code, 0 when it was done. */
export async function codeFor<
  H extends HandleFields,
  P extends Fields,
  RH extends HandleFields,
  RP extends Fields,
>(
  tpm: Answering,
  command: Command<H, P, RH, RP>,
  request: NoInfer<ArgumentsOf<Command<H, P, RH, RP>>>,
  proofs?: readonly Proof[],
): Promise<number> {
  return codeOf(await patient(tpm).exchange(bytesOf(command, request, proofs)));
}
