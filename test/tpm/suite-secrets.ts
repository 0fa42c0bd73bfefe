import {
  createECDH,
  createHmac,
  generateKeyPairSync,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  TPM2_Duplicate,
  TPM2_ECDH_KeyGen,
  TPM2_ECDH_ZGen,
  TPM2_EncryptDecrypt2,
  TPM2_HashSequenceStart,
  TPM2_HMAC_Start,
  TPM2_Import,
  TPM2_PolicyAuthValue,
  TPM2_PolicyCommandCode,
  TPM2_PolicyPCR,
  TPM2_RSA_Decrypt,
  TPM2_Sign,
  TPM2_Unseal,
} from '../../src/tpm/commands.ts';
import type { Session, TPMT_PUBLIC } from '../../src/tpm/index.ts';
import {
  cipherInTpm,
  createKey,
  createPrimary,
  duplicateKey,
  ecdh,
  ecdhKeyGen,
  encode,
  flush,
  fulfilKeyFile,
  hashInTpm,
  hmacInTpm,
  iakTemplate,
  importKey,
  keyObjectOfPublic,
  ldevidTemplate,
  listHandles,
  loadKey,
  loadKeyFile,
  loadPublic,
  owned,
  Policy,
  pcrDigest,
  pcrExtend,
  pcrRead,
  readKeyFile,
  rsaDecrypt,
  run,
  seal,
  selectedPcrs,
  signMessage,
  softwareHmacKey,
  softwareKey,
  srkTemplate,
  TPM_RH,
  tpmSigner,
  unseal,
  verifyTpmSignature,
  withAuthorizations,
  withKey,
  wrapForImport,
  writeKeyFile,
} from '../../src/tpm/index.ts';
import { TPML_PCR_SELECTION } from '../../src/tpm/structures.ts';
import type { Stage } from './stage.ts';
import { contains, lacks, makeSrk } from './stage.ts';

const nothing = new Uint8Array(0);

/** Sealed data, decryption keys, keys that move, messages longer than a command. */
export function secretStories(stage: () => Stage): void {
  describe('sealed data', () => {
    it('comes back while the PCRs are what they were, hidden both ways, and leaves nothing behind', async ({
      skip,
    }) => {
      const { tpm, wire } = stage();
      skip(await lacks(tpm, TPM2_Unseal), 'no TPM2_Unseal');
      const srk = await makeSrk(tpm);
      const data = tpm.random.bytes(128);
      const pcrs = [
        { hash: 'sha1', pcrSelect: [3] },
        { hash: 'sha256', pcrSelect: [16, 7, 0] },
      ] as const;
      const sealed = await seal(tpm, srk, { data, pcrs });
      expect(await unseal(tpm, srk, sealed)).toEqual(data);
      await pcrExtend(tpm, 16, { sha256: tpm.random.bytes(32) });
      await expect(unseal(tpm, srk, sealed)).rejects.toMatchObject({ reason: 'POLICY_FAIL' });
      for (const seen of [...wire.commands, ...wire.answers]) expect(contains(seen, data)).toBe(false);
      expect(await listHandles(tpm, 'transient')).toEqual([]);
      expect(await listHandles(tpm, 'loadedSession')).toEqual([]);
    });

    it('asks for its auth value, with a policy and without one', async ({ skip }) => {
      const { tpm, wire } = stage();
      skip(await lacks(tpm, TPM2_Unseal), 'no TPM2_Unseal');
      const srk = await makeSrk(tpm);
      const data = tpm.random.bytes(32);
      const auth = tpm.random.bytes(16);
      for (const pcrs of [[], [{ hash: 'sha256', pcrSelect: [7] }]] as const) {
        const sealed = await seal(tpm, srk, { data, auth, pcrs });
        expect(await unseal(tpm, srk, sealed, { auth })).toEqual(data);
        await expect(unseal(tpm, srk, sealed, { auth: tpm.random.bytes(16) })).rejects.toMatchObject({
          code: 'tpm.refused',
          operand: { kind: 'session', number: 1 },
        });
      }
      const open = await seal(tpm, srk, { data });
      expect(await unseal(tpm, srk, open)).toEqual(data);
      expect(wire.commands.some((command) => contains(command, auth))).toBe(false);
      await expect(seal(tpm, srk, { data: nothing })).rejects.toThrow(TypeError);
    });

    it('can be sealed to values the PCRs are still to have', async ({ skip }) => {
      const { tpm } = stage();
      skip(await lacks(tpm, TPM2_Unseal), 'no TPM2_Unseal');
      const srk = await makeSrk(tpm);
      const pcrs = [{ hash: 'sha256', pcrSelect: [16] }] as const;
      const event = tpm.random.bytes(32);
      const [before = nothing] = await pcrRead(tpm, [16]);
      const after = pcrDigest('sha256', [before, event]);
      const data = tpm.random.bytes(8);
      const sealed = await seal(tpm, srk, { data, pcrs, pcrDigest: pcrDigest('sha256', [after]) });
      await expect(unseal(tpm, srk, sealed)).rejects.toMatchObject({ reason: 'POLICY_FAIL' });
      await pcrExtend(tpm, 16, { sha256: event });
      expect(await selectedPcrs(tpm, pcrs)).toEqual([after]);
      expect(await unseal(tpm, srk, sealed)).toEqual(data);
    });
  });

  describe('a key that is loaded for a scope', () => {
    it('is gone at its end, however it ends', async () => {
      const { tpm } = stage();
      const srk = await makeSrk(tpm);
      const wrapped = await createKey(tpm, srk, { template: ldevidTemplate });
      expect(await withKey(tpm, srk, wrapped, (key) => tpmSigner(tpm, key).sign(nothing))).toHaveLength(64);
      const failing = withKey(tpm, srk, wrapped, () => Promise.reject(new Error('changed my mind')));
      await expect(failing).rejects.toThrow('changed my mind');
      {
        await using key = owned(tpm, await loadKey(tpm, srk, wrapped));
        await flush(tpm, key); // gone already: the end of the scope does not mind
      }
      expect(await listHandles(tpm, 'transient')).toEqual([]);
    });
  });

  describe('an ECDH key', () => {
    const template: TPMT_PUBLIC = {
      ...ldevidTemplate,
      objectAttributes: { ...ldevidTemplate.objectAttributes, sign: false, decrypt: true },
      parameters: { ...ldevidTemplate.parameters, scheme: { scheme: 'null' } },
    };

    it('shares a secret with another, which only both know', async ({ skip }) => {
      const { tpm, wire } = stage();
      skip(await lacks(tpm, TPM2_ECDH_ZGen, TPM2_ECDH_KeyGen), 'no ECDH');
      const auth = tpm.random.bytes(16);
      const saltedTo = await makeSrk(tpm);
      const key = await createPrimary(tpm, { hierarchy: 'owner', template, auth, saltedTo });
      const other = createECDH('prime256v1');
      other.generateKeys();
      const own = new Uint8Array(other.getPublicKey());
      const { x } = await ecdh(tpm, key, { x: own.subarray(1, 33), y: own.subarray(33) });
      const theirs = keyObjectOfPublic(key.public).export({ format: 'jwk' });
      const point = Buffer.concat([
        Buffer.of(4),
        ...[theirs.x, theirs.y].map((one) => Buffer.from(one ?? '', 'base64url')),
      ]);
      expect(x).toEqual(new Uint8Array(other.computeSecret(point)));

      const made = await ecdhKeyGen(tpm, key);
      expect(await ecdh(tpm, key, made.point)).toEqual(made.shared);
      for (const secret of [x, made.shared.x])
        expect(wire.answers.some((answer) => contains(answer, secret))).toBe(false);
      await expect(ecdh(tpm, key, { x: new Uint8Array(32), y: new Uint8Array(32) })).rejects.toMatchObject({
        reason: 'ECC_POINT',
      });
    });
  });

  describe('a software key', () => {
    it.for(['P-256', 'P-384', 'P-521', 'rsa', 'hmac'] as const)(
      '(%s) is wrapped for a storage key without a TPM, imported, and works',
      async (kind, { skip }) => {
        const { tpm, wire } = stage();
        skip(await lacks(tpm, TPM2_Import), 'no TPM2_Import');
        const srk = await makeSrk(tpm);
        const auth = tpm.random.bytes(16);
        const bytes = tpm.random.bytes(32);
        const { privateKey } =
          kind === 'rsa'
            ? generateKeyPairSync('rsa', { modulusLength: 2048 })
            : generateKeyPairSync('ec', { namedCurve: kind === 'hmac' ? 'P-256' : kind });
        if (kind === 'hmac') skip(await lacks(tpm, TPM2_HMAC_Start), 'no TPM2_HMAC_Start');
        const key =
          kind === 'hmac'
            ? softwareHmacKey(bytes, tpm.random.bytes(32), { auth })
            : softwareKey(privateKey, { auth });
        const duplicate = wrapForImport({ parent: srk.public, key, random: tpm.random });
        const wrapped = await importKey(tpm, srk, duplicate);
        await using loaded = owned(tpm, await loadKey(tpm, srk, wrapped, auth));
        const data = tpm.random.bytes(100);
        if (kind === 'hmac') {
          const mac = createHmac('sha256', bytes).update(data).digest();
          expect(await hmacInTpm(tpm, loaded, data)).toEqual(new Uint8Array(mac));
        } else if (kind === 'P-256') {
          expect(await tpmSigner(tpm, loaded).sign(data)).toHaveLength(64);
        } else {
          skip(await lacks(tpm, TPM2_HashSequenceStart), 'no sequences');
          expect((await signMessage(tpm, loaded, data)).sigAlg).toBe(kind === 'rsa' ? 'rsassa' : 'ecdsa');
        }
        expect(wire.commands.some((command) => contains(command, bytes))).toBe(false);
        const damaged = {
          ...duplicate,
          duplicate: duplicate.duplicate.map((b, i) => (i === 50 ? b ^ 1 : b)),
        };
        await expect(importKey(tpm, srk, damaged)).rejects.toMatchObject({ reason: 'INTEGRITY' });
      },
    );

    it('is RSA of two primes or on a curve of the NIST', () => {
      expect(() => softwareKey(generateKeyPairSync('ed25519').privateKey)).toThrow(TypeError);
      expect(() => softwareKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey)).toThrow(
        TypeError,
      );
      expect(() => softwareHmacKey(nothing, nothing)).toThrow(TypeError);
    });
  });

  describe('a key file', () => {
    it('holds a key for another TPM, which that one alone imports', async ({ skip }) => {
      const { tpm } = stage();
      skip(await lacks(tpm, TPM2_Import), 'no TPM2_Import');
      const srk = await makeSrk(tpm);
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const auth = tpm.random.bytes(16);
      const key = softwareKey(privateKey, { auth });
      const { duplicate, ...made } = wrapForImport({ parent: srk.public, key, random: tpm.random });
      const pem = writeKeyFile({
        ...made,
        private: duplicate,
        type: 'importable',
        emptyAuth: false,
        parent: srk.handle,
      });
      await using loaded = owned(tpm, await loadKeyFile(tpm, readKeyFile(pem), { auth }));
      expect(await tpmSigner(tpm, loaded).sign(nothing)).toHaveLength(64);
      const elsewhere = readKeyFile(
        writeKeyFile({ ...readKeyFile(pem), parent: 0x40000001, rsaParent: true }),
      );
      await expect(loadKeyFile(tpm, elsewhere)).rejects.toMatchObject({ code: 'tpm.refused' });
      await expect(loadKeyFile(tpm, { ...elsewhere, parent: 0x81007777 })).rejects.toThrow(TypeError);
      expect(await listHandles(tpm, 'transient')).toEqual([loaded.handle]);
    });

    it('says how its policy is fulfilled', async () => {
      const { tpm } = stage();
      const srk = await makeSrk(tpm);
      const pcrs = [{ hash: 'sha256', pcrSelect: [7] }] as const;
      const auth = tpm.random.bytes(16);
      const now = pcrDigest('sha256', await selectedPcrs(tpm, pcrs));
      const authPolicy = Policy.start('sha256').pcr(pcrs, now).authValue().digest;
      const objectAttributes = { ...ldevidTemplate.objectAttributes, userWithAuth: false };
      const template = { ...ldevidTemplate, objectAttributes, authPolicy };
      const wrapped = await createKey(tpm, srk, { template, auth, saltedTo: srk });
      const selection = encode(TPML_PCR_SELECTION, pcrs);
      const policy = [
        { code: TPM2_PolicyPCR.code, parameters: Uint8Array.of(0, 0, ...selection) },
        { code: TPM2_PolicyAuthValue.code, parameters: nothing },
      ];
      const file = readKeyFile(writeKeyFile({ ...wrapped, parent: srk.handle, emptyAuth: false, policy }));
      await using key = owned(tpm, await loadKeyFile(tpm, file, { auth }));
      const need = {
        by: 'policy',
        hash: 'sha256',
        auth,
        fulfil: (session: Session) => fulfilKeyFile(tpm, file, session),
      } as const;
      const sign = () =>
        withAuthorizations(tpm, [need], (authorizations) =>
          run(
            tpm,
            TPM2_Sign,
            {
              keyHandle: key,
              digest: new Uint8Array(32),
              inScheme: { scheme: 'null' },
              validation: { tag: 'hashcheck', hierarchy: TPM_RH.null, digest: nothing },
            },
            { authorizations },
          ),
        );
      expect((await sign()).signature.sigAlg).toBe('ecdsa');
      await pcrExtend(tpm, 7, { sha256: tpm.random.bytes(32) });
      await expect(sign()).rejects.toMatchObject({ reason: 'POLICY_FAIL' });
      const signed = { ...file, policy: [{ code: 0x160, parameters: nothing }] };
      await expect(
        withAuthorizations(
          tpm,
          [{ ...need, fulfil: (session: Session) => fulfilKeyFile(tpm, signed, session) }],
          async () => {},
        ),
      ).rejects.toThrow(TypeError);
    });
  });

  describe('a key that its policy lets go', () => {
    it.for(['no inner wrap', 'an inner wrap'])('moves to another parent, with %s', async (how, { skip }) => {
      const { tpm } = stage();
      skip(await lacks(tpm, TPM2_Duplicate, TPM2_Import), 'no duplication');
      const srk = await makeSrk(tpm);
      const authPolicy = Policy.start('sha256').commandCode(TPM2_Duplicate.code).digest;
      const { fixedTPM: _, fixedParent: __, ...attributes } = ldevidTemplate.objectAttributes;
      const inner = how === 'an inner wrap';
      const template: TPMT_PUBLIC = {
        ...ldevidTemplate,
        objectAttributes: { ...attributes, encryptedDuplication: inner },
        authPolicy,
      };
      const wrapped = await createKey(tpm, srk, { template });
      const unique = { x: new Uint8Array(32).fill(1), y: new Uint8Array(32) };
      const makeOther = () =>
        createPrimary(tpm, { hierarchy: 'owner', template: { ...srkTemplate, unique } });
      const away = await makeOther();
      await flush(tpm, away); // its public area is enough
      const newParent = await loadPublic(tpm, away.public);
      const key = await loadKey(tpm, srk, wrapped);
      const duplicate = await duplicateKey(tpm, key, {
        newParent,
        fulfil: async ({ handle }) => {
          await run(tpm, TPM2_PolicyCommandCode, { policySession: handle, code: TPM2_Duplicate.code });
        },
        ...(inner ? { symmetric: { algorithm: 'aes', keyBits: 128, mode: 'cfb' }, saltedTo: srk } : {}),
      });
      await flush(tpm, newParent);
      await flush(tpm, key);
      expect(duplicate.inner?.key.length).toBe(inner ? 16 : undefined);
      const other = await makeOther();
      const moved = await loadKey(tpm, other, await importKey(tpm, other, duplicate));
      expect(moved.name).toEqual(key.name);
      expect(await tpmSigner(tpm, moved).sign(nothing)).toHaveLength(64);
    });
  });

  describe('a message of any length', () => {
    it.for([4, 1023, 1024, 1025, 5000])(
      '(%i bytes) is signed by a restricted key',
      async (size, { skip }) => {
        const { tpm } = stage();
        skip(await lacks(tpm, TPM2_HashSequenceStart), 'no sequences');
        const iak = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
        const data = new Uint8Array(randomBytes(size));
        const signature = await signMessage(tpm, iak, data);
        expect(verifyTpmSignature(iak.public, data, signature)).toBe(true);
        await flush(tpm, iak);
        expect(await listHandles(tpm, 'transient')).toEqual([]);
      },
    );

    it('is not signed by a restricted key when it could begin an attestation, and by any other it is', async ({
      skip,
    }) => {
      const { tpm } = stage();
      skip(await lacks(tpm, TPM2_HashSequenceStart), 'no sequences');
      const iak = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
      const forged = Uint8Array.of(0xff, 0x54, 0x43, 0x47, 0x80, 0x18);
      for (const refused of [forged, forged.subarray(0, 3)]) // four bytes are needed to tell
        await expect(signMessage(tpm, iak, refused)).rejects.toMatchObject({ reason: 'TICKET' });
      const ldevid = await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate });
      expect((await signMessage(tpm, ldevid, forged)).sigAlg).toBe('ecdsa');
    });

    it('has the digest that we compute, in each hash', async ({ skip }) => {
      const { tpm } = stage();
      skip(await lacks(tpm, TPM2_HashSequenceStart), 'no sequences');
      for (const hash of ['sha1', 'sha256', 'sha384', 'sha512'] as const) {
        const { digest, ticket } = await hashInTpm(tpm, new Uint8Array(3000).fill(5), { hash });
        expect(digest).toEqual(pcrDigest(hash, [new Uint8Array(3000).fill(5)]));
        expect(ticket.tag).toBe('hashcheck');
      }
    });
  });

  describe('an RSA decryption key', () => {
    it('opens what was encrypted to it, by OAEP', { timeout: 60_000 }, async ({ skip }) => {
      const { tpm, wire } = stage();
      skip(await lacks(tpm, TPM2_RSA_Decrypt, TPM2_Import), 'no RSA decryption');
      const srk = await makeSrk(tpm);
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const software = softwareKey(privateKey, { use: 'decrypt' });
      const duplicate = wrapForImport({ parent: srk.public, key: software, random: tpm.random });
      const key = await loadKey(tpm, srk, await importKey(tpm, srk, duplicate));
      const secret = tpm.random.bytes(32);
      const public_ = keyObjectOfPublic(key.public);
      const sealed = new Uint8Array(publicEncrypt({ key: public_, oaepHash: 'sha256' }, secret));
      expect(new Uint8Array(privateDecrypt({ key: privateKey, oaepHash: 'sha256' }, sealed))).toEqual(secret);
      const opened = await rsaDecrypt(tpm, key, sealed, { scheme: { scheme: 'oaep', hashAlg: 'sha256' } });
      expect(opened).toEqual(secret);
      expect(wire.answers.some((answer) => contains(answer, secret))).toBe(false);
    });
  });

  describe('a symmetric key', () => {
    it('encrypts and decrypts more than a command takes', async ({ skip }) => {
      const { tpm } = stage();
      skip(await lacks(tpm, TPM2_EncryptDecrypt2), 'no TPM2_EncryptDecrypt2');
      const template: TPMT_PUBLIC = {
        type: 'symcipher',
        nameAlg: 'sha256',
        objectAttributes: {
          sensitiveDataOrigin: true,
          userWithAuth: true,
          noDA: true,
          sign: true,
          decrypt: true,
        },
        authPolicy: nothing,
        parameters: { sym: { algorithm: 'aes', keyBits: 128, mode: 'cfb' } },
        unique: nothing,
      };
      const key = await createPrimary(tpm, { hierarchy: 'owner', template });
      const data = new Uint8Array(randomBytes(3000));
      const iv = tpm.random.bytes(16);
      const hidden = await cipherInTpm(tpm, key, data, { decrypt: false, iv });
      expect(hidden).not.toEqual(data);
      const saltedTo = await makeSrk(tpm);
      expect(await cipherInTpm(tpm, key, hidden, { decrypt: true, iv, saltedTo })).toEqual(data);
    });
  });
}
