import type { Fields } from '../../src/tpm/codec.ts';
import type { ArgumentsOf, Command, HandleFields, ResponseOf } from '../../src/tpm/command.ts';
import { rolesOf } from '../../src/tpm/command.ts';
import { TPM2_FlushContext, TPM2_GetCapability, TPM2_StartAuthSession } from '../../src/tpm/commands.ts';
import { decodeFields, decodeResponse, encodeCommand, encodeFields } from '../../src/tpm/framing.ts';
import type { Transport } from '../../src/tpm/index.ts';
import { TPM_RH } from '../../src/tpm/index.ts';
import type {
  TPMS_AUTH_RESPONSE as AuthResponse,
  TPMA_SESSION as SessionAttributes,
} from '../../src/tpm/structures.ts';

const none = new Uint8Array();

/** A session exactly as it is to be sent; without key, a session's HMAC may be empty. */
export interface RawSession {
  readonly sessionHandle: number;
  readonly nonce?: Uint8Array;
  readonly sessionAttributes?: SessionAttributes;
  readonly hmac?: Uint8Array;
}

/** What came back. */
export interface Answer<R> {
  readonly code: number;
  /** Empty when the code is not 0. */
  readonly response: R;
  readonly sessions: readonly AuthResponse[];
}

/** The password `auth`. */
export function passwordOf(auth: Uint8Array = none): RawSession {
  return { sessionHandle: 0x40000009, hmac: auth };
}

/** Sends one command with sessions as given; default: an empty password for each handle that needs one. */
export async function send<
  H extends HandleFields,
  P extends Fields,
  RH extends HandleFields,
  RP extends Fields,
>(
  transport: Transport,
  command: Command<H, P, RH, RP>,
  request: NoInfer<ArgumentsOf<Command<H, P, RH, RP>>>,
  sessions?: readonly RawSession[],
): Promise<Answer<ResponseOf<Command<H, P, RH, RP>>>> {
  const plain = command as unknown as Command;
  const values = request as Readonly<Record<string, unknown>>;
  const handles = Object.keys(command.handles).map((key) => Number(values[key]));
  const auths = (sessions ?? rolesOf(plain).map(() => passwordOf())).map((one) => ({
    sessionHandle: one.sessionHandle,
    nonce: one.nonce ?? none,
    sessionAttributes: one.sessionAttributes ?? { continueSession: true },
    hmac: one.hmac ?? none,
  }));
  const bytes = encodeCommand(command.code, handles, auths, encodeFields(command.parameters, values));
  const answer = await transport.exchange(bytes);
  const code = new DataView(answer.buffer, answer.byteOffset).getUint32(6);
  if (code === 0x922) return await send(transport, command, request, sessions); // TPM_RC_RETRY
  type R = ResponseOf<Command<H, P, RH, RP>>;
  if (code !== 0) return { code, response: {} as R, sessions: [] };
  const parts = decodeResponse(plain, auths.length, answer);
  const response = decodeFields(command.name, command.responseParameters, parts.parameters);
  Object.keys(command.responseHandles).forEach((key, i) => {
    response[key] = parts.handles[i];
  });
  return { code, response: response as R, sessions: parts.sessions };
}

/** A session without salt and bind, so without key: what is sent in it needs no HMAC. */
export async function startKeyless(
  transport: Transport,
  sessionType: 'hmac' | 'policy' | 'trial',
  options: {
    readonly authHash?: 'sha1' | 'sha256' | 'sha384' | 'sha512';
    readonly symmetric?: { readonly algorithm: 'null' } | typeof aes;
  } = {},
): Promise<{ readonly handle: number; readonly nonceTPM: Uint8Array }> {
  const { code, response } = await send(transport, TPM2_StartAuthSession, {
    tpmKey: TPM_RH.null,
    bind: TPM_RH.null,
    nonceCaller: new Uint8Array(16),
    encryptedSalt: none,
    sessionType,
    symmetric: options.symmetric ?? { algorithm: 'null' },
    authHash: options.authHash ?? 'sha256',
  });
  if (code !== 0) throw new Error(`no session: 0x${code.toString(16)}`);
  return { handle: response.sessionHandle, nonceTPM: response.nonceTPM };
}

/** AES-128 in CFB mode, for a session that encrypts. */
export const aes = { algorithm: 'aes', keyBits: 128, mode: 'cfb' } as const;

/** Flushes every object and session that is there. */
export async function flushAll(transport: Transport): Promise<void> {
  for (const first of [0x80000000, 0x02000000, 0x03000000]) {
    const { response } = await send(transport, TPM2_GetCapability, {
      capability: 'handles',
      property: first,
      propertyCount: 64,
    });
    const { capabilityData } = response;
    if (capabilityData.capability !== 'handles') continue;
    for (const flushHandle of capabilityData.data) await send(transport, TPM2_FlushContext, { flushHandle });
  }
}
