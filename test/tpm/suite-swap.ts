import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodePlatform } from '../../src/core/node.ts';
import { verifySignature } from '../../src/core/signer.ts';
import {
  TPM2_Clear,
  TPM2_ContextLoad,
  TPM2_ContextSave,
  TPM2_FlushContext,
  TPM2_GetRandom,
  TPM2_HashSequenceStart,
  TPM2_PolicyAuthValue,
} from '../../src/tpm/commands.ts';
import type { Tpm, Transport } from '../../src/tpm/index.ts';
import {
  createKey,
  createPrimary,
  endSession,
  flush,
  getRandom,
  hashInTpm,
  iakTemplate,
  ldevidTemplate,
  listHandles,
  loadKey,
  openSharedTpm,
  openTpm,
  owned,
  quote,
  run,
  startSession,
  swapping,
  TPM_RH,
  tpmSigner,
  using,
  verifyAttestation,
  withKey,
} from '../../src/tpm/index.ts';
import type { Stage } from './stage.ts';
import { lacks, makeSrk } from './stage.ts';

const { clock, random } = nodePlatform({ directory: '.' });
const nothing = new Uint8Array(0);

/** What is in the TPM itself, whatever handles the client knows it by. */
async function inside(tpm: Tpm): Promise<readonly number[]> {
  const kinds = ['transient', 'loadedSession', 'savedSession'] as const;
  return (await Promise.all(kinds.map((kind) => listHandles(tpm, kind)))).flat();
}

/** Many users of three places. `stage().tpm` sees the TPM as it is. */
export function swapStories(stage: () => Stage): void {
  describe('a TPM with three places, shared by many', () => {
    const opened = async (transport: Transport = stage().transport) =>
      await openSharedTpm({ transport, clock, random });

    it('holds as many objects and sessions as are asked for, each the one it was', async () => {
      const tpm = await opened();
      const srk = await makeSrk(tpm);
      const keys = [];
      for (let i = 0; i < 10; i++) {
        const auth = random.bytes(16);
        const wrapped = await createKey(tpm, srk, { template: ldevidTemplate, auth, saltedTo: srk });
        keys.push(await loadKey(tpm, srk, wrapped, auth));
      }
      const sessions = [];
      for (let i = 0; i < 10; i++)
        sessions.push(await startSession(tpm, { kind: 'hmac', cipher: 'aes-128-cfb', saltedTo: srk }));
      expect(new Set(keys.map(({ handle }) => handle)).size).toBe(10);
      expect(await listHandles(tpm, 'transient')).toEqual(keys.map(({ handle }) => handle));
      for (const [i, key] of [...keys.entries()].reverse()) {
        const data = random.bytes(20);
        const signer = tpmSigner(tpm, key);
        expect(verifySignature(signer.publicJwk, data, await signer.sign(data))).toBe(true);
        const session = sessions[i];
        if (session === undefined) continue;
        const authorizations = [using(session, { encryptResponse: true })];
        await run(tpm, TPM2_GetRandom, { bytesRequested: 8 }, { authorizations });
      }
      expect((await listHandles(stage().tpm, 'transient')).length).toBeLessThanOrEqual(3);
      for (const key of keys) await flush(tpm, key);
      await expect(flush(tpm, keys[0] ?? srk)).rejects.toMatchObject({ reason: 'HANDLE' });
      for (const session of sessions) await endSession(tpm, session);
      expect(await inside(stage().tpm)).toEqual([]);
    });

    it('serves many at once in any order, and nothing of theirs stays', { timeout: 120_000 }, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.array(fc.constantFrom('sign', 'quote', 'hide', 'policy', 'fail', 'abort', 'leave'), {
              minLength: 1,
              maxLength: 5,
            }),
            { minLength: 4, maxLength: 9 },
          ),
          fc.infiniteStream(fc.nat(3)),
          async (callers, pauses) => {
            const tpm = await opened();
            const srk = await makeSrk(tpm);
            const pause = async () => {
              for (let left = pauses.next().value ?? 0; left > 0; left--) await getRandom(tpm, 1);
            };
            const left: unknown[] = [];
            const one = async (deed: string): Promise<void> => {
              const auth = random.bytes(16);
              const wrapped = await createKey(tpm, srk, { template: ldevidTemplate, auth, saltedTo: srk });
              await pause();
              switch (deed) {
                case 'sign':
                  await withKey(tpm, srk, wrapped, (key) => tpmSigner(tpm, key).sign(auth), auth);
                  return;
                case 'quote': {
                  const template = iakTemplate();
                  await using iak = owned(
                    tpm,
                    await createPrimary(tpm, { hierarchy: 'endorsement', template }),
                  );
                  await pause();
                  const qualifyingData = random.bytes(8);
                  const quoted = await quote(tpm, iak, { qualifyingData, pcrs: [] });
                  verifyAttestation({ key: iak.public, ...quoted, type: 'attestQuote', qualifyingData });
                  return;
                }
                case 'hide':
                case 'policy': {
                  const kind = deed === 'hide' ? 'hmac' : 'policy';
                  const session = await startSession(tpm, { kind, cipher: 'aes-128-cfb', saltedTo: srk });
                  await pause();
                  if (kind === 'policy')
                    await run(tpm, TPM2_PolicyAuthValue, { policySession: session.handle });
                  else
                    await run(
                      tpm,
                      TPM2_GetRandom,
                      { bytesRequested: 8 },
                      { authorizations: [using(session, { encryptResponse: true })] },
                    );
                  await pause();
                  await endSession(tpm, session);
                  return;
                }
                case 'fail':
                  await expect(
                    withKey(tpm, srk, wrapped, (key) =>
                      tpmSigner(tpm, { ...key, auth: random.bytes(3) }).sign(auth),
                    ),
                  ).rejects.toMatchObject({ code: 'tpm.refused' });
                  return;
                case 'abort': {
                  const abort = new AbortController();
                  const failing = withKey(tpm, srk, wrapped, async () => {
                    const asked = run(tpm, TPM2_GetRandom, { bytesRequested: 8 }, { signal: abort.signal });
                    abort.abort(new Error('given up'));
                    await asked;
                    throw new Error('given up');
                  });
                  await expect(failing).rejects.toThrow('given up');
                  return;
                }
                default:
                  left.push(await loadKey(tpm, srk, wrapped, auth));
                  left.push(await startSession(tpm, { kind: 'hmac' }));
              }
            };
            await Promise.all(
              callers.map(async (deeds) => {
                for (const deed of deeds) await one(deed);
              }),
            );
            await tpm[Symbol.asyncDispose]();
            expect(await inside(stage().tpm)).toEqual([]);
          },
        ),
        { numRuns: 6, seed: 20_2611 },
      );
    });

    it('keeps the state of a sequence that was out', async ({ skip }) => {
      const tpm = await opened();
      skip(await lacks(tpm, TPM2_HashSequenceStart), 'no sequences');
      const data = random.bytes(32);
      const work = Array.from({ length: 6 }, async (_, i) => {
        const long = Buffer.alloc(5000 + i, data);
        return await hashInTpm(tpm, new Uint8Array(long)); // checks the digest
      });
      expect(await Promise.all(work)).toHaveLength(6);
      expect(await inside(stage().tpm)).toEqual([]);
    });

    it('does not touch what others left in the TPM', async () => {
      const theirs = await createPrimary(stage().tpm, { hierarchy: 'owner', template: ldevidTemplate });
      const session = await startSession(stage().tpm, { kind: 'hmac' });
      const tpm = await opened();
      const keys = [];
      for (let i = 0; i < 4; i++)
        keys.push(await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate }));
      for (const key of keys) expect(await tpmSigner(tpm, key).sign(nothing)).toHaveLength(64);
      await expect(tpmSigner(tpm, { ...theirs, handle: 0x80ffffff }).sign(nothing)).rejects.toMatchObject({
        reason: 'REFERENCE_H0',
      });
      await tpm.close();
      expect(await inside(stage().tpm)).toEqual([theirs.handle, session.handle]);
    });

    it('lets its users save and load contexts themselves', async () => {
      const tpm = await opened();
      const key = await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate });
      const { context } = await run(tpm, TPM2_ContextSave, { saveHandle: key.handle });
      await flush(tpm, key);
      const { loadedHandle } = await run(tpm, TPM2_ContextLoad, { context });
      expect(loadedHandle).not.toBe(key.handle);
      expect(await tpmSigner(tpm, { ...key, handle: loadedHandle }).sign(nothing)).toHaveLength(64);
      const session = await startSession(tpm, { kind: 'hmac' });
      const saved = await run(tpm, TPM2_ContextSave, { saveHandle: session.handle });
      expect(await listHandles(stage().tpm, 'loadedSession')).toEqual([]);
      await run(tpm, TPM2_ContextLoad, saved);
      await run(tpm, TPM2_FlushContext, { flushHandle: session.handle });
      await tpm.close();
      expect(await inside(stage().tpm)).toEqual([]);
    });

    it('forgets what TPM2_Clear took', async () => {
      const tpm = await opened();
      const keys = [];
      for (let i = 0; i < 5; i++)
        keys.push(await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate }));
      await run(tpm, TPM2_Clear, { authHandle: TPM_RH.lockout });
      for (const key of keys)
        await expect(tpmSigner(tpm, key).sign(nothing)).rejects.toMatchObject({ reason: 'REFERENCE_H0' });
      expect(await listHandles(tpm, 'transient')).toEqual([]);
      const again = await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate });
      expect(await tpmSigner(tpm, again).sign(nothing)).toHaveLength(64);
    });

    it('loses nothing in the TPM when an answer is lost on the way', async () => {
      const { transport } = stage();
      let lose = (_: number): boolean => false;
      const lossy: Transport = {
        async exchange(command, signal) {
          const answer = await transport.exchange(command, signal);
          if (lose(Buffer.from(command).readUInt32BE(6))) throw new Error('the cable fell out');
          return answer;
        },
      };
      const tpm = await opened(lossy);
      const srk = await makeSrk(tpm);
      const made = { hierarchy: 'owner', template: ldevidTemplate } as const;
      const keys = [];
      const sessions = [];
      for (let i = 0; i < 5; i++) {
        keys.push(await createPrimary(tpm, made));
        sessions.push(await startSession(tpm, { kind: 'hmac', cipher: 'xor', saltedTo: srk }));
      }
      for (const code of [
        TPM2_ContextSave.code,
        TPM2_ContextLoad.code,
        TPM2_FlushContext.code,
        0x131, // TPM2_CreatePrimary
        0x176, // TPM2_StartAuthSession
      ]) {
        let left = 1;
        lose = (one) => one === code && left-- > 0;
        for (const key of keys)
          await tpmSigner(tpm, key)
            .sign(nothing)
            .catch(() => {});
        for (const session of sessions)
          await run(
            tpm,
            TPM2_GetRandom,
            { bytesRequested: 1 },
            { authorizations: [using(session, { encryptResponse: true })] },
          ).catch(() => {});
        await createPrimary(tpm, made).catch(() => {});
        await startSession(tpm, { kind: 'hmac' }).catch(() => {});
        lose = () => false;
        for (const key of keys) expect(await tpmSigner(tpm, key).sign(nothing)).toHaveLength(64);
      }
      await tpm.close();
      expect(await inside(stage().tpm)).toEqual([]);
    });

    it('works above another resource manager as well as without one', async () => {
      const kernel = swapping(stage().transport); // has three places for each program, and hides its own handles
      const tpm = await openSharedTpm({ transport: kernel, clock, random });
      const keys = [];
      for (let i = 0; i < 7; i++)
        keys.push(await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate }));
      for (const key of keys) expect(await tpmSigner(tpm, key).sign(nothing)).toHaveLength(64);
      await tpm.close();
      expect(await inside(stage().tpm)).toEqual([]);
      const plain = await openTpm({ transport: swapping(stage().transport), clock, random });
      expect(await getRandom(plain, 8)).toHaveLength(8);
    });
  });
}
