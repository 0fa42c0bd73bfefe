import { describe, expect, it } from 'vitest';
import {
  TPM2_GetRandom,
  TPM2_HierarchyChangeAuth,
  TPM2_PolicyAuthValue,
  TPM2_PolicyGetDigest,
  TPM2_PolicyPassword,
  TPM2_PolicyPCR,
  TPM2_PolicyRestart,
  TPM2_Sign,
  TPM2_StirRandom,
} from '../../src/tpm/commands.ts';
import type { Tpm, TpmObject } from '../../src/tpm/index.ts';
import {
  activateCredential,
  createPrimary,
  ekRsaTemplate,
  endSession,
  iakTemplate,
  ldevidTemplate,
  listHandles,
  makeCredential,
  Policy,
  password,
  pcrExtend,
  pcrRead,
  run,
  startSession,
  TPM_RH,
  using,
  withAuthorizations,
} from '../../src/tpm/index.ts';
import { digest } from '../../src/tpm/kdf.ts';
import type { Stage } from './stage.ts';
import { contains, makeEk } from './stage.ts';

const nothing = new Uint8Array(0);

/** TPM2_Sign of a digest with whatever authorizes it. */
function signing(tpm: Tpm, key: TpmObject, authorizations: Parameters<typeof run>[3]) {
  return run(
    tpm,
    TPM2_Sign,
    {
      keyHandle: key,
      digest: new Uint8Array(32),
      inScheme: { scheme: 'null' },
      validation: { tag: 'hashcheck', hierarchy: TPM_RH.null, digest: nothing },
    },
    authorizations,
  );
}

/** A key with an auth value that came salted to an endorsement key. */
async function guardedKey(tpm: Tpm) {
  const ek = await makeEk(tpm);
  const auth = tpm.random.bytes(32);
  const key = await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate, auth, saltedTo: ek });
  return { ek, auth, key };
}

/** HMAC and policy sessions, parameter encryption. */
export function sessionStories(stage: () => Stage): void {
  describe('sessions', () => {
    it('are listed whatever their kind: policies stand among the others', async () => {
      const { tpm } = stage();
      const policy = await startSession(tpm, { kind: 'policy' });
      const hmac = await startSession(tpm, { kind: 'hmac' });
      expect(await listHandles(tpm, 'loadedSession')).toEqual([hmac.handle, policy.handle]);
      for (const session of [policy, hmac]) await endSession(tpm, session);
      expect(await listHandles(tpm, 'loadedSession')).toEqual([]);
    });
  });

  describe('an HMAC session', () => {
    it('serves many commands, its nonces rolling', async () => {
      const { tpm } = stage();
      const session = await startSession(tpm, { kind: 'hmac', cipher: 'aes-128-cfb' });
      const nonces = new Set<string>();
      for (let i = 0; i < 5; i++) {
        await run(
          tpm,
          TPM2_GetRandom,
          { bytesRequested: 8 },
          { authorizations: [using(session, { encryptResponse: true })] },
        );
        nonces.add(Buffer.from(session.nonceTpm).toString('hex'));
        nonces.add(Buffer.from(session.nonceCaller).toString('hex'));
      }
      expect(nonces.size).toBe(10);
      await endSession(tpm, session);
      await endSession(tpm, session);
      expect(await listHandles(tpm, 'loadedSession')).toEqual([]);
      await expect(
        run(tpm, TPM2_GetRandom, { bytesRequested: 8 }, { authorizations: [using(session)] }),
      ).rejects.toThrow(TypeError);
    });

    it.each(['aes-128-cfb', 'aes-256-cfb', 'xor'] as const)(
      'hides parameters both ways with %s',
      async (cipher) => {
        const { tpm, wire } = stage();
        const session = await startSession(tpm, { kind: 'hmac', cipher, saltedTo: await makeEk(tpm) });
        const secret = tpm.random.bytes(32);
        const use = using(session, { encryptRequest: true });
        await run(tpm, TPM2_StirRandom, { inData: secret }, { authorizations: [use] });
        expect(wire.commands.some((command) => contains(command, secret))).toBe(false);
        const open = await run(tpm, TPM2_GetRandom, { bytesRequested: 32 });
        expect(wire.answers.some((answer) => contains(answer, open.randomBytes))).toBe(true);
        const hidden = await run(
          tpm,
          TPM2_GetRandom,
          { bytesRequested: 32 },
          { authorizations: [using(session, { encryptResponse: true })] },
        );
        expect(hidden.randomBytes).toHaveLength(32);
        expect(wire.answers.some((answer) => contains(answer, hidden.randomBytes))).toBe(false);
      },
    );

    it('can be salted to an RSA key, and use SHA-384', { timeout: 60_000 }, async () => {
      const { tpm } = stage();
      const ek = await createPrimary(tpm, { hierarchy: 'endorsement', template: ekRsaTemplate });
      const session = await startSession(tpm, {
        kind: 'hmac',
        hash: 'sha384',
        cipher: 'aes-256-cfb',
        saltedTo: ek,
      });
      const { randomBytes } = await run(
        tpm,
        TPM2_GetRandom,
        { bytesRequested: 8 },
        { authorizations: [using(session, { encryptResponse: true })] },
      );
      expect(randomBytes).toHaveLength(8);
    });

    it('can be bound to an entity, whose auth value it then proves by itself', async () => {
      const { tpm } = stage();
      const { auth, key } = await guardedKey(tpm);
      const session = await startSession(tpm, { kind: 'hmac', boundTo: { ...key, auth } });
      const { signature } = await signing(tpm, key, { authorizations: [using(session, { auth })] });
      expect(signature.sigAlg).toBe('ecdsa');
      await endSession(tpm, session);
      await expect(
        startSession(tpm, { kind: 'hmac', boundTo: { ...key, auth: tpm.random.bytes(32) } }).then((wrong) =>
          signing(tpm, key, { authorizations: [using(wrong, { auth })] }),
        ),
      ).rejects.toMatchObject({ code: 'tpm.refused' });
    });

    it('works beside another that encrypts, both vouching for the nonces', async () => {
      const { tpm } = stage();
      const { ek, auth, key } = await guardedKey(tpm);
      await withAuthorizations(
        tpm,
        [
          { by: 'auth', auth },
          { by: 'salt', to: ek, request: true },
        ],
        async (authorizations) => {
          const { signature } = await signing(tpm, key, { authorizations });
          expect(signature.sigAlg).toBe('ecdsa');
        },
      );
      expect(await listHandles(tpm, 'loadedSession')).toEqual([]);
    });
  });

  describe('a policy session', () => {
    it('has the digests that `Policy` computes without a TPM', async () => {
      const { tpm } = stage();
      const session = await startSession(tpm, { kind: 'policy' });
      const policySession = session.handle;
      const now = async () => (await run(tpm, TPM2_PolicyGetDigest, { policySession })).policyDigest;
      expect(await now()).toEqual(Policy.start('sha256').digest);
      const pcrs = [{ hash: 'sha256', pcrSelect: [16] }] as const;
      const pcrDigest = digest('sha256', ...(await pcrRead(tpm, [16])));
      await run(tpm, TPM2_PolicyPCR, { policySession, pcrDigest: nothing, pcrs });
      const withPcr = Policy.start('sha256').pcr(pcrs, pcrDigest);
      expect(await now()).toEqual(withPcr.digest);
      await run(tpm, TPM2_PolicyAuthValue, { policySession });
      expect(await now()).toEqual(withPcr.authValue().digest);
      await run(tpm, TPM2_PolicyRestart, { sessionHandle: policySession });
      expect(await now()).toEqual(Policy.start('sha256').digest);
      await endSession(tpm, session);
    });

    it('lets a key be used while the PCRs are what its policy says, and not after', async () => {
      const { tpm } = stage();
      const pcrs = [{ hash: 'sha256', pcrSelect: [16] }] as const;
      const pcrDigest = digest('sha256', ...(await pcrRead(tpm, [16])));
      const authPolicy = Policy.start('sha256').pcr(pcrs, pcrDigest).digest;
      const objectAttributes = { ...ldevidTemplate.objectAttributes, userWithAuth: false };
      const key = await createPrimary(tpm, {
        hierarchy: 'owner',
        template: { ...ldevidTemplate, authPolicy, objectAttributes },
      });
      const signWithPolicy = () =>
        withAuthorizations(
          tpm,
          [
            {
              by: 'policy',
              hash: 'sha256',
              fulfil: async ({ handle }) => {
                await run(tpm, TPM2_PolicyPCR, { policySession: handle, pcrDigest: nothing, pcrs });
              },
            },
          ],
          (authorizations) => signing(tpm, key, { authorizations }),
        );
      expect((await signWithPolicy()).signature.sigAlg).toBe('ecdsa');
      await expect(signing(tpm, key, {})).rejects.toMatchObject({ reason: 'AUTH_UNAVAILABLE' });
      await pcrExtend(tpm, 16, { sha256: tpm.random.bytes(32) });
      await expect(signWithPolicy()).rejects.toMatchObject({
        reason: 'POLICY_FAIL',
        operand: { kind: 'session', number: 1 },
      });
      expect(await listHandles(tpm, 'loadedSession')).toEqual([]);
    });

    it('can ask for the auth value, by HMAC and as a password', async () => {
      const { tpm } = stage();
      const ek = await makeEk(tpm);
      const auth = tpm.random.bytes(32);
      const authPolicy = Policy.start('sha256').authValue().digest;
      const objectAttributes = { ...ldevidTemplate.objectAttributes, userWithAuth: false };
      const template = { ...ldevidTemplate, authPolicy, objectAttributes };
      const key = await createPrimary(tpm, { hierarchy: 'owner', template, auth, saltedTo: ek });
      for (const [value, outcome] of [
        [auth, 'signed'],
        [tpm.random.bytes(32), 'refused'],
      ] as const) {
        const session = await startSession(tpm, { kind: 'policy' });
        await run(tpm, TPM2_PolicyAuthValue, { policySession: session.handle });
        session.requireAuthValue();
        const result = await signing(tpm, key, { authorizations: [using(session, { auth: value })] }).then(
          () => 'signed',
          (error: { readonly code: string }) => (error.code === 'tpm.refused' ? 'refused' : error.code),
        );
        expect(result).toBe(outcome);
        await endSession(tpm, session);
      }
      const session = await startSession(tpm, { kind: 'policy' });
      await run(tpm, TPM2_PolicyPassword, { policySession: session.handle });
      session.requirePassword();
      const { signature } = await signing(tpm, key, {
        authorizations: [using(session, { auth, last: true })],
      });
      expect(signature.sigAlg).toBe('ecdsa');
    });
  });

  describe('a hierarchy with an auth value', () => {
    it('is changed by HMAC, the answer checked with the new value, and its policies still work', async () => {
      const { tpm, wire } = stage();
      const ek = await makeEk(tpm);
      const ak = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
      const endorsementAuth = tpm.random.bytes(20);
      const session = await startSession(tpm, { kind: 'hmac', cipher: 'aes-128-cfb', saltedTo: ek });
      await run(
        tpm,
        TPM2_HierarchyChangeAuth,
        { authHandle: TPM_RH.endorsement, newAuth: endorsementAuth },
        {
          authorizations: [using(session, { authAfter: endorsementAuth, encryptRequest: true, last: true })],
        },
      );
      const secret = tpm.random.bytes(32);
      const challenge = makeCredential({ ek: ek.public, name: ak.name, secret, random: tpm.random });
      expect(await activateCredential(tpm, { ak, ek, challenge, endorsementAuth })).toEqual(secret);
      await expect(activateCredential(tpm, { ak, ek, challenge })).rejects.toMatchObject({
        reason: 'BAD_AUTH',
      });
      expect(wire.commands.some((command) => contains(command, endorsementAuth))).toBe(false);
      const withPassword = { authorizations: [password(endorsementAuth)] };
      await run(
        tpm,
        TPM2_HierarchyChangeAuth,
        { authHandle: TPM_RH.endorsement, newAuth: nothing },
        withPassword,
      );
      expect(await activateCredential(tpm, { ak, ek, challenge })).toEqual(secret);
      expect(await listHandles(tpm, 'loadedSession')).toEqual([]);
    });
  });

  describe('a command whose object is known by handle only', () => {
    it('is not sent in an HMAC session: the Name is what the session proves', async () => {
      const { tpm, wire } = stage();
      const session = await startSession(tpm, { kind: 'hmac' });
      const sent = wire.commands.length;
      await expect(
        signing(tpm, { handle: 0x81005555 } as TpmObject, { authorizations: [using(session)] }),
      ).rejects.toThrow();
      expect(wire.commands.length).toBe(sent);
    });
  });
}
