import { utf8 } from '../../src/core/bytes.ts';
import * as tpm2 from '../../src/tpm/commands.ts';
import type { ExternalKey } from '../simulator/external-keys.ts';
import { eccKey, hmacKey, rsaKey, symmetricKey } from '../simulator/external-keys.ts';
import { bytesOf } from '../tpm/raw.ts';

const none = new Uint8Array();
const ones = (count: number) => new Uint8Array(count).fill(1);
const nullHandle = 0x40000007;
const owner = 0x40000001;
const nullScheme = { scheme: 'null' } as const;
const noTicket = { tag: 'hashcheck', hierarchy: nullHandle, digest: none } as const;
const noPoint = { x: none, y: none };
const sha256 = { hashAlg: 'sha256' } as const;
const label = utf8('label\0');

/** The slots of the two keys of a scene, and one that is free. */
export const [key, other, free] = [0x80000000, 0x80000001, 0x80000002] as const;

/** Loads a key that was made outside. */
export const load = (external: ExternalKey) =>
  bytesOf(tpm2.TPM2_LoadExternal, { ...external, hierarchy: nullHandle });

/** What both chips hold before each command, and the commands. */
export interface Scene {
  readonly stage: readonly Uint8Array[];
  readonly commands: Readonly<Record<string, Uint8Array>>;
}

const onKey = { keyHandle: key } as const;
const rsaCrypt = { ...onKey, inScheme: nullScheme, label: none } as const;
/** RSA. */
export const rsa: Scene = {
  stage: [load(rsaKey()), load(rsaKey(1024, { scheme: 'oaep', ...sha256 }, { decrypt: true }))],
  commands: {
    'RSA_Encrypt of a number': bytesOf(tpm2.TPM2_RSA_Encrypt, { ...rsaCrypt, message: ones(128) }),
    'RSA_Encrypt with RSAES': bytesOf(tpm2.TPM2_RSA_Encrypt, {
      ...rsaCrypt,
      message: ones(117),
      inScheme: { scheme: 'rsaes' },
    }),
    'RSA_Encrypt of too much with RSAES': bytesOf(tpm2.TPM2_RSA_Encrypt, {
      ...rsaCrypt,
      message: ones(118),
      inScheme: { scheme: 'rsaes' },
    }),
    'RSA_Encrypt with OAEP': bytesOf(tpm2.TPM2_RSA_Encrypt, {
      ...rsaCrypt,
      message: ones(62),
      inScheme: { scheme: 'oaep', ...sha256 },
      label,
    }),
    'RSA_Encrypt of too much with OAEP': bytesOf(tpm2.TPM2_RSA_Encrypt, {
      ...rsaCrypt,
      message: ones(63),
      inScheme: { scheme: 'oaep', ...sha256 },
    }),
    'RSA_Encrypt with a hash too large for the key': bytesOf(tpm2.TPM2_RSA_Encrypt, {
      ...rsaCrypt,
      message: none,
      inScheme: { scheme: 'oaep', hashAlg: 'sha512' },
    }),
    'RSA_Encrypt against the scheme of the key': bytesOf(tpm2.TPM2_RSA_Encrypt, {
      ...rsaCrypt,
      keyHandle: other,
      message: ones(4),
      inScheme: { scheme: 'rsaes' },
    }),
    'RSA_Encrypt of a number as long as the key and larger': bytesOf(tpm2.TPM2_RSA_Encrypt, {
      ...rsaCrypt,
      message: new Uint8Array(128).fill(0xff),
    }),
    'RSA_Encrypt of a number with zeros before it': bytesOf(tpm2.TPM2_RSA_Encrypt, {
      ...rsaCrypt,
      message: new Uint8Array([0, 0, ...ones(128)]),
    }),
    'RSA_Encrypt of a number too long': bytesOf(tpm2.TPM2_RSA_Encrypt, { ...rsaCrypt, message: ones(129) }),
    'RSA_Decrypt to a number': bytesOf(tpm2.TPM2_RSA_Decrypt, { ...rsaCrypt, cipherText: ones(128) }),
    'RSA_Decrypt of nothing encrypted': bytesOf(tpm2.TPM2_RSA_Decrypt, {
      ...rsaCrypt,
      cipherText: ones(128),
      inScheme: { scheme: 'rsaes' },
    }),
    'RSA_Decrypt by the scheme of the key': bytesOf(tpm2.TPM2_RSA_Decrypt, {
      ...rsaCrypt,
      keyHandle: other,
      cipherText: ones(128),
      label,
    }),
    'RSA_Decrypt of too little': bytesOf(tpm2.TPM2_RSA_Decrypt, { ...rsaCrypt, cipherText: ones(127) }),
    'RSA_Decrypt of more than the modulus': bytesOf(tpm2.TPM2_RSA_Decrypt, {
      ...rsaCrypt,
      cipherText: new Uint8Array(128).fill(0xff),
    }),
    'Sign with RSASSA': bytesOf(tpm2.TPM2_Sign, {
      ...onKey,
      digest: ones(32),
      inScheme: { scheme: 'rsassa', ...sha256 },
      validation: noTicket,
    }),
    'Sign by a key that decrypts': bytesOf(tpm2.TPM2_Sign, {
      keyHandle: other,
      digest: ones(32),
      inScheme: nullScheme,
      validation: noTicket,
    }),
    'VerifySignature of ones': bytesOf(tpm2.TPM2_VerifySignature, {
      ...onKey,
      digest: ones(32),
      signature: { sigAlg: 'rsapss', hash: 'sha256', sig: ones(128) },
    }),
    'ECDH_KeyGen with it': bytesOf(tpm2.TPM2_ECDH_KeyGen, onKey),
  },
};

const cipher = { ...onKey, decrypt: 'no', mode: 'cfb', ivIn: ones(16) } as const;
/** AES. */
export const symmetric: Scene = {
  stage: [load(symmetricKey(ones(16))), load(symmetricKey(ones(32), 'cbc'))],
  commands: {
    EncryptDecrypt: bytesOf(tpm2.TPM2_EncryptDecrypt, { ...cipher, inData: ones(20) }),
    EncryptDecrypt2: bytesOf(tpm2.TPM2_EncryptDecrypt2, { ...cipher, inData: ones(20) }),
    'EncryptDecrypt2 in CTR': bytesOf(tpm2.TPM2_EncryptDecrypt2, {
      ...cipher,
      mode: 'ctr',
      inData: ones(20),
    }),
    'EncryptDecrypt2 in OFB': bytesOf(tpm2.TPM2_EncryptDecrypt2, {
      ...cipher,
      mode: 'ofb',
      inData: ones(20),
    }),
    'EncryptDecrypt2 in ECB': bytesOf(tpm2.TPM2_EncryptDecrypt2, {
      ...cipher,
      mode: 'ecb',
      ivIn: none,
      inData: ones(32),
    }),
    'EncryptDecrypt2 back': bytesOf(tpm2.TPM2_EncryptDecrypt2, {
      ...cipher,
      decrypt: 'yes',
      inData: ones(33),
    }),
    'EncryptDecrypt in the mode of the key': bytesOf(tpm2.TPM2_EncryptDecrypt, {
      ...cipher,
      keyHandle: other,
      mode: 'null',
      inData: ones(32),
    }),
    'EncryptDecrypt of half a block': bytesOf(tpm2.TPM2_EncryptDecrypt, {
      ...cipher,
      keyHandle: other,
      mode: 'null',
      inData: ones(8),
    }),
    'EncryptDecrypt2 of too much': bytesOf(tpm2.TPM2_EncryptDecrypt2, { ...cipher, inData: ones(1025) }),
  },
};

const start = { auth: none, hashAlg: 'sha256' } as const;
/** HMAC and data in pieces. */
export const sequences: Scene = {
  stage: [load(hmacKey(ones(7))), bytesOf(tpm2.TPM2_HashSequenceStart, start)],
  commands: {
    HMAC: bytesOf(tpm2.TPM2_HMAC, { handle: key, buffer: ones(9), hashAlg: 'sha384' }),
    'HMAC without a hash': bytesOf(tpm2.TPM2_HMAC, { handle: key, buffer: ones(9), hashAlg: 'null' }),
    HMAC_Start: bytesOf(tpm2.TPM2_HMAC_Start, { ...start, handle: key }),
    HashSequenceStart: bytesOf(tpm2.TPM2_HashSequenceStart, start),
    'HashSequenceStart for an event': bytesOf(tpm2.TPM2_HashSequenceStart, { ...start, hashAlg: 'null' }),
    SequenceUpdate: bytesOf(tpm2.TPM2_SequenceUpdate, { sequenceHandle: other, buffer: ones(5) }),
    SequenceComplete: bytesOf(tpm2.TPM2_SequenceComplete, {
      sequenceHandle: other,
      buffer: ones(5),
      hierarchy: nullHandle,
    }),
    'SequenceComplete of a key': bytesOf(tpm2.TPM2_SequenceComplete, {
      sequenceHandle: key,
      buffer: ones(5),
      hierarchy: nullHandle,
    }),
    'EventSequenceComplete of a hash': bytesOf(tpm2.TPM2_EventSequenceComplete, {
      pcrHandle: 16,
      sequenceHandle: other,
      buffer: ones(5),
    }),
    'Hash of what a TPM would say': bytesOf(tpm2.TPM2_Hash, {
      data: new Uint8Array([0xff, 0x54, 0x43, 0x47]),
      hashAlg: 'sha256',
      hierarchy: owner,
    }),
    'ReadPublic of a sequence': bytesOf(tpm2.TPM2_ReadPublic, { objectHandle: other }),
    'Sign with a sequence': bytesOf(tpm2.TPM2_Sign, {
      keyHandle: other,
      digest: ones(32),
      inScheme: nullScheme,
      validation: noTicket,
    }),
  },
};

/** Events in pieces. */
export const events: Scene = {
  stage: [load(hmacKey(ones(7))), bytesOf(tpm2.TPM2_HashSequenceStart, { ...start, hashAlg: 'null' })],
  commands: {
    EventSequenceComplete: bytesOf(tpm2.TPM2_EventSequenceComplete, {
      pcrHandle: 16,
      sequenceHandle: other,
      buffer: ones(5),
    }),
    'SequenceComplete of an event': bytesOf(tpm2.TPM2_SequenceComplete, {
      sequenceHandle: other,
      buffer: ones(5),
      hierarchy: nullHandle,
    }),
  },
};

const exchange = eccKey('P-256', nullScheme, { decrypt: true });
const elsewhere = eccKey('P-256').inPublic.unique;
/** Key exchange. */
export const exchanges: Scene = {
  stage: [load(exchange), load(eccKey('P-384', { scheme: 'ecdh', ...sha256 }, { decrypt: true }))],
  commands: {
    ECDH_KeyGen: bytesOf(tpm2.TPM2_ECDH_KeyGen, onKey),
    ECDH_ZGen: bytesOf(tpm2.TPM2_ECDH_ZGen, { ...onKey, inPoint: elsewhere }),
    'ECDH_ZGen with a point of another curve': bytesOf(tpm2.TPM2_ECDH_ZGen, {
      keyHandle: other,
      inPoint: elsewhere,
    }),
    ECC_Parameters: bytesOf(tpm2.TPM2_ECC_Parameters, { curveID: 'P-521' }),
    EC_Ephemeral: bytesOf(tpm2.TPM2_EC_Ephemeral, { curveID: 'P-256' }),
    ZGen_2Phase: bytesOf(tpm2.TPM2_ZGen_2Phase, {
      keyA: key,
      inQsB: elsewhere,
      inQeB: elsewhere,
      inScheme: 'ecdh',
      counter: 0,
    }),
    'ZGen_2Phase without a scheme': bytesOf(tpm2.TPM2_ZGen_2Phase, {
      keyA: key,
      inQsB: elsewhere,
      inQeB: elsewhere,
      inScheme: 'null',
      counter: 1,
    }),
    'ZGen_2Phase with ECMQV': bytesOf(tpm2.TPM2_ZGen_2Phase, {
      keyA: key,
      inQsB: elsewhere,
      inQeB: elsewhere,
      inScheme: 'ecmqv',
      counter: 0xfff0,
    }),
    'Commit with it': bytesOf(tpm2.TPM2_Commit, { signHandle: key, P1: noPoint, s2: none, y2: none }),
  },
};

const ecdaa = { scheme: 'ecdaa', ...sha256, count: 0 } as const;
const signs = { digest: ones(32), validation: noTicket } as const;
/** Signatures on curves. */
export const signatures: Scene = {
  stage: [load(eccKey('P-256', ecdaa)), load(eccKey('P-256'))],
  commands: {
    Commit: bytesOf(tpm2.TPM2_Commit, { signHandle: key, P1: noPoint, s2: none, y2: none }),
    'Commit to a point': bytesOf(tpm2.TPM2_Commit, { signHandle: key, P1: elsewhere, s2: none, y2: none }),
    'Commit to half a point': bytesOf(tpm2.TPM2_Commit, {
      signHandle: key,
      P1: noPoint,
      s2: ones(4),
      y2: none,
    }),
    'Commit to a point off the curve': bytesOf(tpm2.TPM2_Commit, {
      signHandle: key,
      P1: noPoint,
      s2: ones(4),
      y2: ones(32),
    }),
    'Sign with ECDAA': bytesOf(tpm2.TPM2_Sign, { ...signs, keyHandle: key, inScheme: ecdaa }),
    'Sign with ECDAA, which commitment not said': bytesOf(tpm2.TPM2_Sign, {
      ...signs,
      keyHandle: key,
      inScheme: nullScheme,
    }),
    'Sign with ECSCHNORR': bytesOf(tpm2.TPM2_Sign, {
      ...signs,
      keyHandle: other,
      inScheme: { scheme: 'ecschnorr', ...sha256 },
    }),
    'Sign with a digest too short': bytesOf(tpm2.TPM2_Sign, {
      ...signs,
      keyHandle: other,
      digest: ones(31),
      inScheme: { scheme: 'ecdsa', ...sha256 },
    }),
    'VerifySignature of ECDAA': bytesOf(tpm2.TPM2_VerifySignature, {
      keyHandle: key,
      digest: ones(32),
      signature: { sigAlg: 'ecdaa', hash: 'sha256', signatureR: ones(32), signatureS: ones(32) },
    }),
    'VerifySignature of an HMAC': bytesOf(tpm2.TPM2_VerifySignature, {
      keyHandle: key,
      digest: ones(32),
      signature: { sigAlg: 'hmac', hmac: { ...sha256, digest: ones(32) } },
    }),
    TestParms: bytesOf(tpm2.TPM2_TestParms, {
      parameters: {
        type: 'ecc',
        parameters: { symmetric: { algorithm: 'null' }, scheme: ecdaa, curveID: 'P-256', kdf: nullScheme },
      },
    }),
  },
};
