import { beforeEach, describe, expect, it } from 'vitest';
import {
  TPM2_ActivateCredential,
  TPM2_CreatePrimary,
  TPM2_Duplicate,
  TPM2_GetRandom,
  TPM2_LoadExternal,
  TPM2_MakeCredential,
  TPM2_Rewrap,
  TPM2_StartAuthSession,
} from '../../src/tpm/commands.ts';
import { Policy, TPM_RH } from '../../src/tpm/index.ts';
import { filled, none } from '../tpm/raw.ts';
import { keyless, withPolicy } from '../tpm/raw-sessions.ts';
import { aes128, creation, looseStorage, nullCipher, rsaTemplate } from '../tpm/raw-templates.ts';
import { eccKey } from './external-keys.ts';
import { Bench } from './tpm-bench.ts';

/** 1,024 bits have no room for OAEP with SHA-512: two digests and two bytes. */
const short = rsaTemplate(looseStorage.objectAttributes, {
  nameAlg: 'sha512',
  parameters: { symmetric: aes128, keyBits: 1024 },
});

describe('an RSA storage key that is too short for the hash of its Name', () => {
  let bench: Bench;
  let key: number;

  beforeEach(() => {
    bench = new Bench();
    const primary = { primaryHandle: TPM_RH.owner, ...creation, inPublic: short };
    key = bench.ask(TPM2_CreatePrimary, primary).objectHandle;
  });

  it('can be sent no secret: KEY', () => {
    const credential = { credential: filled(8), objectName: filled(34) };
    expect(bench.code(TPM2_MakeCredential, { handle: key, ...credential })).toBe(0x19c);
    const rewrap = { oldParent: TPM_RH.null, newParent: key, inSymSeed: none, name: filled(34) };
    expect(bench.code(TPM2_Rewrap, { ...rewrap, inDuplicate: filled(40) })).toBe(0x9c);
    const { code } = TPM2_Duplicate;
    const { inPrivate, inPublic } = eccKey('P-256');
    const authPolicy = Policy.start('sha256').commandCode(code).digest;
    const leaving = { inPrivate, inPublic: { ...inPublic, authPolicy }, hierarchy: TPM_RH.null };
    const { objectHandle } = bench.ask(TPM2_LoadExternal, leaving);
    const duplicate = { objectHandle, newParentHandle: key, encryptionKeyIn: none, symmetricAlg: nullCipher };
    expect(bench.code(TPM2_Duplicate, duplicate, withPolicy(bench.policy(code)))).toBe(0x9c);
  });

  it('opens none: VALUE', () => {
    const secret = filled(128, 1);
    const activate = { activateHandle: key, keyHandle: key, credentialBlob: filled(40), secret };
    expect(bench.code(TPM2_ActivateCredential, activate)).toBe(0x2c4);
    const salted = { ...keyless('hmac'), tpmKey: key, encryptedSalt: secret };
    expect(bench.code(TPM2_StartAuthSession, salted)).toBe(0x2c4);
    expect(bench.code(TPM2_GetRandom, { bytesRequested: 8 })).toBe(0);
  });
});

describe('an RSA storage key', () => {
  it('opens no secret that is a larger number than its modulus, nor one that is no block of OAEP: VALUE', () => {
    const bench = new Bench();
    const inPublic = rsaTemplate(looseStorage.objectAttributes, {
      parameters: { symmetric: aes128, keyBits: 1024 },
    });
    const { objectHandle } = bench.ask(TPM2_CreatePrimary, {
      primaryHandle: TPM_RH.owner,
      ...creation,
      inPublic,
    });
    const salted = (encryptedSalt: Uint8Array) =>
      bench.code(TPM2_StartAuthSession, { ...keyless('hmac'), tpmKey: objectHandle, encryptedSalt });
    expect(salted(filled(128, 0xff))).toBe(0x2c4);
    expect(salted(filled(128, 1))).toBe(0x2c4);
  });
});
