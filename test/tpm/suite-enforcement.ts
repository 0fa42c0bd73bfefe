import { sign as cryptoSign, generateKeyPairSync } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { fromBase64url, u32 } from '../../src/core/bytes.ts';
import { encode } from '../../src/tpm/codec.ts';
import {
  TPM2_Certify,
  TPM2_Create,
  TPM2_CreatePrimary,
  TPM2_Duplicate,
  TPM2_FlushContext,
  TPM2_HierarchyChangeAuth,
  TPM2_Load,
  TPM2_LoadExternal,
  TPM2_PCR_Extend,
  TPM2_PolicyAuthorize,
  TPM2_PolicyAuthValue,
  TPM2_PolicyCommandCode,
  TPM2_PolicyCpHash,
  TPM2_PolicyDuplicationSelect,
  TPM2_PolicyLocality,
  TPM2_PolicyNameHash,
  TPM2_PolicyNvWritten,
  TPM2_PolicyPassword,
  TPM2_PolicyPCR,
  TPM2_PolicyPhysicalPresence,
  TPM2_PolicySecret,
  TPM2_PolicyTemplate,
  TPM2_Sign,
  TPM2_VerifySignature,
} from '../../src/tpm/commands.ts';
import { encodeFields } from '../../src/tpm/framing.ts';
import type { Transport } from '../../src/tpm/index.ts';
import { ldevidTemplate, nameOf, Policy, srkTemplate, TPM_RH } from '../../src/tpm/index.ts';
import { digest } from '../../src/tpm/kdf.ts';
import { TPMT_PUBLIC } from '../../src/tpm/structures.ts';
import type { RawSession } from './raw.ts';
import { passwordOf, send } from './raw.ts';
import { flushAll, startKeyless } from './raw-sessions.ts';

const none = new Uint8Array();
const zeros = new Uint8Array(32);
const OWNER = TPM_RH.owner;
const sealed = new Uint8Array(32).fill(5);
const seedValue = new Uint8Array(32).fill(6);
const start = Policy.start('sha256');
const creation = {
  inSensitive: { userAuth: none, data: none },
  outsideInfo: none,
  creationPCR: [],
} as const;

/** Policies when they are used: what they ask of the command is asked (Part 1 §19.7). */
export function enforcementStories(open: () => Transport): void {
  let chip: Transport;
  let policySession: number;
  beforeEach(async () => {
    chip = open();
    await flushAll(chip);
    ({ handle: policySession } = await startKeyless(chip, 'policy'));
  });

  const bySession = (): RawSession[] => [{ sessionHandle: policySession, nonce: new Uint8Array(16) }];
  /** An HMAC key that only its policy may use. */
  const guarded = async (policy: Policy, attributes: object = {}) => {
    const inPublic = {
      type: 'keyedhash',
      nameAlg: 'sha256',
      objectAttributes: { sign: true, noDA: true, ...attributes },
      authPolicy: policy.digest,
      parameters: { scheme: { scheme: 'hmac', hashAlg: 'sha256' } },
      unique: digest('sha256', seedValue, sealed),
    } as const;
    const { code, response } = await send(chip, TPM2_LoadExternal, {
      inPrivate: { sensitiveType: 'keyedhash', authValue: Uint8Array.of(1), seedValue, sensitive: sealed },
      inPublic,
      hierarchy: TPM_RH.null,
    });
    expect(code).toBe(0);
    return { handle: response.objectHandle, name: nameOf(inPublic) };
  };
  const signing = (keyHandle: number) => ({
    keyHandle,
    digest: zeros,
    inScheme: { scheme: 'null' } as const,
    validation: { tag: 'hashcheck', hierarchy: TPM_RH.null, digest: none } as const,
  });
  const sign = async (keyHandle: number, sessions = bySession()) =>
    (await send(chip, TPM2_Sign, signing(keyHandle), sessions)).code;
  const cpHashOf = (name: Uint8Array, keyHandle: number) =>
    digest('sha256', u32(TPM2_Sign.code), name, encodeFields(TPM2_Sign.parameters, signing(keyHandle)));

  describe('a policy in use', () => {
    it('is that of the entity, from the first assertion to the last', async () => {
      const key = await guarded(start.authValue().commandCode(TPM2_Sign.code));
      expect(await sign(key.handle)).toBe(0x99d);
      await send(chip, TPM2_PolicyCommandCode, { policySession, code: TPM2_Sign.code });
      expect(await sign(key.handle)).toBe(0x99d);
    });

    it('has the hash that the entity names things by', async () => {
      const key = await guarded(start.commandCode(TPM2_Sign.code));
      ({ handle: policySession } = await startKeyless(chip, 'policy', { authHash: 'sha384' }));
      await send(chip, TPM2_PolicyCommandCode, { policySession, code: TPM2_Sign.code });
      expect(await sign(key.handle)).toBe(0x99d);
    });

    it('is the only way when userWithAuth is clear, and no way for sealed public parts', async () => {
      const key = await guarded(start.commandCode(TPM2_Sign.code));
      expect(await sign(key.handle, [passwordOf(Uint8Array.of(1))])).toBe(0x12f);
      const open = await guarded(start, { userWithAuth: true });
      expect(await sign(open.handle, [passwordOf(Uint8Array.of(1))])).toBe(0);
      expect(await sign(open.handle, [passwordOf(Uint8Array.of(2))])).toBe(0x9a2);
    });

    it('is for one command', async () => {
      const key = await guarded(start.commandCode(TPM2_Create.code));
      await send(chip, TPM2_PolicyCommandCode, { policySession, code: TPM2_Create.code });
      expect(await sign(key.handle)).toBe(0x9a4);
    });

    it('is for one cpHash', async () => {
      // The cpHash has the key's Name in it: a policy cannot name its own key. The key of an open one is named here.
      const policy = start.authValue();
      const key = await guarded(policy);
      const assert = async (cpHashA: Uint8Array) => {
        const secret = { nonceTPM: none, policyRef: none, expiration: 0 };
        const by = { authHandle: OWNER, policySession, cpHashA, ...secret };
        expect((await send(chip, TPM2_PolicySecret, by)).code).toBe(0);
      };
      const bySecret = await guarded(start.secret(u32(OWNER)));
      await assert(cpHashOf(bySecret.name, bySecret.handle));
      expect(await sign(key.handle)).toBe(0x99d);
      expect(await sign(bySecret.handle)).toBe(0);
      await assert(zeros);
      expect(await sign(bySecret.handle)).toBe(0x99d);
    });

    it('is for the handles it names', async () => {
      const other = await guarded(start);
      const key = await guarded(start.nameHash([other.name]));
      await send(chip, TPM2_PolicyNameHash, { policySession, nameHash: digest('sha256', other.name) });
      expect(await sign(key.handle)).toBe(0x99d);
    });

    it('is for a template', async () => {
      const inPublic = {
        ...srkTemplate,
        authPolicy: start.template(ldevidTemplate).digest,
        objectAttributes: { ...srkTemplate.objectAttributes, userWithAuth: false },
      };
      const made = await send(chip, TPM2_CreatePrimary, { ...creation, primaryHandle: OWNER, inPublic });
      const parentHandle = made.response.objectHandle;
      const create = async (template: typeof ldevidTemplate) => {
        const templateHash = digest('sha256', encode(TPMT_PUBLIC, ldevidTemplate));
        expect((await send(chip, TPM2_PolicyTemplate, { policySession, templateHash })).code).toBe(0);
        const request = { ...creation, parentHandle, inPublic: template };
        return (await send(chip, TPM2_Create, request, bySession())).code;
      };
      expect(await create(ldevidTemplate)).toBe(0);
      expect(await create({ ...ldevidTemplate, authPolicy: zeros })).toBe(0x99d);
      // Loading is not creating, though its second parameter looks the same.
      ({ handle: policySession } = await startKeyless(chip, 'policy'));
      const templateHash = digest('sha256', encode(TPMT_PUBLIC, ldevidTemplate));
      await send(chip, TPM2_PolicyTemplate, { policySession, templateHash });
      const load = { parentHandle, inPrivate: zeros, inPublic: ldevidTemplate };
      expect((await send(chip, TPM2_Load, load, bySession())).code).toBe(0x99d);
    });

    it('for a template is for creating alone', async () => {
      const key = await guarded(start.template(ldevidTemplate));
      const templateHash = digest('sha256', encode(TPMT_PUBLIC, ldevidTemplate));
      await send(chip, TPM2_PolicyTemplate, { policySession, templateHash });
      expect(await sign(key.handle)).toBe(0x99d);
    });

    it('is for localities', async () => {
      const key = await guarded(start.locality(0b11));
      await send(chip, TPM2_PolicyLocality, { policySession, locality: 0b11 });
      expect(await sign(key.handle)).toBe(0);
      const elsewhere = await guarded(start.locality(0b110));
      await send(chip, TPM2_PolicyLocality, { policySession, locality: 0b110 });
      expect(await sign(elsewhere.handle)).toBe(0x907);
      const extended = await guarded(start.locality(33));
      ({ handle: policySession } = await startKeyless(chip, 'policy'));
      await send(chip, TPM2_PolicyLocality, { policySession, locality: 33 });
      expect(await sign(extended.handle)).toBe(0x907);
    });

    it('about the first write of an index is for an index', async () => {
      const key = await guarded(start.nvWritten(true));
      await send(chip, TPM2_PolicyNvWritten, { policySession, writtenSet: 'yes' });
      expect(await sign(key.handle)).toBe(0x99d);
    });

    it('is for whoever stands there', async () => {
      const key = await guarded(start.physicalPresence());
      await send(chip, TPM2_PolicyPhysicalPresence, { policySession });
      expect(await sign(key.handle)).toBe(0x990);
    });

    it('is void when a PCR changed since it looked', async () => {
      const pcrs = [{ hash: 'sha256', pcrSelect: [23] }] as const;
      const key = await guarded(start.pcr(pcrs, digest('sha256', zeros)));
      const look = async () =>
        (await send(chip, TPM2_PolicyPCR, { policySession, pcrDigest: none, pcrs })).code;
      const extend = (pcrHandle: number) =>
        send(chip, TPM2_PCR_Extend, { pcrHandle, digests: [{ hashAlg: 'sha256', digest: zeros }] });
      expect(await look()).toBe(0);
      await extend(12);
      expect(await sign(key.handle)).toBe(0x128);
      expect(await look()).toBe(0x128);
      ({ handle: policySession } = await startKeyless(chip, 'policy'));
      expect(await look()).toBe(0);
      expect(await sign(key.handle)).toBe(0);
    });

    it('asks for the auth value by the HMAC or as it is, as the last assertion says', async () => {
      const key = await guarded(start.authValue().authValue());
      const prove = async (last: typeof TPM2_PolicyPassword, hmac: Uint8Array) => {
        ({ handle: policySession } = await startKeyless(chip, 'policy'));
        await send(chip, TPM2_PolicyAuthValue, { policySession });
        await send(chip, last, { policySession });
        const { code } = await send(chip, TPM2_Sign, signing(key.handle), [
          { sessionHandle: policySession, nonce: new Uint8Array(16), hmac },
        ]);
        await flushSession();
        return code;
      };
      const flushSession = () => send(chip, TPM2_FlushContext, { flushHandle: policySession });
      await flushSession();
      expect(await prove(TPM2_PolicyPassword, Uint8Array.of(1))).toBe(0);
      expect(await prove(TPM2_PolicyPassword, Uint8Array.of(1, 0, 0))).toBe(0);
      expect(await prove(TPM2_PolicyPassword, Uint8Array.of(2))).toBe(0x9a2);
      expect(await prove(TPM2_PolicyAuthValue, Uint8Array.of(1))).toBe(0x9a2);
      expect(await prove(TPM2_PolicyAuthValue, none)).toBe(0x9a2);
    });

    it('is no secret: PolicySecret wants the auth value, also by a policy', async () => {
      const key = await guarded(start.commandCode(TPM2_PolicySecret.code));
      const { handle } = await startKeyless(chip, 'trial');
      await send(chip, TPM2_PolicyCommandCode, { policySession, code: TPM2_PolicySecret.code });
      const secret = { nonceTPM: none, cpHashA: none, policyRef: none, expiration: 0 };
      const request = { authHandle: key.handle, policySession: handle, ...secret };
      expect((await send(chip, TPM2_PolicySecret, request, bySession())).code).toBe(0x989);
    });

    it('is not asked for in the ADMIN role, unless adminWithPolicy is set', async () => {
      const certify = async (objectHandle: number) =>
        (
          await send(
            chip,
            TPM2_Certify,
            {
              objectHandle,
              signHandle: TPM_RH.null,
              qualifyingData: none,
              inScheme: { scheme: 'null' },
            },
            [passwordOf(Uint8Array.of(1)), passwordOf()],
          )
        ).code;
      expect(await certify((await guarded(start)).handle)).toBe(0);
      expect(await certify((await guarded(start, { adminWithPolicy: true })).handle)).toBe(0x124);
    });

    it('names the command where the DUP role is asked for', async (context) => {
      const duplicate = async (objectHandle: number, sessions: Parameters<typeof send>[3]) =>
        (
          await send(
            chip,
            TPM2_Duplicate,
            {
              objectHandle,
              newParentHandle: TPM_RH.null,
              encryptionKeyIn: none,
              symmetricAlg: { algorithm: 'null' },
            },
            sessions,
          )
        ).code;
      const key = await guarded(start.physicalPresence(), { userWithAuth: true });
      const code = await duplicate(key.handle, [passwordOf(Uint8Array.of(1))]);
      if (code === 0x143) context.skip();
      expect(code).toBe(0x124);
      const selected = start.duplicationSelect(u32(TPM_RH.null));
      const open = await guarded(selected);
      await send(chip, TPM2_PolicyDuplicationSelect, {
        policySession,
        objectName: open.name,
        newParentName: none,
        includeObject: 'no',
      });
      expect(await duplicate(open.handle, bySession())).toBe(0x99d);
    });
  });

  describe('a policy that an authority approves', () => {
    it('is as good as one that was there from the start: by its cpHash, by its handles', async () => {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const { x, y } = publicKey.export({ format: 'jwk' });
      const inPublic = {
        ...ldevidTemplate,
        objectAttributes: { sign: true, userWithAuth: true },
        unique: { x: fromBase64url(String(x)), y: fromBase64url(String(y)) },
      } as const;
      const loaded = await send(chip, TPM2_LoadExternal, {
        inPrivate: undefined,
        inPublic,
        hierarchy: OWNER,
      });
      const keySign = nameOf(inPublic);
      const policyRef = Uint8Array.of(1, 2);
      const key = await guarded(start.authorize(keySign, policyRef));
      const approve = async (approved: Policy) => {
        const both = cryptoSign('sha256', Buffer.concat([approved.digest, policyRef]), {
          key: privateKey,
          dsaEncoding: 'ieee-p1363',
        });
        const { code, response } = await send(chip, TPM2_VerifySignature, {
          keyHandle: loaded.response.objectHandle,
          digest: digest('sha256', approved.digest, policyRef),
          signature: {
            sigAlg: 'ecdsa',
            hash: 'sha256',
            signatureR: Uint8Array.from(both.subarray(0, 32)),
            signatureS: Uint8Array.from(both.subarray(32)),
          },
        });
        expect(code).toBe(0);
        const authorized = await send(chip, TPM2_PolicyAuthorize, {
          policySession,
          approvedPolicy: approved.digest,
          policyRef,
          keySign,
          checkTicket: response.validation,
        });
        expect(authorized.code).toBe(0);
      };
      const cpHashA = cpHashOf(key.name, key.handle);
      await send(chip, TPM2_PolicyCpHash, { policySession, cpHashA });
      await approve(start.cpHash(cpHashA));
      expect(await sign(key.handle)).toBe(0);
      await send(chip, TPM2_PolicyNameHash, { policySession, nameHash: digest('sha256', key.name) });
      await approve(start.nameHash([key.name]));
      expect(await sign(key.handle)).toBe(0);
      await send(chip, TPM2_PolicyCpHash, { policySession, cpHashA: zeros });
      await approve(start.cpHash(zeros));
      expect(await sign(key.handle)).toBe(0x99d);
    });
  });

  describe('an entity without policy', () => {
    it('is not authorised by one', async () => {
      const change = { authHandle: OWNER, newAuth: none };
      expect((await send(chip, TPM2_HierarchyChangeAuth, change, bySession())).code).toBe(0x12f);
      const made = await send(chip, TPM2_CreatePrimary, {
        ...creation,
        primaryHandle: OWNER,
        inPublic: ldevidTemplate,
      });
      expect(await sign(made.response.objectHandle)).toBe(0x99d);
    });
  });
}
