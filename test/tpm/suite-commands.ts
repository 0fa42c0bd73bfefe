import { createECDH } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { concat } from '../../src/core/bytes.ts';
import {
  TPM2_CertifyCreation,
  TPM2_Clear,
  TPM2_ClearControl,
  TPM2_ContextLoad,
  TPM2_ContextSave,
  TPM2_Create,
  TPM2_CreateLoaded,
  TPM2_CreatePrimary,
  TPM2_DictionaryAttackLockReset,
  TPM2_ECDH_ZGen,
  TPM2_FlushContext,
  TPM2_GetCapability,
  TPM2_GetTestResult,
  TPM2_Hash,
  TPM2_IncrementalSelfTest,
  TPM2_Load,
  TPM2_LoadExternal,
  TPM2_MakeCredential,
  TPM2_ObjectChangeAuth,
  TPM2_PCR_Event,
  TPM2_ReadPublic,
  TPM2_SelfTest,
  TPM2_Shutdown,
  TPM2_Sign,
  TPM2_TestParms,
  TPM2_Unseal,
  TPM2_VerifySignature,
} from '../../src/tpm/commands.ts';
import {
  activateCredential,
  createPrimary,
  encode,
  flush,
  getRandom,
  iakTemplate,
  ldevidTemplate,
  listHandles,
  nameOf,
  pcrRead,
  publicOfJwk,
  readAttest,
  readClock,
  run,
  srkTemplate,
  TPM_RH,
  TPMT_PUBLIC,
  tpmSigner,
  verifyTpmSignature,
} from '../../src/tpm/index.ts';
import { digest } from '../../src/tpm/kdf.ts';
import { TPMS_CREATION_DATA } from '../../src/tpm/structures.ts';
import type { Stage } from './stage.ts';
import { makeEk } from './stage.ts';

const nothing = new Uint8Array(0);
const creation = { outsideInfo: nothing, creationPCR: [] } as const;
const noTicket = { tag: 'hashcheck', hierarchy: TPM_RH.null, digest: nothing } as const;

/** Commands of the tiers T0 and T1 that the stories above do not use, each with what it is for. */
export function commandStories(stage: () => Stage): void {
  describe('a TPM', () => {
    it('says who made it, tests itself and tells its limits', async () => {
      const { tpm } = stage();
      expect(tpm.manufacturer).toMatch(/^[\x20-\x7e]{2,4}$/);
      expect(tpm.vendor).not.toBe('');
      expect(tpm.nvBufferMax).toBeGreaterThanOrEqual(512);
      await run(tpm, TPM2_SelfTest, { fullTest: 'yes' });
      const { toDoList } = await run(tpm, TPM2_IncrementalSelfTest, { toTest: [0x000b] });
      expect(toDoList.length).toBeLessThan(10);
      expect((await run(tpm, TPM2_GetTestResult, {})).testResult).toBe(0);
      await run(tpm, TPM2_Shutdown, { shutdownType: 'clear' });
    });

    it('lists algorithms, commands, PCR banks and curves', async () => {
      const { tpm } = stage();
      const get = async (
        capability: 'algs' | 'commands' | 'pcrs' | 'eccCurves' | 'pcrProperties',
        property: number,
      ) => (await run(tpm, TPM2_GetCapability, { capability, property, propertyCount: 127 })).capabilityData;
      expect(await get('algs', 0)).toMatchObject({
        data: expect.arrayContaining([expect.objectContaining({ alg: 0x000b })]),
      });
      expect((await get('commands', 0x11f)).data.length).toBeGreaterThan(50);
      expect(await get('pcrs', 0)).toMatchObject({
        data: expect.arrayContaining([expect.objectContaining({ hash: 'sha256' })]),
      });
      expect((await get('eccCurves', 0)).data).toContain(3);
    });

    it('gives as many random bytes as asked for, and a clock that runs', async () => {
      const { tpm } = stage();
      const bytes = await getRandom(tpm, 100);
      expect(bytes).toHaveLength(100);
      expect(bytes.some((byte) => byte !== 0)).toBe(true);
      const { clockInfo } = await readClock(tpm);
      expect(clockInfo.clock).toBeTypeOf('bigint');
      expect(clockInfo.resetCount).toBeGreaterThan(0);
    });

    it('knows which parameters it supports', async () => {
      const { tpm } = stage();
      await run(tpm, TPM2_TestParms, { parameters: { type: 'ecc', parameters: ldevidTemplate.parameters } });
      const { symmetric } = ldevidTemplate.parameters;
      const strange = { symmetric, scheme: { scheme: 'null' }, keyBits: 1000, exponent: 0 } as const;
      await expect(
        run(tpm, TPM2_TestParms, { parameters: { type: 'rsa', parameters: strange } }),
      ).rejects.toMatchObject({
        code: 'tpm.refused',
        command: 'TPM2_TestParms',
      });
    });

    it('hashes, and a restricted key signs what it has hashed (ticket)', async () => {
      const { tpm } = stage();
      const data = tpm.random.bytes(200);
      const hashed = await run(tpm, TPM2_Hash, { data, hashAlg: 'sha256', hierarchy: TPM_RH.endorsement });
      expect(hashed.outHash).toEqual(digest('sha256', data));
      const iak = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
      const request = { keyHandle: iak, digest: hashed.outHash, inScheme: { scheme: 'null' } } as const;
      const { signature } = await run(tpm, TPM2_Sign, { ...request, validation: hashed.validation });
      expect(verifyTpmSignature(iak.public, data, signature)).toBe(true);
      await expect(run(tpm, TPM2_Sign, { ...request, validation: noTicket })).rejects.toMatchObject({
        reason: 'TICKET',
      });
      const forged = concat(Uint8Array.of(0xff, 0x54, 0x43, 0x47), data);
      const ticket = await run(tpm, TPM2_Hash, {
        data: forged,
        hashAlg: 'sha256',
        hierarchy: TPM_RH.endorsement,
      });
      const forging = run(tpm, TPM2_Sign, {
        ...request,
        digest: ticket.outHash,
        validation: ticket.validation,
      });
      await expect(forging).rejects.toMatchObject({ reason: 'TICKET' });
    });

    it('verifies signatures of keys that are not its own', async () => {
      const { tpm } = stage();
      const key = await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate });
      const data = tpm.random.bytes(50);
      const signer = tpmSigner(tpm, key);
      const raw = await signer.sign(data);
      await flush(tpm, key);
      const external = publicOfJwk(
        { ...ldevidTemplate, objectAttributes: { userWithAuth: true, sign: true } },
        signer.publicJwk,
      );
      const loaded = await run(tpm, TPM2_LoadExternal, { inPublic: external, hierarchy: TPM_RH.null });
      expect(loaded.name).toEqual(nameOf(external));
      const signature = {
        sigAlg: 'ecdsa',
        hash: 'sha256',
        signatureR: raw.slice(0, 32),
        signatureS: raw.slice(32),
      } as const;
      const keyHandle = loaded.objectHandle;
      const { validation } = await run(tpm, TPM2_VerifySignature, {
        keyHandle,
        digest: digest('sha256', data),
        signature,
      });
      expect(validation.tag).toBe('verified');
      const wrong = run(tpm, TPM2_VerifySignature, {
        keyHandle,
        digest: digest('sha256', nothing),
        signature,
      });
      await expect(wrong).rejects.toMatchObject({
        reason: 'SIGNATURE',
        operand: { kind: 'parameter', number: 2 },
      });
    });

    it('seals data under a storage key, changes its auth value, and unseals it', async () => {
      const { tpm } = stage();
      const srk = await createPrimary(tpm, { hierarchy: 'owner', template: srkTemplate });
      const data = tpm.random.bytes(48);
      const inPublic: TPMT_PUBLIC = {
        type: 'keyedhash',
        nameAlg: 'sha256',
        authPolicy: nothing,
        unique: nothing,
        parameters: { scheme: { scheme: 'null' } },
        objectAttributes: { fixedTPM: true, fixedParent: true, userWithAuth: true },
      };
      const made = await run(tpm, TPM2_Create, {
        parentHandle: srk,
        inSensitive: { userAuth: nothing, data },
        inPublic,
        ...creation,
      });
      expect(made.creationHash).toEqual(digest('sha256', encode(TPMS_CREATION_DATA, made.creationData)));
      const load = async (inPrivate: Uint8Array) =>
        (await run(tpm, TPM2_Load, { parentHandle: srk, inPrivate, inPublic: made.outPublic })).objectHandle;
      const first = await load(made.outPrivate);
      expect((await run(tpm, TPM2_Unseal, { itemHandle: first })).outData).toEqual(data);
      const newAuth = tpm.random.bytes(8);
      const { outPrivate } = await run(tpm, TPM2_ObjectChangeAuth, {
        objectHandle: first,
        parentHandle: srk,
        newAuth,
      });
      await run(tpm, TPM2_FlushContext, { flushHandle: first });
      const second = await load(outPrivate);
      await expect(run(tpm, TPM2_Unseal, { itemHandle: second })).rejects.toMatchObject({
        reason: 'AUTH_FAIL',
      });
    });

    it('makes and loads a key in one go, and derives ECDH points with it', async () => {
      const { tpm } = stage();
      const srk = await createPrimary(tpm, { hierarchy: 'owner', template: srkTemplate });
      const template: TPMT_PUBLIC = {
        ...ldevidTemplate,
        objectAttributes: {
          fixedTPM: true,
          fixedParent: true,
          sensitiveDataOrigin: true,
          userWithAuth: true,
          decrypt: true,
        },
        parameters: { ...ldevidTemplate.parameters, scheme: { scheme: 'ecdh', hashAlg: 'sha256' } },
      };
      const key = await run(tpm, TPM2_CreateLoaded, {
        parentHandle: srk,
        inSensitive: { userAuth: nothing, data: nothing },
        inPublic: encode(TPMT_PUBLIC, template),
      });
      if (key.outPublic.type !== 'ecc') throw new Error('not the key asked for');
      const ecdh = createECDH('prime256v1');
      const own = ecdh.generateKeys();
      const inPoint = { x: own.subarray(1, 33), y: own.subarray(33) };
      const { outPoint } = await run(tpm, TPM2_ECDH_ZGen, { keyHandle: key.objectHandle, inPoint });
      const theirs = concat(Uint8Array.of(4), key.outPublic.unique.x, key.outPublic.unique.y);
      expect(outPoint.x).toEqual(new Uint8Array(ecdh.computeSecret(theirs)));
    });

    it('makes credentials that it activates, as ours are', async () => {
      const { tpm } = stage();
      const ek = await makeEk(tpm);
      const ak = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
      const credential = tpm.random.bytes(32);
      const challenge = await run(tpm, TPM2_MakeCredential, { handle: ek, credential, objectName: ak.name });
      expect(await activateCredential(tpm, { ak, ek, challenge })).toEqual(credential);
    });

    it('certifies that it made a key', async () => {
      const { tpm } = stage();
      const iak = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
      const made = await run(tpm, TPM2_CreatePrimary, {
        primaryHandle: TPM_RH.owner,
        inSensitive: { userAuth: nothing, data: nothing },
        inPublic: ldevidTemplate,
        ...creation,
      });
      const { certifyInfo, signature } = await run(tpm, TPM2_CertifyCreation, {
        signHandle: iak,
        objectHandle: made.objectHandle,
        qualifyingData: nothing,
        creationHash: made.creationHash,
        inScheme: { scheme: 'null' },
        creationTicket: made.creationTicket,
      });
      expect(verifyTpmSignature(iak.public, certifyInfo, signature)).toBe(true);
      expect(readAttest(certifyInfo)).toMatchObject({
        type: 'attestCreation',
        attested: { objectName: nameOf(made.outPublic), creationHash: made.creationHash },
      });
    });

    it('saves an object outside and loads it back', async () => {
      const { tpm } = stage();
      const key = await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate });
      const { context } = await run(tpm, TPM2_ContextSave, { saveHandle: key.handle });
      await flush(tpm, key);
      const { loadedHandle } = await run(tpm, TPM2_ContextLoad, { context });
      expect((await run(tpm, TPM2_ReadPublic, { objectHandle: loadedHandle })).name).toEqual(key.name);
      const damaged = {
        ...context,
        contextBlob: context.contextBlob.map((byte, i) => (i === 60 ? byte ^ 1 : byte)),
      };
      await expect(run(tpm, TPM2_ContextLoad, { context: damaged })).rejects.toMatchObject({
        reason: 'INTEGRITY',
      });
    });

    it('extends PCRs by events, in each bank', async () => {
      const { tpm } = stage();
      const eventData = tpm.random.bytes(40);
      const { digests } = await run(tpm, TPM2_PCR_Event, { pcrHandle: 16, eventData });
      const sha256 = digests.find(({ hashAlg }) => hashAlg === 'sha256');
      expect(sha256?.digest).toEqual(digest('sha256', eventData));
      expect(await pcrRead(tpm, [16])).toEqual([
        digest('sha256', new Uint8Array(32), digest('sha256', eventData)),
      ]);
    });

    it('forgets its owner when cleared, unless that is disabled', async () => {
      const { tpm } = stage();
      const before = await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate });
      const ekName = (await makeEk(tpm)).name;
      await run(tpm, TPM2_ClearControl, { auth: TPM_RH.lockout, disable: 'yes' });
      await expect(run(tpm, TPM2_Clear, { authHandle: TPM_RH.lockout })).rejects.toMatchObject({
        reason: 'DISABLED',
      });
      await run(tpm, TPM2_ClearControl, { auth: TPM_RH.platform, disable: 'no' });
      await run(tpm, TPM2_Clear, { authHandle: TPM_RH.lockout });
      expect(await listHandles(tpm, 'persistent')).toEqual([]);
      const after = await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate });
      expect(after.name).not.toEqual(before.name);
      expect((await makeEk(tpm)).name).toEqual(ekName);
      await run(tpm, TPM2_DictionaryAttackLockReset, { lockHandle: TPM_RH.lockout });
    });
  });

  describe('a refusal', () => {
    it.each([
      [
        'a handle that is not there',
        () => ({ objectHandle: 0x81001234 }),
        { reason: 'HANDLE', operand: { kind: 'handle', number: 1 } },
      ],
      [
        'a handle of no kind',
        () => ({ objectHandle: 0x12345678 }),
        { reason: 'VALUE', operand: { kind: 'handle', number: 1 } },
      ],
    ] as const)('names the operand: %s', async (_, request, expected) => {
      await expect(run(stage().tpm, TPM2_ReadPublic, request())).rejects.toMatchObject({
        code: 'tpm.refused',
        remedy: 'give-up',
        command: 'TPM2_ReadPublic',
        ...expected,
      });
    });

    it('that is a warning says to try again', async () => {
      const { tpm } = stage();
      const made: number[] = [];
      const fill = async () => {
        for (let i = 0; i < 70; i++)
          made.push((await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate })).handle);
      };
      await expect(fill()).rejects.toMatchObject({ reason: 'OBJECT_MEMORY', remedy: 'retry' });
      expect(made.length).toBeGreaterThanOrEqual(3);
    });
  });
}
