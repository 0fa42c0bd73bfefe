import { describe, expect, it } from 'vitest';
import { SoftwareTpm, simulatedPlatform } from '../../simulator/index.ts';
import { fromHex, hex } from '../../src/core/bytes.ts';
import {
  TPM2_FlushContext,
  TPM2_GetRandom,
  TPM2_HashSequenceStart,
  TPM2_SequenceComplete,
} from '../../src/tpm/commands.ts';
import { openTpm, run, startSession, swapping, TPM_RH, using } from '../../src/tpm/index.ts';

async function shared() {
  const { random, clock } = simulatedPlatform({ seed: 7, name: 'swap' });
  const transport = swapping(await SoftwareTpm.create({ random, clock }));
  return { transport, tpm: await openTpm({ transport, random, clock }) };
}

describe('the resource manager', () => {
  it('leaves what is no whole command to the TPM, which refuses it', async () => {
    const { transport } = await shared();
    // TPM2_ReadPublic without its handle, TPM2_FlushContext of three bytes
    for (const wrong of ['80010000000a00000173', '80010000000d00000165800000']) {
      const answer = await transport.exchange(fromHex(wrong), new AbortController().signal);
      expect(hex(answer.slice(0, 6))).toBe('80010000000a');
      expect(hex(answer.slice(6))).not.toBe('00000000');
    }
  });

  it('knows that a sequence is gone when it is complete', async () => {
    const { tpm } = await shared();
    const { sequenceHandle } = await run(tpm, TPM2_HashSequenceStart, {
      auth: new Uint8Array(),
      hashAlg: 'sha256',
    });
    const sequence = { handle: sequenceHandle, name: new Uint8Array() };
    await run(tpm, TPM2_SequenceComplete, {
      sequenceHandle: sequence,
      buffer: new Uint8Array(3),
      hierarchy: TPM_RH.null,
    });
    await expect(run(tpm, TPM2_FlushContext, { flushHandle: sequenceHandle })).rejects.toMatchObject({
      reason: 'HANDLE',
    });
  });
});

describe('the client', () => {
  it('lets one session of a command hide its answer, not two', async () => {
    const { tpm } = await shared();
    const sessions = [await startSession(tpm, { kind: 'hmac' }), await startSession(tpm, { kind: 'hmac' })];
    const authorizations = sessions.map((session) => using(session, { encryptResponse: true }));
    await expect(run(tpm, TPM2_GetRandom, { bytesRequested: 8 }, { authorizations })).rejects.toThrow(
      'only one session',
    );
  });
});
