import {
  TPM2_Commit,
  TPM2_EC_Ephemeral,
  TPM2_EncryptDecrypt,
  TPM2_PolicySecret,
  TPM2_PolicyTicket,
  TPM2_ZGen_2Phase,
} from '../../src/tpm/commands.ts';
import type { TPMT_PUBLIC } from '../../src/tpm/index.ts';
import {
  cipherInTpm,
  createPrimary,
  ecdh,
  ecdhKeyGen,
  hmacInTpm,
  importKey,
  ldevidTemplate,
  loadKey,
  owned,
  run,
  signMessage,
  softwareHmacKey,
  srkTemplate,
  startSession,
  TPM_RH,
  wrapForImport,
} from '../../src/tpm/index.ts';
import type { Scene } from './scene.ts';
import { primary } from './scene.ts';

const none = new Uint8Array(0);
const nowhere = { x: none, y: none };

/** Scenes of what lies below keys and attestations: sequences, ciphers, points, tickets. */
export const lowScenes: Readonly<Record<string, Scene>> = {
  'a message longer than a command, signed': async (tpm, from) => {
    await using key = await primary(tpm, ldevidTemplate);
    await signMessage(tpm, key, from.random.bytes(1500));
  },

  'an HMAC in pieces, by a key brought along': async (tpm, from) => {
    await using srk = await primary(tpm, srkTemplate);
    const software = softwareHmacKey(from.random.bytes(32), from.random.bytes(32));
    const duplicate = wrapForImport({ parent: srk.public, key: software, random: from.random });
    await using key = owned(tpm, await loadKey(tpm, srk, await importKey(tpm, srk, duplicate)));
    await hmacInTpm(tpm, key, from.random.bytes(1100));
  },

  'data encrypted and decrypted': async (tpm, from) => {
    await using key = await primary(tpm, symmetric);
    const iv = from.random.bytes(16);
    const data = await cipherInTpm(tpm, key, from.random.bytes(100), { decrypt: false, iv });
    const request = { keyHandle: key, decrypt: 'yes', mode: 'null', ivIn: iv, inData: data } as const;
    await run(tpm, TPM2_EncryptDecrypt, request);
  },

  'a commitment for an anonymous signature': async (tpm) => {
    await using key = await primary(tpm, anonymous);
    await run(tpm, TPM2_Commit, { signHandle: key, P1: nowhere, s2: none, y2: none });
  },

  'a key agreed on in two phases': async (tpm, from) => {
    await using key = await primary(tpm, agreeing);
    const { Q, counter } = await run(tpm, TPM2_EC_Ephemeral, { curveID: 'P-256' });
    const inScheme = from.of(['ecdh', 'ecmqv']);
    await run(tpm, TPM2_ZGen_2Phase, { keyA: key, inQsB: Q, inQeB: Q, inScheme, counter });
  },

  'a secret shared with a key in the TPM': async (tpm) => {
    await using key = await primary(tpm, agreeing);
    await using srk = await primary(tpm, srkTemplate);
    const { point } = await ecdhKeyGen(tpm, key, { saltedTo: srk });
    await ecdh(tpm, key, point, { saltedTo: srk });
  },

  'a policy met by a ticket': async (tpm, from) => {
    const policyRef = from.random.bytes(8);
    const first = await startSession(tpm, { kind: 'policy' });
    const asked = { cpHashA: none, policyRef };
    const { timeout, policyTicket } = await run(tpm, TPM2_PolicySecret, {
      authHandle: TPM_RH.owner,
      policySession: first.handle,
      nonceTPM: first.nonceTpm,
      expiration: -100,
      ...asked,
    });
    const second = await startSession(tpm, { kind: 'policy' });
    const authName = Uint8Array.of(0x40, 0, 0, 1);
    const ticket = policyTicket;
    await run(tpm, TPM2_PolicyTicket, { policySession: second.handle, timeout, authName, ticket, ...asked });
  },

  'a primary key of the platform': async (tpm) => {
    await using _key = owned(
      tpm,
      await createPrimary(tpm, { hierarchy: 'platform', template: ldevidTemplate }),
    );
  },
};

const attributes = { sensitiveDataOrigin: true, userWithAuth: true, noDA: true } as const;

const symmetric = {
  type: 'symcipher',
  nameAlg: 'sha256',
  objectAttributes: { ...attributes, sign: true, decrypt: true },
  authPolicy: none,
  parameters: { sym: { algorithm: 'aes', keyBits: 128, mode: 'cfb' } },
  unique: none,
} as const satisfies TPMT_PUBLIC;

const anonymous = {
  ...ldevidTemplate,
  parameters: {
    ...ldevidTemplate.parameters,
    scheme: { scheme: 'ecdaa', hashAlg: 'sha256', count: 0 },
  },
} as TPMT_PUBLIC;

const agreeing = {
  ...ldevidTemplate,
  objectAttributes: { ...attributes, decrypt: true },
  parameters: { ...ldevidTemplate.parameters, scheme: { scheme: 'null' } },
} as TPMT_PUBLIC;
