import { createCipheriv, createDecipheriv } from 'node:crypto';
import { concat, equal, u32 } from '../../src/core/bytes.ts';
import { nodePlatform } from '../../src/core/node.ts';
import type { Fields } from '../../src/tpm/codec.ts';
import { encode } from '../../src/tpm/codec.ts';
import type { ArgumentsOf, Command, HandleFields, ResponseOf } from '../../src/tpm/command.ts';
import { TPM2_StartAuthSession } from '../../src/tpm/commands.ts';
import { decodeResponse, encodeCommand, encodeFields } from '../../src/tpm/framing.ts';
import type { Transport } from '../../src/tpm/index.ts';
import { TPM_RH } from '../../src/tpm/index.ts';
import { digest, digestSize, hmac, kdfa } from '../../src/tpm/kdf.ts';
import { TPM_RC_WARN } from '../../src/tpm/response-codes.ts';
import { seedTo } from '../../src/tpm/seed.ts';
import type {
  TPMI_ALG_HASH as Hash,
  TPMT_PUBLIC as Public,
  TPMA_SESSION as SessionAttributes,
  TPMT_SYM_DEF as SymDef,
} from '../../src/tpm/structures.ts';
import { TPMA_SESSION } from '../../src/tpm/structures.ts';
import { codeOf, responseOf, send } from './raw.ts';

const none = new Uint8Array();
const { random } = nodePlatform({ directory: '.' });

/** Our end of a session, by Part 1 §19.6 and by hand: the tests decide what goes into each key. */
export interface KeyedSession {
  readonly handle: number;
  readonly hash: Hash;
  readonly symmetric: SymDef;
  readonly key: Uint8Array;
  nonceTPM: Uint8Array;
}

/** Starts a session, salted and bound as asked. */
export async function startKeyed(
  transport: Transport,
  options: {
    readonly type?: 'hmac' | 'policy';
    readonly hash?: Hash;
    readonly symmetric?: SymDef;
    readonly bind?: { readonly handle: number; readonly auth: Uint8Array };
    readonly salt?: { readonly handle: number; readonly public: Public };
    readonly nonceSize?: number;
  } = {},
): Promise<KeyedSession> {
  const {
    type = 'hmac',
    hash = 'sha256',
    symmetric = { algorithm: 'null' },
    bind,
    salt,
    nonceSize,
  } = options;
  const nonceCaller = random.bytes(nonceSize ?? digestSize(hash));
  const secret = salt && seedTo(salt.public, 'SECRET', random);
  const { code, response } = await send(transport, TPM2_StartAuthSession, {
    tpmKey: salt?.handle ?? TPM_RH.null,
    bind: bind?.handle ?? TPM_RH.null,
    nonceCaller,
    encryptedSalt: secret?.secret ?? none,
    sessionType: type,
    symmetric,
    authHash: hash,
  });
  if (code !== 0) throw new Error(`no session: 0x${code.toString(16)}`);
  const { sessionHandle: handle, nonceTPM } = response;
  if (nonceTPM.length !== nonceCaller.length) throw new Error('a nonce of another size');
  const value = concat(bind?.auth ?? none, secret?.seed ?? none);
  const keyed = bind !== undefined || salt !== undefined;
  const key = keyed ? kdfa(hash, value, 'ATH', nonceTPM, nonceCaller, digestSize(hash) * 8) : none;
  return { handle, hash, symmetric, key, nonceTPM };
}

/** One use of a session. */
export interface Use {
  readonly session: KeyedSession;
  /** Goes into the HMAC's key. */
  readonly auth?: Uint8Array;
  /** The same for the answer. Default: `auth`. */
  readonly authAfter?: Uint8Array;
  /** Goes into the key that encrypts parameters; so it does too where the HMAC does without. Default: `auth`. */
  readonly cryptAuth?: Uint8Array;
  readonly attributes?: SessionAttributes;
  /** Nonces of other sessions, for the HMAC. */
  readonly others?: Uint8Array;
  /** In the place of the HMAC. */
  readonly password?: Uint8Array;
}

/** Sends one command with these sessions; checks what the TPM proves in its answer. */
export async function sendKeyed<
  H extends HandleFields,
  P extends Fields,
  RH extends HandleFields,
  RP extends Fields,
>(
  transport: Transport,
  command: Command<H, P, RH, RP>,
  request: NoInfer<ArgumentsOf<Command<H, P, RH, RP>>>,
  names: readonly Uint8Array[],
  uses: readonly Use[],
): Promise<{ readonly code: number; readonly response: ResponseOf<Command<H, P, RH, RP>> }> {
  const values = request as Readonly<Record<string, unknown>>;
  const handles = Object.keys(command.handles).map((key) => Number(values[key]));
  const nonces = uses.map(({ session }) => random.bytes(digestSize(session.hash)));
  const nonceOf = (at: number) => nonces[at] ?? none;
  const attributesOf = ({ attributes }: Use) => ({ continueSession: true, ...attributes });
  let parameters = encodeFields(command.parameters, values);
  for (const [at, use] of uses.entries())
    if (use.attributes?.decrypt === true)
      parameters = first(parameters, (data) => crypt(use, nonceOf(at), use.session.nonceTPM, data, true));
  const auths = uses.map((use, at) => {
    const { session } = use;
    const sessionAttributes = attributesOf(use);
    const cpHash = digest(session.hash, u32(command.code), ...names, parameters);
    const proof = () =>
      hmac(
        session.hash,
        concat(session.key, use.auth ?? none),
        cpHash,
        nonceOf(at),
        session.nonceTPM,
        use.others ?? none,
        encode(TPMA_SESSION, sessionAttributes),
      );
    return {
      sessionHandle: session.handle,
      nonce: nonceOf(at),
      sessionAttributes,
      hmac: use.password ?? proof(),
    };
  });
  const answer = await transport.exchange(encodeCommand(command.code, handles, auths, parameters));
  const code = codeOf(answer);
  if (code === TPM_RC_WARN.RETRY) return await sendKeyed(transport, command, request, names, uses);
  const parts = decodeResponse(command as unknown as Command, uses.length, answer);
  if (code !== 0) return { code, response: responseOf(command, parts) };
  let out = parts.parameters;
  for (const [at, use] of uses.entries()) {
    const { session } = use;
    const got = parts.sessions[at];
    if (got === undefined) throw new Error('a session is missing');
    session.nonceTPM = got.nonce;
    const key = concat(session.key, use.authAfter ?? use.auth ?? none);
    const rpHash = digest(session.hash, u32(0), u32(command.code), parts.parameters);
    const byte = encode(TPMA_SESSION, got.sessionAttributes);
    const expected =
      use.password === undefined ? hmac(session.hash, key, rpHash, got.nonce, nonceOf(at), byte) : none;
    if (!equal(expected, got.hmac)) throw new Error(`the answer's HMAC ${at + 1} is wrong`);
    if (use.attributes?.encrypt === true)
      out = first(out, (data) =>
        crypt(
          { ...use, cryptAuth: use.authAfter ?? use.cryptAuth ?? none },
          got.nonce,
          nonceOf(at),
          data,
          false,
        ),
      );
  }
  return { code, response: responseOf(command, { ...parts, parameters: out }) };
}

function crypt(
  { session, auth, cryptAuth }: Use,
  newer: Uint8Array,
  older: Uint8Array,
  data: Uint8Array,
  encrypting: boolean,
): Uint8Array {
  const { symmetric, hash } = session;
  const value = concat(session.key, cryptAuth ?? auth ?? none);
  if (symmetric.algorithm === 'xor') {
    const mask = kdfa(hash, value, 'XOR', newer, older, data.length * 8);
    return data.map((byte, i) => byte ^ (mask[i] ?? 0));
  }
  if (symmetric.algorithm === 'null') throw new Error('no cipher');
  const bits = symmetric.keyBits;
  const stream = kdfa(hash, value, 'CFB', newer, older, bits + 128);
  const [key, iv] = [stream.subarray(0, bits / 8), stream.subarray(bits / 8)];
  const cipher = (encrypting ? createCipheriv : createDecipheriv)(`aes-${bits}-cfb`, key, iv);
  return new Uint8Array(Buffer.concat([cipher.update(data), cipher.final()]));
}

function first(area: Uint8Array, change: (data: Uint8Array) => Uint8Array): Uint8Array {
  const size = ((area[0] ?? 0) << 8) | (area[1] ?? 0);
  return concat(area.subarray(0, 2), change(area.subarray(2, 2 + size)), area.subarray(2 + size));
}
