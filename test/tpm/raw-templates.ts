import { encode } from '../../src/tpm/codec.ts';
import type {
  TPMA_OBJECT as ObjectAttributes,
  TPMT_PUBLIC as Public,
  TPMT_SENSITIVE as Sensitive,
} from '../../src/tpm/structures.ts';
import { TPM2B_SENSITIVE } from '../../src/tpm/structures.ts';
import { none } from './raw.ts';

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
