import { describe, expect, it } from 'vitest';
import {
  TPM2_Certify,
  TPM2_Clear,
  TPM2_Create,
  TPM2_GetRandom,
  TPM2_GetSessionAuditDigest,
  TPM2_NV_ChangeAuth,
  TPM2_NV_Read,
  TPM2_NV_Write,
  TPM2_NV_WriteLock,
  TPM2_ObjectChangeAuth,
  TPM2_PCR_Read,
  TPM2_Sign,
  TPM2_StirRandom,
} from '../../src/tpm/commands.ts';
import type { Authorization, SessionOptions, Tpm, TpmObject } from '../../src/tpm/index.ts';
import {
  attestAudit,
  changeHierarchyAuth,
  changeNvAuth,
  changeObjectAuth,
  chooseSaltKey,
  createKey,
  createPrimary,
  endSession,
  flush,
  iakTemplate,
  ldevidTemplate,
  listHandles,
  loadKey,
  nvDefine,
  nvRead,
  nvReadPublic,
  nvWrite,
  Policy,
  persist,
  run,
  SessionAudit,
  srkTemplate,
  startSession,
  TPM_RH,
  tpmSigner,
  using,
  verifyAudit,
} from '../../src/tpm/index.ts';
import type { Stage } from './stage.ts';
import { contains, lacks, makeEk, makeSrk } from './stage.ts';

const nothing = new Uint8Array(0);

function signing(tpm: Tpm, key: TpmObject, authorizations: readonly Authorization[]) {
  return run(
    tpm,
    TPM2_Sign,
    {
      keyHandle: key,
      digest: new Uint8Array(32).fill(7),
      inScheme: { scheme: 'null' },
      validation: { tag: 'hashcheck', hierarchy: TPM_RH.null, digest: nothing },
    },
    { authorizations },
  );
}

/** Every way a session can be made and used; auth values that change; audit. */
export function boundStories(stage: () => Stage): void {
  describe('a session', () => {
    const hashes = ['sha1', 'sha256', 'sha384', 'sha512'] as const;
    const ciphers = ['none', 'xor', 'aes-128-cfb', 'aes-256-cfb'] as const;
    const ways = hashes.flatMap((hash, i) =>
      (['plain', 'salted', 'bound', 'bound and salted'] as const).map((way, j) => ({
        hash,
        way,
        cipher: ciphers[(i + j) % ciphers.length] ?? 'none',
      })),
    );

    it.each(ways)(
      'of $hash, $way, cipher $cipher, proves an auth value and hides both ways',
      async ({ hash, way, cipher }) => {
        const { tpm } = stage();
        const saltedTo = await makeEk(tpm);
        // the zero at its end is no part of it
        const auth = Uint8Array.of(...tpm.random.bytes(19), 7, 0);
        const key = await createPrimary(tpm, {
          hierarchy: 'owner',
          template: ldevidTemplate,
          auth,
          saltedTo,
        });
        const options: SessionOptions = {
          kind: 'hmac',
          hash,
          cipher,
          saltedTo: way.includes('salted') ? saltedTo : undefined,
          boundTo: way.includes('bound') ? { ...key, auth } : undefined,
        };
        const session = await startSession(tpm, options);
        for (let i = 0; i < 2; i++) {
          const hides = cipher !== 'none';
          const { signature } = await signing(tpm, key, [using(session, { auth, encryptRequest: hides })]);
          expect(signature.sigAlg).toBe('ecdsa');
          if (!hides) continue; // then it has no purpose where nothing is to be authorized
          const authorizations = [using(session, { encryptResponse: true })];
          await run(tpm, TPM2_GetRandom, { bytesRequested: 8 }, { authorizations });
        }
        await endSession(tpm, session);
      },
    );

    it('that is bound to an entity authorizes others too, by their own auth values', async () => {
      const { tpm } = stage();
      const saltedTo = await makeEk(tpm);
      const [auth, otherAuth] = [tpm.random.bytes(16), tpm.random.bytes(16)];
      const made = { hierarchy: 'owner', template: ldevidTemplate, saltedTo } as const;
      const key = await createPrimary(tpm, { ...made, auth });
      const unique = { x: tpm.random.bytes(32), y: tpm.random.bytes(32) };
      const other = await createPrimary(tpm, {
        ...made,
        template: { ...ldevidTemplate, unique },
        auth: otherAuth,
      });
      const session = await startSession(tpm, { kind: 'hmac', boundTo: { ...key, auth } });
      await signing(tpm, other, [using(session, { auth: otherAuth })]);
      await signing(tpm, key, [using(session, { auth })]);
      await expect(signing(tpm, other, [using(session, { auth })])).rejects.toMatchObject({
        code: 'tpm.refused',
      });
      await endSession(tpm, session);
    });

    it('is not bound to whatever takes the place of its entity', async () => {
      const { tpm } = stage();
      const saltedTo = await makeEk(tpm);
      const auth = tpm.random.bytes(16);
      const key = await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate, auth, saltedTo });
      const session = await startSession(tpm, { kind: 'hmac', boundTo: { ...key, auth } });
      await flush(tpm, key);
      const unique = { x: tpm.random.bytes(32), y: tpm.random.bytes(32) };
      const template = { ...ldevidTemplate, unique };
      const next = await createPrimary(tpm, { hierarchy: 'owner', template, auth, saltedTo });
      expect(next.handle).toBe(key.handle);
      expect((await signing(tpm, next, [using(session, { auth })])).signature.sigAlg).toBe('ecdsa');
      await endSession(tpm, session);
    });

    it('bound to an NV index is bound no more once a write has changed its Name', async () => {
      const { tpm } = stage();
      const saltedTo = await makeEk(tpm);
      const auth = tpm.random.bytes(16);
      const attributes = { nt: 'ordinary', authwrite: true, authread: true, noDa: true } as const;
      const defined = await nvDefine(tpm, { handle: 0x01800040, size: 4, attributes, auth, saltedTo });
      const session = await startSession(tpm, { kind: 'hmac', boundTo: { ...defined, auth } });
      const index = await nvWrite(tpm, defined, Uint8Array.of(1, 2, 3, 4));
      const read = { authHandle: index, nvIndex: index, size: 4, offset: 0 };
      const authorizations = [using(session, { auth })];
      expect((await run(tpm, TPM2_NV_Read, read, { authorizations })).data).toEqual(
        Uint8Array.of(1, 2, 3, 4),
      );
      await endSession(tpm, session);
    });

    it('is one of three: one authorizes, one hides the command, one the answer, their nonces crossed', async () => {
      const { tpm, wire } = stage();
      const saltedTo = await makeEk(tpm);
      const auth = tpm.random.bytes(16);
      const parent = await createPrimary(tpm, { hierarchy: 'owner', template: srkTemplate, auth, saltedTo });
      const start = (cipher: 'none' | 'xor' | 'aes-128-cfb') =>
        startSession(tpm, { kind: 'hmac', cipher, saltedTo: cipher === 'none' ? undefined : saltedTo });
      const proves = await start('none');
      const hidesCommand = await start('aes-128-cfb');
      const hidesAnswer = await start('xor');
      for (const last of [false, true]) {
        const proof = using(proves, { auth, last });
        const two = [
          using(hidesCommand, { encryptRequest: true, last }),
          using(hidesAnswer, { encryptResponse: true, last }),
        ];
        const userAuth = tpm.random.bytes(20);
        const made = await run(
          tpm,
          TPM2_Create,
          {
            parentHandle: parent,
            inSensitive: { userAuth, data: nothing },
            inPublic: ldevidTemplate,
            outsideInfo: nothing,
            creationPCR: [],
          },
          { authorizations: [proof, ...(last ? two.reverse() : two)] },
        );
        const wrapped = { private: made.outPrivate, public: made.outPublic };
        expect(wire.commands.some((command) => contains(command, userAuth))).toBe(false);
        expect(wire.answers.some((answer) => contains(answer, made.outPrivate))).toBe(false);
        if (last) await flush(tpm, await loadKey(tpm, parent, wrapped, userAuth));
      }
      expect(await listHandles(tpm, 'loadedSession')).toEqual([]);
    });

    it('vouches for the nonces of one that hides if it is the first of two that authorize', async () => {
      const { tpm } = stage();
      const saltedTo = await makeEk(tpm);
      const [auth, signAuth] = [tpm.random.bytes(16), tpm.random.bytes(16)];
      const key = { hierarchy: 'owner', template: ldevidTemplate, saltedTo } as const;
      const object = await createPrimary(tpm, { ...key, auth });
      const signer = await createPrimary(tpm, {
        hierarchy: 'endorsement',
        template: iakTemplate(),
        auth: signAuth,
        saltedTo,
      });
      const first = await startSession(tpm, { kind: 'hmac', cipher: 'none' });
      const second = await startSession(tpm, { kind: 'hmac', cipher: 'none' });
      const hides = await startSession(tpm, { kind: 'hmac', cipher: 'aes-128-cfb', saltedTo });
      const { certifyInfo } = await run(
        tpm,
        TPM2_Certify,
        {
          objectHandle: object,
          signHandle: signer,
          qualifyingData: Uint8Array.of(1, 2, 3),
          inScheme: { scheme: 'null' },
        },
        {
          authorizations: [
            using(first, { auth, last: true }),
            using(second, { auth: signAuth, last: true }),
            using(hides, { encryptRequest: true, encryptResponse: true, last: true }),
          ],
        },
      );
      expect(contains(certifyInfo, object.name)).toBe(true);
      expect(await listHandles(tpm, 'loadedSession')).toEqual([]);
      await flush(tpm, signer);
      await flush(tpm, object);
    });

    it('that only hides or audits goes with commands that need no authorization', async ({ skip }) => {
      const { tpm } = stage();
      skip(await lacks(tpm, TPM2_GetSessionAuditDigest), 'no audit');
      const saltedTo = await makeEk(tpm);
      const one = await startSession(tpm, { kind: 'hmac', cipher: 'aes-128-cfb', saltedTo });
      const two = await startSession(tpm, { kind: 'hmac', cipher: 'xor', saltedTo });
      await run(
        tpm,
        TPM2_StirRandom,
        { inData: tpm.random.bytes(16) },
        { authorizations: [using(one, { encryptRequest: true }), using(two)] },
      ).then(
        () => expect.fail('a session without a purpose is accepted'),
        (error: unknown) =>
          expect(error).toMatchObject({ reason: 'ATTRIBUTES', operand: { kind: 'session', number: 2 } }),
      );
      await run(
        tpm,
        TPM2_GetRandom,
        { bytesRequested: 8 },
        { authorizations: [using(one, { encryptResponse: true, audit: true })] },
      );
      const both = [using(one, { audit: true }), using(two, { encryptResponse: true })];
      await run(tpm, TPM2_GetRandom, { bytesRequested: 8 }, { authorizations: both });
      await endSession(tpm, one);
      await endSession(tpm, two);
    });
  });

  describe('the salt key of a TPM', () => {
    it('hides auth values where the caller names none', async () => {
      const { tpm, wire } = stage();
      const auth = tpm.random.bytes(20);
      expect(await chooseSaltKey(tpm)).toBeUndefined();
      const wanted = { hierarchy: 'owner', template: ldevidTemplate, auth } as const;
      await expect(createPrimary(tpm, wanted)).rejects.toThrow(/saltedTo/);
      const srk = await makeSrk(tpm);
      expect((await chooseSaltKey(tpm))?.name).toEqual(srk.name);
      const ek = await makeEk(tpm);
      expect((await chooseSaltKey(tpm))?.name).toEqual(ek.name);
      expect((await chooseSaltKey(tpm, [srk.name]))?.name).toEqual(srk.name);
      const key = await createPrimary(tpm, wanted);
      expect(await tpmSigner(tpm, key).sign(auth)).toHaveLength(64);
      expect(wire.commands.some((command) => contains(command, auth))).toBe(false);
      expect(await chooseSaltKey(tpm, [key.name])).toBeUndefined();
    });

    it('is a storage key, whatever else lies at its handle', async () => {
      const { tpm } = stage();
      const key = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
      await persist(tpm, key, 0x8101000a);
      expect(await chooseSaltKey(tpm)).toBeUndefined();
    });
  });

  describe('an auth value that is changed', () => {
    it('of a hierarchy is proven by the old one, and the answer by the new one', async () => {
      const { tpm, wire } = stage();
      tpm.saltKey = await makeEk(tpm);
      const [first, second] = [tpm.random.bytes(20), Uint8Array.of(...tpm.random.bytes(19), 0)];
      await changeHierarchyAuth(tpm, 'owner', { newAuth: first });
      await changeHierarchyAuth(tpm, 'owner', { auth: first, newAuth: second });
      await expect(
        changeHierarchyAuth(tpm, 'owner', { auth: first, newAuth: nothing }),
      ).rejects.toMatchObject({ reason: 'BAD_AUTH' });
      await changeHierarchyAuth(tpm, 'owner', { auth: second, newAuth: nothing });
      await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate });
      for (const auth of [first, second.subarray(0, 19)])
        expect(wire.commands.some((command) => contains(command, auth))).toBe(false);
      expect(await listHandles(tpm, 'loadedSession')).toEqual([]);
    });

    it('of an object wraps it anew', async ({ skip }) => {
      const { tpm, wire } = stage();
      skip(await lacks(tpm, TPM2_ObjectChangeAuth), 'no TPM2_ObjectChangeAuth');
      const srk = await makeSrk(tpm);
      tpm.saltKey = srk;
      const [auth, newAuth] = [tpm.random.bytes(20), tpm.random.bytes(20)];
      const wrapped = await createKey(tpm, srk, { template: ldevidTemplate, auth });
      const old = await loadKey(tpm, srk, wrapped, auth);
      const changed = await changeObjectAuth(tpm, srk, old, { newAuth });
      const key = await loadKey(tpm, srk, changed, newAuth);
      expect(key.name).toEqual(old.name);
      expect(await tpmSigner(tpm, key).sign(auth)).toHaveLength(64);
      expect(await tpmSigner(tpm, old).sign(auth)).toHaveLength(64);
      await expect(tpmSigner(tpm, { ...key, auth }).sign(auth)).rejects.toMatchObject({
        code: 'tpm.refused',
      });
      expect(wire.commands.some((command) => contains(command, newAuth))).toBe(false);
    });

    it('of an NV index is changed by its policy', async ({ skip }) => {
      const { tpm } = stage();
      skip(await lacks(tpm, TPM2_NV_ChangeAuth), 'no TPM2_NV_ChangeAuth');
      tpm.saltKey = await makeEk(tpm);
      const auth = tpm.random.bytes(20);
      const authPolicy = Policy.start('sha256').commandCode(TPM2_NV_ChangeAuth.code).digest;
      const attributes = { nt: 'ordinary', authwrite: true, authread: true, noDa: true } as const;
      const index = await nvDefine(tpm, { handle: 0x01800041, size: 1, attributes, auth, authPolicy });
      const changed = await changeNvAuth(tpm, index, { newAuth: tpm.random.bytes(20) });
      const written = await nvWrite(tpm, changed, Uint8Array.of(5));
      expect(await nvRead(tpm, written)).toEqual(Uint8Array.of(5));
      await expect(nvRead(tpm, { ...written, auth })).rejects.toMatchObject({ reason: 'BAD_AUTH' });
    });
  });

  describe('a Name that was learned', () => {
    it('is forgotten by what changes it, until it is read again', async () => {
      const { tpm } = stage();
      const auth = tpm.random.bytes(16);
      const handle = 0x01800042;
      const attributes = { nt: 'ordinary', authwrite: true, authread: true, writeStclear: true } as const;
      await nvDefine(tpm, { handle, size: 1, attributes, auth, saltedTo: await makeEk(tpm) });
      const session = await startSession(tpm, { kind: 'hmac' });
      const write = () =>
        run(
          tpm,
          TPM2_NV_Write,
          { authHandle: handle, nvIndex: handle, data: Uint8Array.of(1), offset: 0 },
          { authorizations: [using(session, { auth })] },
        );
      await nvReadPublic(tpm, handle);
      await write();
      await expect(write()).rejects.toThrow(/Name of handle/);
      await nvReadPublic(tpm, handle);
      await run(
        tpm,
        TPM2_NV_WriteLock,
        { authHandle: handle, nvIndex: handle },
        { authorizations: [using(session, { auth })] },
      );
      expect(tpm.names.has(handle)).toBe(false);
      await endSession(tpm, session);
      expect(tpm.names.size).toBeGreaterThan(0);
      await run(tpm, TPM2_Clear, { authHandle: TPM_RH.lockout });
      expect(tpm.names.size).toBe(0);
    });
  });

  describe('an audit session', () => {
    it('has the TPM vouch for answers to commands that need no authorization', async ({ skip }) => {
      const { tpm } = stage();
      skip(await lacks(tpm, TPM2_GetSessionAuditDigest), 'no audit');
      const session = await startSession(tpm, { kind: 'hmac', saltedTo: await makeEk(tpm) });
      const pcrSelectionIn = [{ hash: 'sha256', pcrSelect: [0] }] as const;
      const authorizations = [using(session, { audit: true })];
      const { pcrValues } = await run(tpm, TPM2_PCR_Read, { pcrSelectionIn }, { authorizations });
      expect(pcrValues).toEqual([new Uint8Array(32)]);
      await endSession(tpm, session);
    });

    it.for(['sha256', 'sha384'] as const)(
      'has the digest (%s) that we compute, signed by the TPM',
      async (hash, { skip }) => {
        const { tpm } = stage();
        skip(await lacks(tpm, TPM2_GetSessionAuditDigest), 'no audit');
        const saltedTo = await makeEk(tpm);
        const signer = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
        const session = await startSession(tpm, { kind: 'hmac', hash, cipher: 'aes-128-cfb', saltedTo });
        const trail = new SessionAudit(hash);
        const pcrSelectionIn = [{ hash: 'sha256', pcrSelect: [0, 1] }] as const;
        const ask = (audit: SessionAudit, more = {}) =>
          run(
            tpm,
            TPM2_PCR_Read,
            { pcrSelectionIn },
            { authorizations: [using(session, { audit, ...more })] },
          );
        await ask(trail);
        await run(
          tpm,
          TPM2_GetRandom,
          { bytesRequested: 8 },
          { authorizations: [using(session, { audit: trail, encryptResponse: true })] },
        );
        const qualifyingData = tpm.random.bytes(32);
        const audited = await attestAudit(tpm, session, trail, { signer, qualifyingData });
        verifyAudit({ key: signer.public, ...audited, qualifyingData, digest: trail.digest });

        await ask(new SessionAudit(hash)); // the TPM audits one more than this trail
        await expect(attestAudit(tpm, session, trail, { signer, qualifyingData })).rejects.toMatchObject({
          code: 'tpm.attestation-refused',
          check: 'audit-digest',
        });
        await ask(trail, { auditReset: true });
        const again = await attestAudit(tpm, session, trail, { signer, qualifyingData });
        expect(again.attest).not.toEqual(audited.attest);
        await endSession(tpm, session);
      },
    );

    it('is exclusive until another command comes between', async ({ skip }) => {
      const { tpm } = stage();
      skip(await lacks(tpm, TPM2_GetSessionAuditDigest), 'no audit');
      const session = await startSession(tpm, { kind: 'hmac' });
      const ask = (more: object) =>
        run(
          tpm,
          TPM2_GetRandom,
          { bytesRequested: 8 },
          { authorizations: [using(session, { audit: true, ...more })] },
        );
      await ask({ auditReset: true });
      await ask({ auditExclusive: true });
      const other = await startSession(tpm, { kind: 'hmac' });
      await run(
        tpm,
        TPM2_GetRandom,
        { bytesRequested: 8 },
        { authorizations: [using(other, { audit: true })] },
      );
      await expect(ask({ auditExclusive: true })).rejects.toMatchObject({ reason: 'EXCLUSIVE' });
      await endSession(tpm, session);
      await endSession(tpm, other);
    });
  });
}
