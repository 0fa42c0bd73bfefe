import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodePlatform } from '../../src/core/node.ts';
import {
  TPM2_Certify,
  TPM2_ContextLoad,
  TPM2_Create,
  TPM2_CreatePrimary,
  TPM2_FlushContext,
  TPM2_GetCapability,
  TPM2_GetRandom,
  TPM2_HashSequenceStart,
  TPM2_Load,
  TPM2_NV_ReadPublic,
  TPM2_PCR_Read,
  TPM2_Quote,
  TPM2_ReadPublic,
  TPM2_SequenceComplete,
  TPM2_Sign,
  TPM2_Unseal,
} from '../../src/tpm/commands.ts';
import { decodeResponse } from '../../src/tpm/framing.ts';
import type { Tpm } from '../../src/tpm/index.ts';
import {
  certifyChecked,
  createKey,
  createPrimary,
  encode,
  getRandom,
  hashInTpm,
  iakTemplate,
  idevidTemplate,
  ldevidTemplate,
  listHandles,
  loadKey,
  loadPersistent,
  nameOf,
  nvDefine,
  nvReadPublic,
  openSharedTpm,
  pcrRead,
  quotePcrs,
  run,
  seal,
  signMessage,
  startSession,
  tpmSigner,
  unseal,
  using,
} from '../../src/tpm/index.ts';
import { TPML_PCR_SELECTION, TPMS_AUTH_RESPONSE } from '../../src/tpm/structures.ts';
import type { Stage } from './stage.ts';
import { lacks, makeSrk } from './stage.ts';
import { only, rewriting } from './tamper.ts';

const { clock, random } = nodePlatform({ directory: '.' });

/** Forgets whatever is in the TPM. */
async function empty(tpm: Tpm): Promise<void> {
  for (const kind of ['transient', 'loadedSession', 'savedSession'] as const)
    for (const flushHandle of await listHandles(tpm, kind))
      await run(tpm, TPM2_FlushContext, { flushHandle });
}

/** A TPM that answers, in form, and lies. */
export function liarStories(stage: () => Stage): void {
  describe('a TPM that lies', () => {
    it('about the Name of what it loads or describes is not believed', async () => {
      const set = stage();
      const { tpm } = set;
      const srk = await makeSrk(tpm);
      const wrapped = await createKey(tpm, srk, { template: ldevidTemplate });
      const untrue = (name: unknown) => (name as Uint8Array).map((byte, i) => (i === 20 ? byte ^ 1 : byte));
      set.tamper = rewriting(TPM2_Load, 1, (values) => ({ ...values, name: untrue(values['name']) }));
      await expect(loadKey(tpm, srk, wrapped)).rejects.toMatchObject({ check: 'name' });
      set.tamper = rewriting(TPM2_ReadPublic, 0, (values) => ({ ...values, name: untrue(values['name']) }));
      await expect(loadPersistent(tpm, srk.handle)).rejects.toMatchObject({ check: 'name' });
      set.tamper = undefined;
      const attributes = { nt: 'ordinary', ownerwrite: true, ownerread: true } as const;
      await nvDefine(tpm, { handle: 0x01800060, size: 4, attributes });
      set.tamper = rewriting(TPM2_NV_ReadPublic, 0, (values) => ({
        ...values,
        nvName: untrue(values['nvName']),
      }));
      await expect(nvReadPublic(tpm, 0x01800060)).rejects.toMatchObject({ check: 'name' });
    });

    it('about the key it made keeps neither our trust nor the key', async () => {
      const set = stage();
      const { tpm } = set;
      const srk = await makeSrk(tpm);
      const weaker = (values: Record<string, unknown>) => {
        const area = values['outPublic'] as typeof ldevidTemplate;
        const objectAttributes = { ...area.objectAttributes, fixedTPM: false };
        return { ...values, outPublic: { ...area, objectAttributes } };
      };
      set.tamper = rewriting(TPM2_Create, 1, weaker);
      await expect(createKey(tpm, srk, { template: ldevidTemplate })).rejects.toMatchObject({
        check: 'template',
      });
      set.tamper = rewriting(TPM2_CreatePrimary, 1, (values) => {
        const changed = weaker(values);
        return { ...changed, name: nameOf(changed['outPublic'] as typeof ldevidTemplate) };
      });
      await expect(
        createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate }),
      ).rejects.toMatchObject({ check: 'template' });
      set.tamper = undefined;
      expect(await listHandles(tpm, 'transient')).toEqual([]);
    });

    it('quotes other PCRs than were asked for, and is found out', async () => {
      const set = stage();
      const { tpm } = set;
      const signer = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
      const qualifyingData = tpm.random.bytes(32);
      const pcrs = [{ hash: 'sha256', pcrSelect: [0] }] as const;
      const [asked, instead] = [pcrs, [{ hash: 'sha256', pcrSelect: [1] }] as const].map((one) =>
        encode(TPML_PCR_SELECTION, one),
      );
      set.forge = (command) =>
        Buffer.from(command).readUInt32BE(6) === TPM2_Quote.code
          ? replaced(command, asked ?? command, instead ?? command)
          : command;
      await expect(quotePcrs(tpm, signer, { qualifyingData, pcrs })).rejects.toMatchObject({
        check: 'pcr-selection',
      });
      set.forge = (command) =>
        Buffer.from(command).readUInt32BE(6) === TPM2_Quote.code
          ? replaced(command, qualifyingData, new Uint8Array(32))
          : command;
      await expect(quotePcrs(tpm, signer, { qualifyingData, pcrs })).rejects.toMatchObject({
        check: 'qualifying-data',
      });
      set.forge = undefined;
      set.tamper = rewriting(TPM2_PCR_Read, 0, (values) => ({
        ...values,
        pcrValues: [new Uint8Array(32).fill(1)],
      }));
      await expect(quotePcrs(tpm, signer, { qualifyingData, pcrs })).rejects.toMatchObject({
        check: 'pcr-digest',
      });
    });

    it('certifies another object than was asked for, and is found out', async () => {
      const set = stage();
      const { tpm } = set;
      const signer = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
      const object = await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate });
      const unique = { x: tpm.random.bytes(32), y: tpm.random.bytes(32) };
      const other = await createPrimary(tpm, { hierarchy: 'owner', template: { ...ldevidTemplate, unique } });
      set.forge = (command) => {
        const forged = Buffer.from(command);
        if (forged.readUInt32BE(6) === TPM2_Certify.code) forged.writeUInt32BE(other.handle, 10);
        return new Uint8Array(forged);
      };
      await expect(
        certifyChecked(tpm, { object, signer, qualifyingData: new Uint8Array(32) }),
      ).rejects.toMatchObject({ check: 'name' });
    });

    it('gives a digest or a signature of something else, and is found out', async ({ skip }) => {
      const set = stage();
      const { tpm } = set;
      skip(await lacks(tpm, TPM2_HashSequenceStart), 'no sequences');
      const key = await createPrimary(tpm, { hierarchy: 'endorsement', template: idevidTemplate() });
      set.tamper = rewriting(TPM2_SequenceComplete, 1, (values) => ({
        ...values,
        result: new Uint8Array(32),
      }));
      await expect(hashInTpm(tpm, new Uint8Array(9))).rejects.toMatchObject({ check: 'digest' });
      set.tamper = rewriting(TPM2_Sign, 1, ({ signature }) => ({
        signature: { ...(signature as object), signatureR: new Uint8Array(32).fill(1) },
      }));
      await expect(signMessage(tpm, key, new Uint8Array(9))).rejects.toMatchObject({ check: 'signature' });
    });

    it.each<[string, Uint8Array[], number]>([
      ['none', [], 0x8002],
      ['two', [new Uint8Array(5), new Uint8Array(5)], 0x8002],
      ['the right one under a tag that says none', [new Uint8Array(5)], 0x8001],
    ])('about the sessions of an answer (%s) is not believed', async (_, sessions, tag) => {
      const set = stage();
      const key = await createPrimary(set.tpm, { hierarchy: 'owner', template: ldevidTemplate });
      set.tamper = only(TPM2_Sign.code, (answer) => {
        const { parameters } = decodeResponse(TPM2_Sign, 1, answer);
        const out = Buffer.concat([answer.subarray(0, 14), parameters, ...sessions]);
        out.writeUInt16BE(tag, 0);
        out.writeUInt32BE(out.length, 2);
        return new Uint8Array(out);
      });
      await expect(tpmSigner(set.tpm, key).sign(new Uint8Array(8))).rejects.toMatchObject({
        code: 'tpm.malformed',
      });
    });

    it('answers with a nonce of another size, and is not believed', async () => {
      const set = stage();
      const { tpm } = set;
      for (const size of [0, 16, 31, 64]) {
        const session = await startSession(tpm, { kind: 'hmac', cipher: 'xor' });
        set.tamper = only(TPM2_GetRandom.code, (answer) => {
          const { parameters, sessions } = decodeResponse(TPM2_GetRandom, 1, answer);
          const [told] = sessions;
          if (told === undefined) return answer;
          const session = encode(TPMS_AUTH_RESPONSE, { ...told, nonce: new Uint8Array(size) });
          const out = Buffer.concat([answer.subarray(0, 14), parameters, session]);
          out.writeUInt32BE(out.length, 2);
          return new Uint8Array(out);
        });
        const authorizations = [using(session, { encryptResponse: true })];
        await expect(
          run(tpm, TPM2_GetRandom, { bytesRequested: 4 }, { authorizations }),
        ).rejects.toMatchObject({
          code: 'tpm.malformed',
        });
        set.tamper = undefined;
        await empty(tpm);
      }
    });

    it('about PCRs, their number or their size, is not believed', async () => {
      const set = stage();
      for (const pcrValues of [[], [new Uint8Array(31)], [new Uint8Array(32), new Uint8Array(32)]]) {
        set.tamper = rewriting(TPM2_PCR_Read, 0, (values) => ({ ...values, pcrValues }));
        await expect(pcrRead(set.tpm, [1])).rejects.toMatchObject({ code: 'tpm.malformed' });
      }
      set.tamper = rewriting(TPM2_GetRandom, 0, () => ({ randomBytes: new Uint8Array(0) }));
      await expect(getRandom(set.tpm, 1)).rejects.toMatchObject({ code: 'tpm.malformed' });
    });

    it('by a single bit, anywhere, has nothing false unsealed', { timeout: 120_000 }, async ({ skip }) => {
      const set = stage();
      const { tpm } = set;
      skip(await lacks(tpm, TPM2_Unseal), 'no TPM2_Unseal');
      const srk = await makeSrk(tpm);
      const data = tpm.random.bytes(48);
      const pcrs = [{ hash: 'sha256', pcrSelect: [7] }] as const;
      const sealed = await seal(tpm, srk, { data, pcrs });
      const before = set.wire.answers.length;
      expect(await unseal(tpm, srk, sealed)).toEqual(data);
      const answers = set.wire.answers.length - before;
      const outcomes = new Set<string>();
      await fc.assert(
        fc.asyncProperty(fc.nat(answers - 1), fc.nat(), async (which, at) => {
          let seen = 0;
          set.tamper = (answer) => {
            if (seen++ !== which) return answer;
            const bit = at % (answer.length * 8);
            return answer.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
          };
          const outcome = await unseal(tpm, srk, sealed).then(
            (got) => {
              expect(got).toEqual(data);
              return 'true';
            },
            (error: { readonly code?: string }) => error.code ?? String(error),
          );
          set.tamper = undefined;
          expect(['true', 'tpm.untrusted', 'tpm.malformed', 'tpm.refused']).toContain(outcome);
          outcomes.add(outcome);
          await empty(tpm);
        }),
        { numRuns: 60, seed: 20_2611 },
      );
      expect(outcomes).toContain('tpm.untrusted');
    });

    it('to whoever swaps its objects is found out, and asked no more', async () => {
      const set = stage();
      const tpm = await openSharedTpm({ transport: set.transport, clock, random });
      const keys = [];
      for (let i = 0; i < 5; i++)
        keys.push(await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate }));
      const [first] = keys;
      if (first === undefined) throw new Error('no key');
      for (const change of [
        (answer: Uint8Array) => answer.subarray(0, 9),
        (answer: Uint8Array) => Uint8Array.of(...answer, 0),
      ]) {
        set.tamper = only(TPM2_ContextLoad.code, change);
        await expect(tpmSigner(tpm, first).sign(new Uint8Array(1))).rejects.toMatchObject({
          code: 'tpm.malformed',
        });
      }
      // it went on about handles that are ours and not ours
      set.tamper = rewriting(TPM2_GetCapability, 0, () => ({
        moreData: 'yes',
        capabilityData: { capability: 'handles', data: [0x80000000] },
      }));
      await tpmSigner(tpm, first)
        .sign(new Uint8Array(1))
        .catch(() => {});
      set.tamper = undefined;
      await tpm.close();
      await empty(set.tpm);
    });
  });
}

function replaced(command: Uint8Array, what: Uint8Array, by: Uint8Array): Uint8Array {
  const at = Buffer.from(command).indexOf(what);
  const out = new Uint8Array(command);
  if (at >= 0) out.set(by, at);
  return out;
}
