import { beforeEach, describe, expect, it } from 'vitest';
import { concat, u32, utf8 } from '../../src/core/bytes.ts';
import {
  TPM2_Clear,
  TPM2_CreatePrimary,
  TPM2_FlushContext,
  TPM2_GetRandom,
  TPM2_Hash,
  TPM2_HierarchyChangeAuth,
  TPM2_NV_ChangeAuth,
  TPM2_NV_DefineSpace,
  TPM2_NV_Read,
  TPM2_NV_UndefineSpace,
  TPM2_NV_UndefineSpaceSpecial,
  TPM2_NV_Write,
  TPM2_PCR_Reset,
  TPM2_PolicyAuthValue,
  TPM2_PolicyCommandCode,
  TPM2_PolicyGetDigest,
  TPM2_PolicyOR,
  TPM2_PolicyPassword,
  TPM2_PolicySecret,
} from '../../src/tpm/commands.ts';
import type { Transport } from '../../src/tpm/index.ts';
import { ekRsaTemplate, ekTemplate, nvNameOf, Policy, TPM_RH } from '../../src/tpm/index.ts';
import { digest } from '../../src/tpm/kdf.ts';
import type { TPMS_NV_PUBLIC as NvPublic } from '../../src/tpm/structures.ts';
import type { KeyedSession } from './keyed-session.ts';
import { sendKeyed, startKeyed } from './keyed-session.ts';
import { passwordOf, send } from './raw.ts';
import { flushAll, startKeyless } from './raw-sessions.ts';

const none = new Uint8Array();
const OWNER = TPM_RH.owner;
const owner = u32(OWNER);
const auth = utf8('the auth value');
const other = utf8('another one');
const index = 0x01500002;
const creation = {
  inSensitive: { userAuth: none, data: none },
  outsideInfo: none,
  creationPCR: [],
} as const;

/**
 * Sessions with keys, computed by hand: salt, bind, ciphers, and commands that change what they were authorised by.
 *
 * @param aesKeys Sizes of AES keys that the TPM has; not every swtpm has all three.
 */
export function keyedSessionStories(open: () => Transport, aesKeys: readonly number[]): void {
  let chip: Transport;
  let ownerAuth: Uint8Array = none;
  beforeEach(async () => {
    chip = open();
    await flushAll(chip);
    await setOwnerAuth(none);
  });

  const setOwnerAuth = async (newAuth: Uint8Array) => {
    const sessions = [passwordOf(ownerAuth)];
    const { code } = await send(chip, TPM2_HierarchyChangeAuth, { authHandle: OWNER, newAuth }, sessions);
    expect(code).toBe(0);
    ownerAuth = newAuth;
  };
  const changeOwnerAuth = async (newAuth: Uint8Array, use: Parameters<typeof sendKeyed>[4][number]) => {
    const request = { authHandle: OWNER, newAuth };
    const { code } = await sendKeyed(chip, TPM2_HierarchyChangeAuth, request, [owner], [use]);
    if (code === 0) ownerAuth = newAuth;
    return code;
  };
  const primary = async (inPublic: typeof ekTemplate | typeof ekRsaTemplate) => {
    const { code, response } = await send(chip, TPM2_CreatePrimary, {
      ...creation,
      primaryHandle: TPM_RH.endorsement,
      inPublic,
    });
    expect(code).toBe(0);
    return { handle: response.objectHandle, public: response.outPublic };
  };
  /** A command that is authorised with the (empty) auth value of PCR 16. */
  const reset = async (session: KeyedSession) =>
    (await sendKeyed(chip, TPM2_PCR_Reset, { pcrHandle: 16 }, [u32(16)], [{ session }])).code;

  describe('a session key', () => {
    const ciphers = [
      { algorithm: 'xor', keyBits: 'sha256' } as const,
      ...aesKeys.map((keyBits) => ({ algorithm: 'aes', keyBits, mode: 'cfb' }) as const),
    ];
    const hashes = ['sha1', 'sha256', 'sha384', 'sha512'] as const;
    const all = hashes.flatMap((hash) => ciphers.map((symmetric) => ({ hash, symmetric })));

    it.each(all)(
      'hides parameters both ways: $hash, $symmetric.algorithm $symmetric.keyBits',
      async (how) => {
        await setOwnerAuth(auth);
        const session = await startKeyed(chip, { ...how, bind: { handle: OWNER, auth } });
        const data = utf8('what nobody else is to read');
        const { code, response } = await sendKeyed(
          chip,
          TPM2_Hash,
          { data, hashAlg: 'sha256', hierarchy: OWNER },
          [],
          [{ session, attributes: { decrypt: true, encrypt: true } }],
        );
        expect(code).toBe(0);
        expect(response.outHash).toEqual(digest('sha256', data));
      },
    );

    it.each(['sha256', 'sha512'] as const)(
      'comes from a salt that only the TPM can read, %s',
      async (hash) => {
        const salt = await primary(ekTemplate);
        const session = await startKeyed(chip, { hash, salt });
        expect(await reset(session)).toBe(0);
        expect(await reset({ ...session, key: session.key.map((byte) => byte ^ 1) })).toBe(0x9a2);
        expect(await reset(await startKeyed(chip, { hash, salt, nonceSize: 16 }))).toBe(0);
      },
    );

    it('comes from a salt under an RSA key too', { timeout: 60_000 }, async () => {
      const salt = await primary(ekRsaTemplate);
      await setOwnerAuth(auth);
      const session = await startKeyed(chip, { hash: 'sha384', salt, bind: { handle: OWNER, auth } });
      expect(await reset(session)).toBe(0);
      expect(await changeOwnerAuth(auth, { session })).toBe(0);
    });
  });

  describe('a bound session', () => {
    it('authorises its entity by itself, and others with their own auth value', async () => {
      await setOwnerAuth(auth);
      const session = await startKeyed(chip, { bind: { handle: OWNER, auth } });
      expect(await changeOwnerAuth(auth, { session })).toBe(0);
      expect(await changeOwnerAuth(auth, { session, auth })).toBe(0x9a2);
      expect(await reset(session)).toBe(0);
    });

    it('is bound no longer once the auth value is another', async () => {
      await setOwnerAuth(auth);
      const session = await startKeyed(chip, { bind: { handle: OWNER, auth } });
      // The answer has no auth value in its key either: it was left out of the command's.
      expect(await changeOwnerAuth(other, { session, authAfter: none })).toBe(0);
      expect(await changeOwnerAuth(auth, { session })).toBe(0x9a2);
      expect(await changeOwnerAuth(auth, { session, auth: other, authAfter: auth })).toBe(0);
      // … and is again when it is back.
      expect(await changeOwnerAuth(auth, { session, authAfter: none })).toBe(0);
    });

    it('is bound no longer once it audits', async () => {
      await setOwnerAuth(auth);
      const session = await startKeyed(chip, { bind: { handle: OWNER, auth } });
      const use = { session, attributes: { audit: true } };
      expect(await changeOwnerAuth(auth, { ...use, authAfter: none })).toBe(0);
      expect(await changeOwnerAuth(auth, { session })).toBe(0x9a2);
      expect(await changeOwnerAuth(auth, { session, auth })).toBe(0);
    });

    it('with a guessed auth value of the lockout authority closes that authority', async () => {
      const handle = TPM_RH.lockout;
      await send(chip, TPM2_HierarchyChangeAuth, { authHandle: handle, newAuth: auth });
      const guess = () => startKeyed(chip, { bind: { handle, auth: other } });
      expect(await reset(await guess())).toBe(0x98e);
      expect(await reset(await guess())).toBe(0x921);
      const { code } = await send(chip, TPM2_Clear, { authHandle: handle }, [passwordOf(auth)]);
      expect(code).toBe(0x921);
      expect((await send(chip, TPM2_Clear, { authHandle: TPM_RH.platform })).code).toBe(0);
      expect((await send(chip, TPM2_Clear, { authHandle: handle })).code).toBe(0);
    });

    it('with a policy is bound to nothing: only its key is', async () => {
      const bind = { handle: OWNER, auth: none };
      const session = await startKeyed(chip, { type: 'policy', bind });
      await send(chip, TPM2_PolicyAuthValue, { policySession: session.handle });
      expect(await changeOwnerAuth(none, { session })).toBe(0x12f); // the owner has no policy
    });
  });

  describe('parameters', () => {
    const aes = { algorithm: 'aes', keyBits: 128, mode: 'cfb' } as const;

    it('are hidden with the auth value of what the session authorises, also where the HMAC does without', async () => {
      await setOwnerAuth(auth);
      const session = await startKeyed(chip, { symmetric: aes, bind: { handle: OWNER, auth } });
      const use = { session, cryptAuth: auth, attributes: { decrypt: true } };
      expect(await changeOwnerAuth(other, { ...use, authAfter: none })).toBe(0);
      await setOwnerAuth(none);
    });

    it('go through two sessions, whose nonces the first one vouches for', async () => {
      await setOwnerAuth(auth);
      const first = await startKeyed(chip, {});
      const [decrypting, encrypting] = [
        await startKeyed(chip, { symmetric: aes, bind: { handle: OWNER, auth } }),
        await startKeyed(chip, { symmetric: aes, bind: { handle: OWNER, auth }, hash: 'sha512' }),
      ];
      const create = async (others: Uint8Array) => {
        const { code, response } = await sendKeyed(
          chip,
          TPM2_CreatePrimary,
          { ...creation, primaryHandle: OWNER, inPublic: ekTemplate },
          [owner],
          [
            { session: first, auth, others },
            { session: decrypting, attributes: { decrypt: true } },
            { session: encrypting, attributes: { encrypt: true } },
          ],
        );
        if (code === 0) expect(response.outPublic.authPolicy).toEqual(ekTemplate.authPolicy);
        return code;
      };
      expect(await create(none)).toBe(0x9a2);
      expect(await create(concat(encrypting.nonceTPM, decrypting.nonceTPM))).toBe(0x9a2);
      expect(await create(concat(decrypting.nonceTPM, encrypting.nonceTPM))).toBe(0);
    });

    it('may go through one session both ways, whose nonce is vouched for once', async () => {
      const first = await startKeyed(chip, {});
      const both = await startKeyed(chip, { symmetric: aes });
      const create = async (others: Uint8Array) =>
        (
          await sendKeyed(
            chip,
            TPM2_CreatePrimary,
            { ...creation, primaryHandle: OWNER, inPublic: ekTemplate },
            [owner],
            [
              { session: first, others, auth: none },
              { session: both, attributes: { decrypt: true, encrypt: true } },
            ],
          )
        ).code;
      expect(await create(concat(both.nonceTPM, both.nonceTPM))).toBe(0x9a2);
      expect(await create(both.nonceTPM)).toBe(0);
    });

    it('need no voucher when no session authorises: each stands for itself', async () => {
      const [auditing, encrypting] = [
        await startKeyed(chip, { bind: { handle: OWNER, auth: none } }),
        await startKeyed(chip, { symmetric: aes }),
      ];
      const random = async (others: Uint8Array) =>
        (
          await sendKeyed(
            chip,
            TPM2_GetRandom,
            { bytesRequested: 8 },
            [],
            [
              { session: auditing, others, attributes: { audit: true } },
              { session: encrypting, attributes: { encrypt: true } },
            ],
          )
        ).code;
      expect(await random(encrypting.nonceTPM)).toBe(0x9a2);
      expect(await random(none)).toBe(0);
    });
  });

  describe('a command that changes what authorises it', () => {
    it('answers with the new auth value: HierarchyChangeAuth', async () => {
      const session = await startKeyed(chip, {});
      expect(await changeOwnerAuth(auth, { session, auth: none, authAfter: auth })).toBe(0);
      expect(await changeOwnerAuth(none, { session, auth, authAfter: none })).toBe(0);
    });

    it('answers with the empty one when it clears: Clear by lockoutAuth', async () => {
      const authHandle = TPM_RH.lockout;
      const sessions = [passwordOf()];
      await send(chip, TPM2_HierarchyChangeAuth, { authHandle, newAuth: auth }, sessions);
      const session = await startKeyed(chip, {});
      const { code } = await sendKeyed(
        chip,
        TPM2_Clear,
        { authHandle },
        [u32(authHandle)],
        [{ session, auth, authAfter: none }],
      );
      expect(code).toBe(0);
      ownerAuth = none;
    });

    const nvPublic = (authPolicy: Uint8Array, platform: boolean): NvPublic => ({
      nvIndex: platform ? index + 1 : index,
      nameAlg: 'sha256',
      attributes: {
        nt: 'ordinary',
        authread: true,
        authwrite: true,
        policyread: true,
        noDa: true,
        ...(platform ? { platformcreate: true, policyDelete: true } : {}),
      },
      authPolicy,
      dataSize: 4,
    });
    /** Everything that the policy of the index asks for, in a policy session. */
    const satisfied = async (code: number, by: 'hmac' | 'password') => {
      const session = await startKeyed(chip, { type: 'policy' });
      const policySession = session.handle;
      await send(chip, by === 'hmac' ? TPM2_PolicyAuthValue : TPM2_PolicyPassword, { policySession });
      await send(chip, TPM2_PolicyCommandCode, { policySession, code });
      return session;
    };
    const policyFor = (code: number) => Policy.start('sha256').authValue().commandCode(code).digest;

    it('answers with the new auth value: NV_ChangeAuth', async (context) => {
      const code = TPM2_NV_ChangeAuth.code;
      const publicInfo = nvPublic(policyFor(code), false);
      await send(chip, TPM2_NV_UndefineSpace, { authHandle: OWNER, nvIndex: index });
      await send(chip, TPM2_NV_DefineSpace, { authHandle: OWNER, auth, publicInfo });
      const change = async (use: Parameters<typeof sendKeyed>[4][number], newAuth: Uint8Array) =>
        (
          await sendKeyed(
            chip,
            TPM2_NV_ChangeAuth,
            { nvIndex: index, newAuth },
            [nvNameOf(publicInfo)],
            [use],
          )
        ).code;
      const session = await satisfied(code, 'hmac');
      const answered = await change({ session, auth, authAfter: other }, other);
      if (answered === 0x143) context.skip();
      expect(answered).toBe(0);
      expect(await change({ session: await satisfied(code, 'password'), password: other }, auth)).toBe(0);
      expect(await change({ session: await startKeyed(chip, {}), auth }, auth)).toBe(0x124);
      await send(chip, TPM2_NV_UndefineSpace, { authHandle: OWNER, nvIndex: index });
    });

    it('answers with the empty one when the index is gone: NV_UndefineSpaceSpecial', async (context) => {
      const code = TPM2_NV_UndefineSpaceSpecial.code;
      const publicInfo = nvPublic(policyFor(code), true);
      const platform = TPM_RH.platform;
      const defined = await send(chip, TPM2_NV_DefineSpace, { authHandle: platform, auth, publicInfo });
      expect(defined.code).toBe(0);
      const answered = await sendKeyed(
        chip,
        TPM2_NV_UndefineSpaceSpecial,
        { nvIndex: publicInfo.nvIndex, platform },
        [nvNameOf(publicInfo), u32(platform)],
        [
          { session: await satisfied(code, 'hmac'), auth, authAfter: none },
          { session: await startKeyed(chip, {}) },
        ],
      );
      if (answered.code === 0x143) context.skip();
      expect(answered.code).toBe(0);
    });
  });

  describe('a policy session', () => {
    it('is keyed with its own key, and with the auth value if its policy says so', async () => {
      const policy = Policy.start('sha256').authValue();
      const publicInfo: NvPublic = {
        nvIndex: index,
        nameAlg: 'sha256',
        attributes: { nt: 'ordinary', authwrite: true, policyread: true, noDa: true },
        authPolicy: Policy.any([policy, Policy.start('sha256').secret(owner)]).policy.digest,
        dataSize: 4,
      };
      await send(chip, TPM2_NV_UndefineSpace, { authHandle: OWNER, nvIndex: index });
      await send(chip, TPM2_NV_DefineSpace, { authHandle: OWNER, auth, publicInfo });
      const at = { authHandle: index, nvIndex: index };
      const data = utf8('data');
      expect((await send(chip, TPM2_NV_Write, { ...at, data, offset: 0 }, [passwordOf(auth)])).code).toBe(0);
      const name = nvNameOf({ ...publicInfo, attributes: { ...publicInfo.attributes, written: true } });
      const { lists } = Policy.any([policy, Policy.start('sha256').secret(owner)]);
      const read = async (branch: 0 | 1, more: object = {}, by = TPM2_PolicyAuthValue) => {
        const session = await startKeyed(chip, { type: 'policy', bind: { handle: OWNER, auth: none } });
        const policySession = session.handle;
        if (branch === 0) await send(chip, by, { policySession });
        else {
          const secret = { nonceTPM: none, cpHashA: none, policyRef: none, expiration: 0 };
          await send(chip, TPM2_PolicySecret, { authHandle: OWNER, policySession, ...secret });
        }
        for (const pHashList of lists(branch)) await send(chip, TPM2_PolicyOR, { policySession, pHashList });
        const got = await send(chip, TPM2_PolicyGetDigest, { policySession });
        expect(got.response.policyDigest).toEqual(publicInfo.authPolicy);
        const request = { ...at, size: 4, offset: 0 };
        const { code } = await sendKeyed(chip, TPM2_NV_Read, request, [name, name], [{ session, ...more }]);
        await send(chip, TPM2_FlushContext, { flushHandle: policySession });
        return code;
      };
      expect(await read(1)).toBe(0);
      expect(await read(1, { auth })).toBe(0x9a2);
      expect(await read(0, { auth })).toBe(0);
      expect(await read(0)).toBe(0x9a2);
      expect(await read(0, { password: auth }, TPM2_PolicyPassword)).toBe(0);
      expect(await read(0, { password: other }, TPM2_PolicyPassword)).toBe(0x9a2);
      await send(chip, TPM2_NV_UndefineSpace, { authHandle: OWNER, nvIndex: index });
    });

    it('cannot do what it was not started for', async () => {
      const { handle } = await startKeyless(chip, 'policy');
      const sessions = [{ sessionHandle: handle, nonce: new Uint8Array(16) }];
      const request = { authHandle: OWNER, newAuth: none };
      expect((await send(chip, TPM2_HierarchyChangeAuth, request, sessions)).code).toBe(0x12f);
    });
  });
}
