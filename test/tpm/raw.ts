import type { Fields } from '../../src/tpm/codec.ts';
import { encode } from '../../src/tpm/codec.ts';
import type { ArgumentsOf, Command, HandleFields, ResponseOf } from '../../src/tpm/command.ts';
import { rolesOf } from '../../src/tpm/command.ts';
import { decodeFields, decodeResponse, encodeCommand, encodeFields } from '../../src/tpm/framing.ts';
import type {
  TPMS_AUTH_COMMAND as AuthCommand,
  TPMA_OBJECT as ObjectAttributes,
  TPMT_PUBLIC as Public,
  TPMT_SENSITIVE as Sensitive,
} from '../../src/tpm/structures.ts';
import { TPM_RH, TPM2B_SENSITIVE } from '../../src/tpm/structures.ts';

/** Whatever answers commands: the software TPM in this process, or a real swtpm. */
export interface Answering {
  exchange(command: Uint8Array): Promise<Uint8Array>;
}

export const none = new Uint8Array();

/** `count` bytes of one value. */
export function filled(count: number, value = 0): Uint8Array {
  return new Uint8Array(count).fill(value);
}

/** A password authorization. */
export function withPassword(auth: Uint8Array = none): AuthCommand {
  return {
    sessionHandle: TPM_RH.password,
    nonce: none,
    sessionAttributes: { continueSession: true },
    hmac: auth,
  };
}

/** A policy session without key, as authorization. */
export function withPolicy(sessionHandle: number): AuthCommand {
  return { sessionHandle, nonce: none, sessionAttributes: { continueSession: true }, hmac: none };
}

/** The bytes of a command; without `sessions` each authorization is an empty password. */
export function bytesOf<H extends HandleFields, P extends Fields, RH extends HandleFields, RP extends Fields>(
  command: Command<H, P, RH, RP>,
  request: NoInfer<ArgumentsOf<Command<H, P, RH, RP>>>,
  sessions: readonly AuthCommand[] = rolesOf(command as unknown as Command).map(() => withPassword()),
): Uint8Array {
  const values = request as Readonly<Record<string, unknown>>;
  const handles = Object.keys(command.handles).map((key) => Number(values[key]));
  return encodeCommand(command.code, handles, sessions, encodeFields(command.parameters, values));
}

/** The response code of an answer. */
export function codeOf(answer: Uint8Array): number {
  return new DataView(answer.buffer, answer.byteOffset).getUint32(6);
}

/** Sends a command, again while the TPM asks for it; the answer as it came. */
export async function send(tpm: Answering, command: Uint8Array): Promise<Uint8Array> {
  for (;;) {
    const answer = await tpm.exchange(command);
    if (codeOf(answer) !== 0x922) return answer;
  }
}

/** Sends a command and reads what comes back. @throws Error with the response code. */
export async function ask<
  H extends HandleFields,
  P extends Fields,
  RH extends HandleFields,
  RP extends Fields,
>(
  tpm: Answering,
  command: Command<H, P, RH, RP>,
  request: NoInfer<ArgumentsOf<Command<H, P, RH, RP>>>,
  sessions?: readonly AuthCommand[],
): Promise<ResponseOf<Command<H, P, RH, RP>>> {
  const answer = await send(tpm, bytesOf(command, request, sessions));
  const count = (sessions ?? rolesOf(command as unknown as Command)).length;
  const parts = decodeResponse(command as unknown as Command, count, answer);
  if (parts.code !== 0) throw new Error(`${command.name}: 0x${parts.code.toString(16)}`);
  const keys = Object.keys(command.responseHandles);
  const handles = Object.fromEntries(keys.map((key, i) => [key, parts.handles[i]]));
  return {
    ...handles,
    ...decodeFields(command.name, command.responseParameters, parts.parameters),
  } as ResponseOf<Command<H, P, RH, RP>>;
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
  sessions?: readonly AuthCommand[],
): Promise<number> {
  return codeOf(await send(tpm, bytesOf(command, request, sessions)));
}

/** What TPM2_Create and TPM2_CreatePrimary take besides the template. */
export const creation = {
  inSensitive: { userAuth: none, data: none },
  outsideInfo: none,
  creationPCR: [],
} as const;

/** Names of attributes that are set. */
export type AttributeName = keyof ObjectAttributes;

/** TPMA_OBJECT with these attributes set. */
export function attributes(...names: readonly AttributeName[]): ObjectAttributes {
  return Object.fromEntries(names.map((name) => [name, true]));
}

export const aes128 = { algorithm: 'aes', keyBits: 128, mode: 'cfb' } as const;
export const nullCipher = { algorithm: 'null' } as const;

type Of<T extends Public['type']> = Public & { readonly type: T };
type Changes<T extends Public['type']> = Partial<Omit<Of<T>, 'type' | 'parameters'>> & {
  readonly parameters?: Partial<Of<T>['parameters']>;
};

/** A template of an ECC key on P-256, without scheme or cipher unless `changes` say so. */
export function eccTemplate(objectAttributes: ObjectAttributes, changes: Changes<'ecc'> = {}): Of<'ecc'> {
  return {
    type: 'ecc',
    nameAlg: 'sha256',
    objectAttributes,
    authPolicy: none,
    unique: { x: none, y: none },
    ...changes,
    parameters: {
      symmetric: nullCipher,
      scheme: { scheme: 'null' },
      curveID: 'P-256',
      kdf: { scheme: 'null' },
      ...changes.parameters,
    },
  };
}

/** A template of an RSA-2048 key. */
export function rsaTemplate(objectAttributes: ObjectAttributes, changes: Changes<'rsa'> = {}): Of<'rsa'> {
  return {
    type: 'rsa',
    nameAlg: 'sha256',
    objectAttributes,
    authPolicy: none,
    unique: none,
    ...changes,
    parameters: {
      symmetric: nullCipher,
      scheme: { scheme: 'null' },
      keyBits: 2048,
      exponent: 0,
      ...changes.parameters,
    },
  };
}

/** A template of a keyed hash: sealed data unless `changes` give a scheme. */
export function keyedHashTemplate(
  objectAttributes: ObjectAttributes,
  changes: Changes<'keyedhash'> = {},
): Of<'keyedhash'> {
  return {
    type: 'keyedhash',
    nameAlg: 'sha256',
    objectAttributes,
    authPolicy: none,
    unique: none,
    ...changes,
    parameters: { scheme: { scheme: 'null' }, ...changes.parameters },
  };
}

/** A template of an AES-128 key. */
export function cipherTemplate(
  objectAttributes: ObjectAttributes,
  changes: Changes<'symcipher'> = {},
): Of<'symcipher'> {
  return {
    type: 'symcipher',
    nameAlg: 'sha256',
    objectAttributes,
    authPolicy: none,
    unique: none,
    ...changes,
    parameters: { sym: aes128, ...changes.parameters },
  };
}

const storage = ['sensitiveDataOrigin', 'userWithAuth', 'restricted', 'decrypt'] as const;
/** A storage key that never leaves. */
export const fixedStorage = eccTemplate(attributes('fixedTPM', 'fixedParent', ...storage), {
  parameters: { symmetric: aes128 },
});
/** A storage key that may leave. */
export const looseStorage = eccTemplate(attributes(...storage), { parameters: { symmetric: aes128 } });

/** Data to be sealed by {@link keyedHashTemplate}. */
export function sealing(data: Uint8Array, userAuth: Uint8Array = none) {
  return { inSensitive: { userAuth, data } };
}

/** TPM2B_SENSITIVE of a key made in software, as TPM2_Import takes it without wrappers. */
export function sensitiveOf(
  sensitiveType: Sensitive['sensitiveType'],
  sensitive: Uint8Array,
  more: { readonly authValue?: Uint8Array; readonly seedValue?: Uint8Array } = {},
): Uint8Array {
  return encode(TPM2B_SENSITIVE, { sensitiveType, authValue: none, seedValue: none, sensitive, ...more });
}
