import { beforeEach, describe, expect, it } from 'vitest';
import { concat, u32 } from '../../src/core/bytes.ts';
import { decode } from '../../src/tpm/codec.ts';
import {
  TPM2_ContextLoad,
  TPM2_CreatePrimary,
  TPM2_FlushContext,
  TPM2_GetCapability,
  TPM2_GetCommandAuditDigest,
  TPM2_GetRandom,
  TPM2_GetSessionAuditDigest,
  TPM2_GetTestResult,
  TPM2_HierarchyChangeAuth,
  TPM2_PCR_Reset,
  TPM2_PolicyAuthValue,
  TPM2_PolicyGetDigest,
  TPM2_PolicyRestart,
  TPM2_ReadClock,
  TPM2_SetCommandCodeAuditStatus,
  TPM2_StartAuthSession,
  TPM2_StirRandom,
} from '../../src/tpm/commands.ts';
import { encodeFields } from '../../src/tpm/framing.ts';
import type { Transport } from '../../src/tpm/index.ts';
import { ekTemplate, ldevidTemplate, TPM_RH } from '../../src/tpm/index.ts';
import { digest } from '../../src/tpm/kdf.ts';
import { TPMS_ATTEST } from '../../src/tpm/structures.ts';
import type { RawSession } from './raw.ts';
import { bytesOf, codeOf, passwordOf, send } from './raw.ts';
import { flushAll, keyless, startKeyless } from './raw-sessions.ts';
import { aes128 } from './raw-templates.ts';

const none = new Uint8Array();
const nonce = new Uint8Array(16);
const nullScheme = { scheme: 'null' } as const;

/** Sessions as they are on the wire, and what they audit: the same of every TPM. */
export function rawSessionStories(open: () => Transport): void {
  let chip: Transport;
  beforeEach(async () => {
    chip = open();
    await flushAll(chip);
  });

  const hmac = async (symmetric?: typeof aes128) =>
    (await startKeyless(chip, 'hmac', symmetric ? { symmetric } : {})).handle;
  const using = (sessionHandle: number, attributes: RawSession['sessionAttributes'] = {}): RawSession => ({
    sessionHandle,
    nonce,
    sessionAttributes: { continueSession: true, ...attributes },
  });
  const random = (...sessions: readonly RawSession[]) =>
    send(chip, TPM2_GetRandom, { bytesRequested: 8 }, sessions);
  const reset = async (...sessions: readonly RawSession[]) =>
    (await send(chip, TPM2_PCR_Reset, { pcrHandle: 16 }, sessions)).code;

  describe('a session', () => {
    it('without key needs no HMAC, and is answered without one', async () => {
      const session = await hmac();
      const { code, sessions } = await send(chip, TPM2_PCR_Reset, { pcrHandle: 16 }, [using(session)]);
      expect(code).toBe(0);
      expect(sessions[0]?.hmac).toEqual(none);
      expect(sessions[0]?.nonce).toHaveLength(16);
    });

    it('is for something: authorizing, encrypting, auditing', async () => {
      const session = await hmac(aes128);
      expect((await random(using(session))).code).toBe(0x982);
      expect((await random(using(session, { encrypt: true }))).code).toBe(0);
      expect((await random(using(session, { audit: true }))).code).toBe(0);
      expect((await random(passwordOf())).code).toBe(0x98b);
      expect(await reset(passwordOf(), using(session))).toBe(0xa82);
      expect(await reset(passwordOf(), passwordOf())).toBe(0xa8b);
    });

    it('encrypts alone, with a cipher, what can be encrypted', async () => {
      const [one, two, plain] = [await hmac(aes128), await hmac(aes128), await hmac()];
      const encrypt = { encrypt: true };
      expect((await random(using(one, encrypt), using(two, encrypt))).code).toBe(0xa82);
      expect((await random(using(plain, encrypt))).code).toBe(0x996);
      expect((await random(using(one, { decrypt: true }))).code).toBe(0x982);
      expect((await random(using(one, encrypt), using(one, encrypt))).code).toBe(0xa8b);
      const stir = async (...sessions: readonly RawSession[]) =>
        (await send(chip, TPM2_StirRandom, { inData: nonce }, sessions)).code;
      expect(await stir(using(one, encrypt))).toBe(0x982);
      expect(await stir(using(one, { decrypt: true }))).toBe(0);
      expect(await stir(using(one, { decrypt: true }), using(two, { decrypt: true }))).toBe(0xa82);
    });

    it('is of its kind, and loaded', async () => {
      const session = await hmac(aes128);
      const encrypt = { encrypt: true };
      expect((await random(using(session + 0x01000000, encrypt))).code).toBe(0x98b);
      expect((await random(using(session + 7, encrypt))).code).toBe(0x918);
      expect((await random(using(session, encrypt), using(session + 7, encrypt))).code).toBe(0x919);
      expect((await random(using(0x40000001, encrypt))).code).toBe(0x984);
      const { handle } = await startKeyless(chip, 'trial', { symmetric: aes128 });
      expect((await random(using(handle, encrypt))).code).toBe(0x982);
    });

    it('is one of 64: VALUE for a number that none can have', async () => {
      for (const first of [0x02000000, 0x03000000]) {
        expect((await random(using(first + 63, { encrypt: true }))).code).toBe(0x918);
        expect((await random(using(first + 64, { encrypt: true }))).code).toBe(0x984);
      }
    });

    it('decrypts a parameter that is all there: INSUFFICIENT, SIZE', async () => {
      const session = await hmac(aes128);
      const whole = bytesOf(TPM2_StirRandom, { inData: Uint8Array.of(1, 2) }, [
        using(session, { decrypt: true }),
      ]);
      const cutBy = async (count: number) => {
        const cut = whole.slice(0, whole.length - count);
        new DataView(cut.buffer).setUint32(2, cut.length);
        return codeOf(await chip.exchange(cut));
      };
      for (const count of [4, 3]) expect(await cutBy(count)).toBe(0x99a);
      for (const count of [2, 1]) expect(await cutBy(count)).toBe(0x995);
      expect(await cutBy(0)).toBe(0);
    });

    it('does not accompany commands about sessions themselves: AUTH_CONTEXT', async () => {
      const sessions = [using(await hmac(), { audit: true })];
      expect((await send(chip, TPM2_ReadClock, {}, sessions)).code).toBe(0);
      expect((await send(chip, TPM2_FlushContext, { flushHandle: 0 }, sessions)).code).toBe(0x145);
      const context = { sequence: 0n, savedHandle: 0, hierarchy: TPM_RH.null, contextBlob: none };
      expect((await send(chip, TPM2_ContextLoad, { context }, sessions)).code).toBe(0x145);
      expect((await send(chip, TPM2_GetTestResult, {}, sessions)).code).toBe(0);
      const { handle } = await startKeyless(chip, 'policy');
      expect((await send(chip, TPM2_PolicyRestart, { sessionHandle: handle }, sessions)).code).toBe(0);
      expect((await send(chip, TPM2_PolicyGetDigest, { policySession: handle }, sessions)).code).toBe(0);
    });

    it('with a policy starts over with every use, also as a mere cipher', async () => {
      const { handle } = await startKeyless(chip, 'policy', { symmetric: aes128 });
      const policyDigest = async () =>
        (await send(chip, TPM2_PolicyGetDigest, { policySession: handle })).response.policyDigest;
      await send(chip, TPM2_PolicyAuthValue, { policySession: handle });
      expect(await policyDigest()).not.toEqual(new Uint8Array(32));
      expect((await random(using(handle, { encrypt: true }))).code).toBe(0);
      expect(await policyDigest()).toEqual(new Uint8Array(32));
      expect((await random(using(handle, { encrypt: true, continueSession: false }))).code).toBe(0);
      expect((await random(using(handle, { encrypt: true }))).code).toBe(0x918);
    });

    it('with an empty HMAC proves no auth value', async () => {
      const owner = TPM_RH.owner;
      const change = async (newAuth: Uint8Array, ...sessions: readonly RawSession[]) =>
        (await send(chip, TPM2_HierarchyChangeAuth, { authHandle: owner, newAuth }, sessions)).code;
      expect(await change(nonce.fill(1, 0, 3), using(await hmac()))).toBe(0);
      expect(await change(none, using(await hmac()))).toBe(0x9a2);
      expect(await change(none, passwordOf(nonce))).toBe(0);
      nonce.fill(0);
    });
  });

  describe('StartAuthSession', () => {
    const begin = async (changed: object = {}) =>
      (
        await send(chip, TPM2_StartAuthSession, {
          ...keyless('hmac'),
          nonceCaller: nonce,
          ...changed,
        })
      ).code;

    it('takes a nonce of 16 bytes to the size of the hash', async () => {
      expect(await begin({ nonceCaller: new Uint8Array(15) })).toBe(0x1d5);
      expect(await begin({ nonceCaller: new Uint8Array(33) })).toBe(0x1d5);
      expect(await begin({ nonceCaller: new Uint8Array(33), authHash: 'sha384' })).toBe(0);
      expect(await begin({ nonceCaller: new Uint8Array(32) })).toBe(0);
    });

    it('takes ciphers in CFB mode alone', async () => {
      expect(await begin({ symmetric: { algorithm: 'aes', keyBits: 128, mode: 'ctr' } })).toBe(0x4c9);
      expect(await begin({ symmetric: { algorithm: 'aes', keyBits: 64, mode: 'cfb' } })).toBe(0x4c4);
      expect(await begin({ symmetric: { algorithm: 'xor', keyBits: 'sha1' } })).toBe(0);
    });

    it('takes a salt with a key that can read it', async () => {
      const load = async (inPublic: typeof ekTemplate | typeof ldevidTemplate) => {
        const { response } = await send(chip, TPM2_CreatePrimary, {
          primaryHandle: TPM_RH.owner,
          inSensitive: { userAuth: none, data: none },
          inPublic,
          outsideInfo: none,
          creationPCR: [],
        });
        return response.objectHandle;
      };
      const [reading, signing] = [await load(ekTemplate), await load(ldevidTemplate)];
      const point = Uint8Array.of(0, 1, 1, 0, 1, 1);
      expect(await begin({ encryptedSalt: point })).toBe(0x2c4);
      expect(await begin({ tpmKey: reading })).toBe(0x2c4);
      expect(await begin({ tpmKey: reading, encryptedSalt: point })).toBe(0x2c4);
      expect(await begin({ tpmKey: reading, encryptedSalt: Uint8Array.of(0, 9, 1) })).toBe(0x2c4);
      expect(await begin({ tpmKey: signing, encryptedSalt: point })).toBe(0x182);
      expect(await begin({ tpmKey: TPM_RH.owner, encryptedSalt: point })).toBe(0x184);
      expect(await begin({ bind: 0x40000010 })).toBe(0x284);
    });
  });

  describe('an audit session', () => {
    const attested = async (sessionHandle: number, ...more: readonly RawSession[]) => {
      const { code, response } = await send(
        chip,
        TPM2_GetSessionAuditDigest,
        {
          privacyAdminHandle: TPM_RH.endorsement,
          signHandle: TPM_RH.null,
          sessionHandle,
          qualifyingData: none,
          inScheme: nullScheme,
        },
        [passwordOf(), passwordOf(), ...more],
      );
      if (code !== 0) return { code };
      const attest = decode(TPMS_ATTEST, response.auditInfo);
      return { code, ...(attest.type === 'attestSessionAudit' ? attest.attested : {}) };
    };
    /** The log of one more GetRandom. */
    const extended = (log: Uint8Array, randomBytes: Uint8Array) => {
      const code = u32(TPM2_GetRandom.code);
      const cpHash = digest('sha256', code, Uint8Array.of(0, 8));
      const rpHash = digest(
        'sha256',
        u32(0),
        code,
        encodeFields(TPM2_GetRandom.responseParameters, { randomBytes }),
      );
      return digest('sha256', log, cpHash, rpHash);
    };

    it('keeps a log of what it was used for', async () => {
      const session = await hmac();
      expect(await attested(session)).toEqual({ code: 0x38a });
      let log: Uint8Array = new Uint8Array(32);
      for (let i = 0; i < 3; i++) {
        const { response } = await random(using(session, { audit: true }));
        log = extended(log, response.randomBytes);
      }
      expect(await attested(session)).toEqual({ code: 0, exclusiveSession: 'yes', sessionDigest: log });
      const { response } = await random(using(session, { audit: true, auditReset: true }));
      log = extended(new Uint8Array(32), response.randomBytes);
      expect(await attested(session)).toMatchObject({ sessionDigest: log });
    });

    it('is exclusive until a command comes without it', async () => {
      const [one, two] = [await hmac(), await hmac()];
      const audit = async (session: number, attributes: RawSession['sessionAttributes'] = {}) => {
        const { code, sessions } = await random(using(session, { audit: true, ...attributes }));
        return code === 0 ? (sessions[0]?.sessionAttributes.auditExclusive ?? false) : code;
      };
      const exclusively = { auditExclusive: true };
      expect(await audit(one, exclusively)).toBe(true);
      expect(await audit(one, exclusively)).toBe(true);
      expect(await audit(two)).toBe(true);
      expect(await audit(one)).toBe(false);
      expect(await audit(two, exclusively)).toBe(0x121);
      expect(await audit(two, { auditReset: true })).toBe(true);
      await random();
      expect(await audit(two)).toBe(false);
      expect(await audit(two, exclusively)).toBe(0x121);
      expect(await audit(two, { auditReset: true, auditExclusive: true })).toBe(true);
      await send(chip, TPM2_FlushContext, { flushHandle: one });
      expect(await audit(two, exclusively)).toBe(true);
      expect(await attested(two)).toMatchObject({ exclusiveSession: 'yes' });
      expect(await attested(two)).toMatchObject({ exclusiveSession: 'no' });
    });

    it('is an HMAC session, and the only one', async () => {
      const [one, two] = [await hmac(), await hmac()];
      expect((await random(using(one, { audit: true }), using(two, { audit: true }))).code).toBe(0xa82);
      const { handle } = await startKeyless(chip, 'policy');
      expect((await random(using(handle, { audit: true }))).code).toBe(0x982);
      expect(await attested(handle)).toEqual({ code: 0x384 });
      expect(await attested(one + 9)).toEqual({ code: 0x912 });
    });
  });

  describe('command audit', () => {
    const set = async (request: {
      readonly auditAlg?: 'sha1' | 'sha256' | 'null';
      readonly setList?: readonly number[];
      readonly clearList?: readonly number[];
    }) =>
      (
        await send(chip, TPM2_SetCommandCodeAuditStatus, {
          auth: TPM_RH.owner,
          auditAlg: 'null',
          setList: [],
          clearList: [],
          ...request,
        })
      ).code;
    const told = async (signHandle: number = TPM_RH.null) => {
      const { code, response } = await send(chip, TPM2_GetCommandAuditDigest, {
        privacyHandle: TPM_RH.endorsement,
        signHandle,
        qualifyingData: none,
        inScheme: nullScheme,
      });
      if (code !== 0) throw new Error(`0x${code.toString(16)}`);
      const attest = decode(TPMS_ATTEST, response.auditInfo);
      if (attest.type !== 'attestCommandAudit') throw new Error(attest.type);
      return attest.attested;
    };
    const listed = async (property = 0) => {
      const { response } = await send(chip, TPM2_GetCapability, {
        capability: 'auditCommands',
        property,
        propertyCount: 9,
      });
      const { capabilityData } = response;
      return capabilityData.capability === 'auditCommands' ? capabilityData.data : undefined;
    };
    const SET = TPM2_SetCommandCodeAuditStatus.code;
    const RANDOM = TPM2_GetRandom.code;

    it('keeps a log of the commands it was told to', async () => {
      expect(await set({ auditAlg: 'sha1' })).toBe(0);
      expect(await set({ auditAlg: 'sha256' })).toBe(0);
      const start = await told();
      expect(start).toMatchObject({ digestAlg: 'sha256', auditDigest: none });
      expect(start.commandDigest).toEqual(digest('sha256', u32(SET)));
      expect(await listed()).toEqual([SET]);

      expect(await set({ setList: [RANDOM, 0x145, 0x1ff], clearList: [SET] })).toBe(0);
      expect(await listed()).toEqual([SET, RANDOM]);
      expect(await listed(SET + 1)).toEqual([RANDOM]);
      const lists = concat(
        Uint8Array.of(0, 0x10),
        u32(3),
        ...[RANDOM, 0x145, 0x1ff].map(u32),
        u32(1),
        u32(SET),
      );
      const cpHash = digest('sha256', u32(SET), u32(TPM_RH.owner), lists);
      const rpHash = digest('sha256', u32(0), u32(SET));
      const first = digest('sha256', new Uint8Array(32), cpHash, rpHash);
      expect(await told()).toMatchObject({
        auditCounter: start.auditCounter + 1n,
        auditDigest: first,
        commandDigest: digest('sha256', u32(SET), u32(RANDOM)),
      });

      const { response } = await random();
      const out = encodeFields(TPM2_GetRandom.responseParameters, response);
      const second = digest(
        'sha256',
        first,
        digest('sha256', u32(RANDOM), Uint8Array.of(0, 8)),
        digest('sha256', u32(0), u32(RANDOM), out),
      );
      expect((await told()).auditDigest).toEqual(second);
      expect(await set({ clearList: [RANDOM] })).toBe(0);
      expect(await listed()).toEqual([SET]);
    });

    it('changes its hash or its list, not both at once; a new hash begins a new log', async () => {
      await set({ auditAlg: 'sha256' });
      expect(await set({ auditAlg: 'sha1', setList: [RANDOM] })).toBe(0x1c4);
      expect(await set({ auditAlg: 'sha256', setList: [RANDOM], clearList: [RANDOM] })).toBe(0);
      const before = await told();
      expect(await set({ auditAlg: 'sha1' })).toBe(0);
      const after = await told();
      expect(after).toMatchObject({
        digestAlg: 'sha1',
        auditDigest: none,
        auditCounter: before.auditCounter,
      });
      expect(await set({})).toBe(0);
      expect((await told()).auditDigest).toHaveLength(20);
      expect((await told()).auditCounter).toBe(before.auditCounter + 1n);
      await set({ auditAlg: 'sha256' });
    });
  });
}
