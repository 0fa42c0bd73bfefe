import { describe, expect, it } from 'vitest';
import { hex } from '../../src/core/bytes.ts';
import * as tpm2 from '../../src/tpm/commands.ts';
import { ekTemplate, iakTemplate, ldevidTemplate, srkTemplate } from '../../src/tpm/index.ts';
import { bytesOf, codeOf } from '../tpm/raw.ts';
import { oneByteWrong, startPair } from './pair.ts';
import { needs } from './present.ts';

const none = new Uint8Array();
const zeros = (count: number) => new Uint8Array(count);
const owner = 0x40000001;
const endorsement = 0x4000000b;
const none7 = 0x40000007;
const storage = 0x80000000;
const iak = 0x80000001;
const index = 0x01500001;
const policySession = 0x03000000;
const persistent = 0x81000009;
const creation = {
  inSensitive: { userAuth: none, data: none },
  outsideInfo: none,
  creationPCR: [],
} as const;
const nvPublic = {
  nvIndex: index,
  nameAlg: 'sha256',
  attributes: {
    nt: 'ordinary',
    ownerread: true,
    ownerwrite: true,
    authread: true,
    authwrite: true,
    noDa: true,
  },
  authPolicy: none,
  dataSize: 16,
} as const;
const nullScheme = { scheme: 'null' } as const;
const sealed = {
  type: 'keyedhash',
  nameAlg: 'sha256',
  objectAttributes: { fixedTPM: true, fixedParent: true, userWithAuth: true },
  authPolicy: none,
  parameters: { scheme: nullScheme },
  unique: none,
} as const;
const session = {
  tpmKey: none7,
  bind: none7,
  nonceCaller: zeros(16),
  encryptedSalt: none,
  symmetric: { algorithm: 'aes', keyBits: 128, mode: 'cfb' },
  authHash: 'sha256',
} as const;

/** What both chips hold before each command. */
const stage: readonly Uint8Array[] = [
  bytesOf(tpm2.TPM2_CreatePrimary, { primaryHandle: owner, inPublic: srkTemplate, ...creation }),
  bytesOf(tpm2.TPM2_CreatePrimary, { primaryHandle: endorsement, inPublic: iakTemplate(), ...creation }),
  bytesOf(tpm2.TPM2_NV_DefineSpace, { authHandle: owner, auth: none, publicInfo: nvPublic }),
  bytesOf(tpm2.TPM2_NV_Write, { authHandle: owner, nvIndex: index, data: zeros(16), offset: 0 }),
  bytesOf(tpm2.TPM2_StartAuthSession, { ...session, sessionType: 'policy' }),
];

/** Takes back whatever a command may have left. */
const cleaning: readonly Uint8Array[] = [
  bytesOf(tpm2.TPM2_FlushContext, { flushHandle: 0x80000002 }),
  bytesOf(tpm2.TPM2_FlushContext, { flushHandle: 0x03000001 }),
  bytesOf(tpm2.TPM2_FlushContext, { flushHandle: 0x02000001 }),
  bytesOf(tpm2.TPM2_PolicyRestart, { sessionHandle: policySession }),
  bytesOf(tpm2.TPM2_DictionaryAttackLockReset, { lockHandle: 0x4000000a }),
  bytesOf(tpm2.TPM2_EvictControl, { auth: owner, objectHandle: persistent, persistentHandle: persistent }),
];

const onIndex = { authHandle: owner, nvIndex: index };
const commands: Readonly<Record<string, Uint8Array>> = {
  CreatePrimary: bytesOf(tpm2.TPM2_CreatePrimary, {
    ...creation,
    primaryHandle: owner,
    inPublic: ldevidTemplate,
    creationPCR: [{ hash: 'sha256', pcrSelect: [0, 1] }],
  }),
  'CreatePrimary of an EK': bytesOf(tpm2.TPM2_CreatePrimary, {
    ...creation,
    primaryHandle: endorsement,
    inPublic: ekTemplate,
  }),
  Create: bytesOf(tpm2.TPM2_Create, { ...creation, parentHandle: storage, inPublic: ldevidTemplate }),
  'Create of sealed data': bytesOf(tpm2.TPM2_Create, {
    ...creation,
    parentHandle: storage,
    inSensitive: { userAuth: none, data: zeros(4) },
    inPublic: sealed,
  }),
  'Create below a signing key': bytesOf(tpm2.TPM2_Create, {
    ...creation,
    parentHandle: iak,
    inPublic: ldevidTemplate,
  }),
  ReadPublic: bytesOf(tpm2.TPM2_ReadPublic, { objectHandle: storage }),
  Quote: bytesOf(tpm2.TPM2_Quote, {
    signHandle: iak,
    qualifyingData: zeros(8),
    inScheme: nullScheme,
    PCRselect: [{ hash: 'sha256', pcrSelect: [0] }],
  }),
  'Quote by a storage key': bytesOf(tpm2.TPM2_Quote, {
    signHandle: storage,
    qualifyingData: zeros(8),
    inScheme: { scheme: 'ecdsa', hashAlg: 'sha256' },
    PCRselect: [],
  }),
  Certify: bytesOf(tpm2.TPM2_Certify, {
    objectHandle: storage,
    signHandle: iak,
    qualifyingData: none,
    inScheme: nullScheme,
  }),
  'Certify of the IAK by password': bytesOf(tpm2.TPM2_Certify, {
    objectHandle: iak,
    signHandle: iak,
    qualifyingData: none,
    inScheme: nullScheme,
  }),
  'Sign by a restricted key': bytesOf(tpm2.TPM2_Sign, {
    keyHandle: iak,
    digest: zeros(32),
    inScheme: { scheme: 'ecdsa', hashAlg: 'sha256' },
    validation: { tag: 'hashcheck', hierarchy: none7, digest: none },
  }),
  Hash: bytesOf(tpm2.TPM2_Hash, { data: zeros(4), hashAlg: 'sha256', hierarchy: owner }),
  NV_Read: bytesOf(tpm2.TPM2_NV_Read, { ...onIndex, size: 16, offset: 0 }),
  'NV_Read by the index': bytesOf(tpm2.TPM2_NV_Read, {
    authHandle: index,
    nvIndex: index,
    size: 16,
    offset: 0,
  }),
  NV_Write: bytesOf(tpm2.TPM2_NV_Write, { ...onIndex, data: zeros(16), offset: 0 }),
  'NV_Increment of no counter': bytesOf(tpm2.TPM2_NV_Increment, onIndex),
  'NV_WriteLock without the attribute': bytesOf(tpm2.TPM2_NV_WriteLock, onIndex),
  'NV_ReadLock without the attribute': bytesOf(tpm2.TPM2_NV_ReadLock, onIndex),
  NV_ReadPublic: bytesOf(tpm2.TPM2_NV_ReadPublic, { nvIndex: index }),
  'NV_DefineSpace twice': bytesOf(tpm2.TPM2_NV_DefineSpace, {
    authHandle: owner,
    auth: none,
    publicInfo: nvPublic,
  }),
  NV_Certify: bytesOf(tpm2.TPM2_NV_Certify, {
    ...onIndex,
    signHandle: iak,
    qualifyingData: none,
    inScheme: nullScheme,
    size: 16,
    offset: 0,
  }),
  PCR_Extend: bytesOf(tpm2.TPM2_PCR_Extend, {
    pcrHandle: 16,
    digests: [{ hashAlg: 'sha256', digest: zeros(32) }],
  }),
  PCR_Reset: bytesOf(tpm2.TPM2_PCR_Reset, { pcrHandle: 16 }),
  PCR_Event: bytesOf(tpm2.TPM2_PCR_Event, { pcrHandle: 16, eventData: zeros(3) }),
  PCR_Read: bytesOf(tpm2.TPM2_PCR_Read, { pcrSelectionIn: [{ hash: 'sha256', pcrSelect: [0, 1] }] }),
  EvictControl: bytesOf(tpm2.TPM2_EvictControl, {
    auth: owner,
    objectHandle: iak,
    persistentHandle: persistent,
  }),
  'EvictControl of nothing': bytesOf(tpm2.TPM2_EvictControl, {
    auth: owner,
    objectHandle: persistent,
    persistentHandle: persistent + 1,
  }),
  'FlushContext of nothing': bytesOf(tpm2.TPM2_FlushContext, { flushHandle: 0x80000002 }),
  ContextSave: bytesOf(tpm2.TPM2_ContextSave, { saveHandle: storage }),
  PolicySecret: bytesOf(tpm2.TPM2_PolicySecret, {
    authHandle: endorsement,
    policySession,
    nonceTPM: none,
    cpHashA: none,
    policyRef: none,
    expiration: 0,
  }),
  PolicyOR: bytesOf(tpm2.TPM2_PolicyOR, { policySession, pHashList: [zeros(32), zeros(32)] }),
  PolicyPCR: bytesOf(tpm2.TPM2_PolicyPCR, {
    policySession,
    pcrDigest: none,
    pcrs: [{ hash: 'sha256', pcrSelect: [0] }],
  }),
  PolicyGetDigest: bytesOf(tpm2.TPM2_PolicyGetDigest, { policySession }),
  StartAuthSession: bytesOf(tpm2.TPM2_StartAuthSession, { ...session, sessionType: 'trial' }),
  'Startup when started': bytesOf(tpm2.TPM2_Startup, { startupType: 'clear' }),
  GetCapability: bytesOf(tpm2.TPM2_GetCapability, {
    capability: 'tpmProperties',
    property: 0x100,
    propertyCount: 2,
  }),
  'ClearControl to no by lockout': bytesOf(tpm2.TPM2_ClearControl, { auth: 0x4000000a, disable: 'no' }),
  HierarchyChangeAuth: bytesOf(tpm2.TPM2_HierarchyChangeAuth, { authHandle: owner, newAuth: none }),
  'Unseal of a key': bytesOf(tpm2.TPM2_Unseal, { itemHandle: storage }),
  MakeCredential: bytesOf(tpm2.TPM2_MakeCredential, {
    handle: storage,
    credential: zeros(16),
    objectName: zeros(34),
  }),
  'VerifySignature of zeros': bytesOf(tpm2.TPM2_VerifySignature, {
    keyHandle: iak,
    digest: zeros(32),
    signature: { sigAlg: 'ecdsa', hash: 'sha256', signatureR: zeros(32), signatureS: zeros(32) },
  }),
  GetTime: bytesOf(tpm2.TPM2_GetTime, {
    privacyAdminHandle: endorsement,
    signHandle: iak,
    qualifyingData: none,
    inScheme: nullScheme,
  }),
};

/** Where libtpms 0.9 and we differ, on purpose or because it knows more. [ours, its], hexadecimal. */
const known: ReadonlySet<string> = new Set([
  '1e 84', // a wrong tag: BAD_TAG as Part 3 §5.2 says
  '2c2 2e1', // attribute bits of revision 1.64 (firmwareLimited): known to us, reserved to it
  '2e7 2e1',
  '18a 2e1',
  '2e6 0', // P-224
  '2d6 0', // storage keys with another mode than CFB: Part 2 §12.2.3.6 asks for CFB
  '0 4e3', // an expiration of 1 s without nonce is an absolute time: it depends on how long each runs
  '4e3 0',
  '2c2 2d5', // PIN indices
  'a9a a84', // a session cut short: the handle it would have is looked at first
  'a95 a84',
  '1da 1d5', // a TPM2B inside a TPM2B that is longer than it
  '2da 2d5',
  '2d5 2c4', // a TPM2B that is longer than the command: its content is looked at first
]);

describe.skipIf(!needs('swtpm'))('the software TPM and swtpm', { timeout: 120_000 }, () => {
  it('answer the same commands, right and with one byte wrong, with the same response code', async () => {
    const pair = await startPair();
    const both = async (command: Uint8Array) =>
      (await pair.both(command)).map((answer) => codeOf(answer).toString(16));
    try {
      for (const command of stage) expect(await both(command)).toEqual(['0', '0']);
      const differences: string[] = [];
      const compare = async (name: string, command: Uint8Array) => {
        const [our, its] = await both(command);
        if (our !== its && !known.has(`${our} ${its}`))
          differences.push(`${name}: ours ${our}, swtpm's ${its}, for ${hex(command)}`);
        const left = our === '0' || its === '0' || our?.endsWith('8e');
        if (left) for (const one of cleaning) await both(one);
      };
      for (const [name, command] of Object.entries(commands)) {
        await compare(name, command);
        for (const { at, changed } of oneByteWrong(command)) await compare(`${name}, byte ${at}`, changed);
      }
      expect(differences).toEqual([]);
    } finally {
      await pair.close();
    }
  });

  it('bind sessions to an NV index, unless it counts who proves its auth value', async () => {
    const pair = await startPair();
    try {
      const codes: Record<string, number> = {};
      for (const nt of ['ordinary', 'counter', 'bits', 'extend', 'pinFail', 'pinPass'] as const) {
        const publicInfo = {
          ...nvPublic,
          attributes: {
            nt,
            ownerread: true,
            ownerwrite: true,
            authread: true,
            authwrite: nt !== 'pinFail' && nt !== 'pinPass',
            noDa: true,
          },
          dataSize: nt === 'extend' ? 32 : nt === 'ordinary' ? 16 : 8,
        };
        const define = { authHandle: owner, auth: none, publicInfo };
        expect(await pair.compare(nt, tpm2.TPM2_NV_DefineSpace, define)).toEqual([0, 0]);
        const bound = { ...session, bind: index, sessionType: 'hmac' } as const;
        [codes[nt]] = await pair.compare(`bound to ${nt}`, tpm2.TPM2_StartAuthSession, bound);
        await pair.both(bytesOf(tpm2.TPM2_FlushContext, { flushHandle: 0x02000000 }));
        await pair.compare(nt, tpm2.TPM2_NV_UndefineSpace, onIndex);
      }
      expect(pair.differences()).toEqual([]);
      const [may, mayNot] = [0, 0x28b];
      expect(codes).toEqual({
        ordinary: may,
        counter: may,
        bits: may,
        extend: may,
        pinFail: mayNot,
        pinPass: mayNot,
      });
    } finally {
      await pair.close();
    }
  });
});
