import { describe, expect, it } from 'vitest';
import { concat, u32 } from '../../src/core/bytes.ts';
import { encodeResponse } from '../../src/tpm/chip-framing.ts';
import {
  TPM2_CreatePrimary,
  TPM2_GetCapability,
  TPM2_GetRandom,
  TPM2_NV_Read,
  TPM2_NV_ReadPublic,
  TPM2_PCR_Read,
  TPM2_ReadPublic,
  TPM2_Sign,
  TPM2_StartAuthSession,
} from '../../src/tpm/commands.ts';
import { decodeResponse } from '../../src/tpm/framing.ts';
import {
  createPrimary,
  endSession,
  getRandom,
  idevidTemplate,
  ldevidTemplate,
  listHandles,
  nvDefine,
  nvRead,
  nvReadPublic,
  nvWrite,
  pcrRead,
  persist,
  run,
  startSession,
  tpmSigner,
  using,
} from '../../src/tpm/index.ts';
import { digest, hmac } from '../../src/tpm/kdf.ts';
import { nameOf } from '../../src/tpm/names.ts';
import type { Stage } from './stage.ts';
import { makeEk } from './stage.ts';
import { only, rewriting } from './tamper.ts';

/** A TPM, or a wire to it, that lies. */
export function tamperStories(stage: () => Stage): void {
  describe('somebody between the client and the TPM', () => {
    it('changes no bit of an HMAC-protected answer unnoticed', async () => {
      const set = stage();
      const { tpm } = set;
      const saltedTo = await makeEk(tpm);
      const plain = await startSession(tpm, { kind: 'hmac', cipher: 'aes-128-cfb', saltedTo });
      await run(
        tpm,
        TPM2_GetRandom,
        { bytesRequested: 16 },
        { authorizations: [using(plain, { encryptResponse: true, last: true })] },
      );
      const size = set.wire.answers.at(-1)?.length ?? 0;
      expect(size).toBeGreaterThan(80);
      const codes = new Set<string>();
      for (let at = 0; at < size; at++) {
        const session = await startSession(tpm, { kind: 'hmac', cipher: 'aes-128-cfb', saltedTo });
        set.tamper = only(TPM2_GetRandom.code, (answer) =>
          answer.map((byte, i) => (i === at ? byte ^ (1 << (at & 7)) : byte)),
        );
        const outcome = run(
          tpm,
          TPM2_GetRandom,
          { bytesRequested: 16 },
          { authorizations: [using(session, { encryptResponse: true })] },
        );
        await expect(outcome, `byte ${at}`).rejects.toMatchObject({
          code: expect.stringMatching(/^tpm\.(untrusted|malformed|refused)$/),
        });
        codes.add(
          await outcome.then(
            () => 'accepted',
            (error: { readonly code: string }) => error.code,
          ),
        );
        set.tamper = undefined;
        await endSession(tpm, session);
      }
      expect(codes).toContain('tpm.untrusted');
    });

    it('does not pass an old answer off as a new one', async () => {
      const set = stage();
      const { tpm } = set;
      const session = await startSession(tpm, {
        kind: 'hmac',
        cipher: 'aes-128-cfb',
        saltedTo: await makeEk(tpm),
      });
      await run(
        tpm,
        TPM2_GetRandom,
        { bytesRequested: 16 },
        { authorizations: [using(session, { encryptResponse: true })] },
      );
      const old = set.wire.answers.at(-1) ?? new Uint8Array(0);
      set.tamper = only(TPM2_GetRandom.code, () => old);
      const replayed = run(
        tpm,
        TPM2_GetRandom,
        { bytesRequested: 16 },
        { authorizations: [using(session, { encryptResponse: true })] },
      );
      await expect(replayed).rejects.toMatchObject({ code: 'tpm.untrusted', check: 'response-hmac' });
      // and the session is never used again
      expect(session.open).toBe(false);
    });

    it('does not answer in place of the TPM without knowing the auth value', async () => {
      const set = stage();
      const { tpm } = set;
      const ek = await makeEk(tpm);
      const key = await createPrimary(tpm, {
        hierarchy: 'owner',
        template: ldevidTemplate,
        auth: tpm.random.bytes(32),
        saltedTo: ek,
      });
      set.tamper = only(TPM2_Sign.code, (answer) => concat(answer.subarray(0, -32), new Uint8Array(32)));
      await expect(tpmSigner(tpm, key).sign(new Uint8Array(8))).rejects.toMatchObject({
        check: 'response-hmac',
      });
    });

    it('does not strip the session from an answer', async () => {
      const set = stage();
      const { tpm } = set;
      const session = await startSession(tpm, { kind: 'hmac', cipher: 'aes-128-cfb' });
      set.tamper = only(TPM2_GetRandom.code, () =>
        concat(Uint8Array.of(0x80, 0x01), u32(20), u32(0), Uint8Array.of(0, 8), new Uint8Array(8)),
      );
      const stripped = run(
        tpm,
        TPM2_GetRandom,
        { bytesRequested: 8 },
        { authorizations: [using(session, { encryptResponse: true })] },
      );
      await expect(stripped).rejects.toMatchObject({ code: 'tpm.malformed' });
    });

    it('does not answer a password with a nonce or an HMAC', async () => {
      const set = stage();
      const key = await createPrimary(set.tpm, { hierarchy: 'owner', template: ldevidTemplate });
      set.tamper = only(TPM2_Sign.code, (answer) => {
        const parts = decodeResponse(TPM2_Sign, 1, answer);
        const session = {
          nonce: new Uint8Array(16),
          sessionAttributes: { continueSession: true },
          hmac: new Uint8Array(0),
        };
        return encodeResponse(parts.handles, parts.parameters, [session]);
      });
      await expect(tpmSigner(set.tpm, key).sign(new Uint8Array(8))).rejects.toMatchObject({
        code: 'tpm.malformed',
      });
    });

    it('does not give out a signature that does not verify', async () => {
      const set = stage();
      const key = await createPrimary(set.tpm, { hierarchy: 'owner', template: ldevidTemplate });
      const other = {
        sigAlg: 'ecdsa',
        hash: 'sha256',
        signatureR: new Uint8Array(32).fill(1),
        signatureS: new Uint8Array(32).fill(2),
      };
      set.tamper = rewriting(TPM2_Sign, 1, () => ({ signature: other }));
      const signed = tpmSigner(set.tpm, key).sign(new Uint8Array(8));
      await expect(signed).rejects.toMatchObject({ code: 'tpm.untrusted', check: 'signature' });
    });

    it('does not turn encryption off, even where nothing keys the session', async () => {
      const set = stage();
      const { tpm } = set;
      const session = await startSession(tpm, { kind: 'hmac', cipher: 'aes-128-cfb' });
      set.tamper = only(TPM2_GetRandom.code, () => {
        const parameters = concat(Uint8Array.of(0, 8), new Uint8Array(8)); // in the clear
        const nonce = new Uint8Array(32);
        const sessionAttributes = { continueSession: true };
        const rpHash = digest('sha256', u32(0), u32(TPM2_GetRandom.code), parameters);
        const mac = hmac('sha256', new Uint8Array(0), rpHash, nonce, session.nonceCaller, Uint8Array.of(1));
        return encodeResponse([], parameters, [{ nonce, sessionAttributes, hmac: mac }]);
      });
      const answered = run(
        tpm,
        TPM2_GetRandom,
        { bytesRequested: 8 },
        { authorizations: [using(session, { encryptResponse: true })] },
      );
      await expect(answered).rejects.toMatchObject({ code: 'tpm.untrusted', check: 'response-attributes' });
    });

    it('does not start a session with a nonce that could be guessed', async () => {
      const set = stage();
      set.tamper = rewriting(TPM2_StartAuthSession, 0, () => ({ nonceTPM: new Uint8Array(8) }));
      await expect(startSession(set.tpm, { kind: 'hmac' })).rejects.toMatchObject({ check: 'session-nonce' });
    });

    it('does not shorten what is read from NV', async () => {
      const set = stage();
      const attributes = { nt: 'ordinary', ownerwrite: true, ownerread: true } as const;
      const defined = await nvDefine(set.tpm, { handle: 0x01800032, size: 8, attributes });
      const index = await nvWrite(set.tpm, defined, new Uint8Array(8), { by: 'owner' });
      set.tamper = rewriting(TPM2_NV_Read, 1, () => ({ data: new Uint8Array(4) }));
      await expect(nvRead(set.tpm, index, { by: 'owner' })).rejects.toMatchObject({ code: 'tpm.malformed' });
    });

    it('does not have us list handles for ever', async () => {
      const set = stage();
      set.tamper = rewriting(TPM2_GetCapability, 0, () => ({
        moreData: 'yes',
        capabilityData: { capability: 'handles', data: [0x81000001] },
      }));
      await expect(listHandles(set.tpm, 'persistent')).rejects.toMatchObject({ code: 'tpm.malformed' });
    });

    it('does not give an object another Name', async () => {
      const set = stage();
      const other = nameOf(ldevidTemplate);
      set.tamper = rewriting(TPM2_CreatePrimary, 1, (values) => ({ ...values, name: other }));
      const made = createPrimary(set.tpm, { hierarchy: 'owner', template: ldevidTemplate });
      await expect(made).rejects.toMatchObject({ code: 'tpm.untrusted', check: 'name' });
    });

    it('does not have us take an unrestricted key for a restricted one, Name and all', async () => {
      const set = stage();
      set.tamper = rewriting(TPM2_CreatePrimary, 1, (values) => {
        const area = {
          ...(values['outPublic'] as ReturnType<typeof idevidTemplate>),
          objectAttributes: { sign: true },
        };
        return { ...values, outPublic: area, name: nameOf(area) };
      });
      const made = createPrimary(set.tpm, { hierarchy: 'endorsement', template: idevidTemplate() });
      await expect(made).rejects.toMatchObject({ code: 'tpm.untrusted', check: 'template' });
    });

    it('does not swap the object that is persisted', async () => {
      const set = stage();
      const { tpm } = set;
      const key = await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate });
      const other = { ...ldevidTemplate, unique: { x: new Uint8Array(32), y: new Uint8Array(32) } };
      set.tamper = rewriting(TPM2_ReadPublic, 0, (values) => ({
        ...values,
        outPublic: other,
        name: nameOf(other),
      }));
      await expect(persist(tpm, key, 0x81000050)).rejects.toMatchObject({
        code: 'tpm.untrusted',
        check: 'persisted',
      });
    });

    it('does not describe another NV index than was asked for', async () => {
      const set = stage();
      const { tpm } = set;
      const attributes = { nt: 'ordinary', ownerwrite: true, ownerread: true } as const;
      await nvDefine(tpm, { handle: 0x01800030, size: 4, attributes });
      const other = await nvDefine(tpm, { handle: 0x01800031, size: 4, attributes });
      set.tamper = rewriting(TPM2_NV_ReadPublic, 0, () => ({ nvPublic: other.public, nvName: other.name }));
      await expect(nvReadPublic(tpm, 0x01800030)).rejects.toMatchObject({
        code: 'tpm.untrusted',
        check: 'nv-index',
      });
    });

    it('does not make us ask for PCRs for ever', async () => {
      const set = stage();
      set.tamper = rewriting(TPM2_PCR_Read, 0, (values) => ({
        ...values,
        pcrSelectionOut: [],
        pcrValues: [],
      }));
      await expect(pcrRead(set.tpm, [12])).rejects.toMatchObject({ code: 'tpm.malformed' });
    });

    it.each<[string, (answer: Uint8Array) => Uint8Array]>([
      ['cut off', (answer) => answer.subarray(0, -1)],
      ['cut off after its header', (answer) => answer.subarray(0, 10)],
      ['empty', () => new Uint8Array(0)],
      ['too long', (answer) => concat(answer, new Uint8Array(1))],
      ['oversized', () => new Uint8Array(8193)],
      [
        'with a size that lies',
        (answer) => concat(answer.subarray(0, 2), u32(0xffffffff), answer.subarray(6)),
      ],
      [
        'longer inside than outside',
        (answer) => concat(answer.subarray(0, 10), Uint8Array.of(0xff, 0xff), answer.subarray(12)),
      ],
      [
        'with more bytes than were asked for',
        () => concat(Uint8Array.of(0x80, 0x01), u32(44), u32(0), Uint8Array.of(0, 32), new Uint8Array(32)),
      ],
      [
        'a refusal that goes on',
        () => concat(Uint8Array.of(0x80, 0x01), u32(11), u32(0x101), new Uint8Array(1)),
      ],
    ])('is not believed: an answer %s', async (_, change) => {
      const set = stage();
      set.tamper = only(TPM2_GetRandom.code, change);
      await expect(getRandom(set.tpm, 8)).rejects.toMatchObject({ code: 'tpm.malformed', remedy: 'give-up' });
      set.tamper = undefined;
      expect(await getRandom(set.tpm, 8)).toHaveLength(8);
    });
  });
}
