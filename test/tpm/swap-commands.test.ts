import { describe, expect, it } from 'vitest';
import { SoftwareTpm, simulatedPlatform } from '../../simulator/index.ts';
import { concat, fromHex, hex, u32 } from '../../src/core/bytes.ts';
import {
  TPM2_FlushContext,
  TPM2_GetCapability,
  TPM2_GetRandom,
  TPM2_HashSequenceStart,
  TPM2_SequenceComplete,
} from '../../src/tpm/commands.ts';
import type { Transport } from '../../src/tpm/index.ts';
import { listHandles, openTpm, run, startSession, swapping, TPM_RH, using } from '../../src/tpm/index.ts';
import { chipOn } from '../../src/tpm/swap/chip.ts';

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

describe('a TPM that lists its handles', () => {
  /** Answers each question for handles with `more`, whether there are others, and what `list` makes of the first. */
  const lister = (more: number, list: (first: number) => readonly number[], others?: SoftwareTpm) => {
    let asked = 0;
    const transport: Transport = {
      exchange: async (command) => {
        const asks = new DataView(command.buffer, command.byteOffset);
        const isAbout = asks.getUint32(6) === TPM2_GetCapability.code && asks.getUint32(10) === 1;
        if (!isAbout && others !== undefined) return others.exchange(command);
        asked += 1;
        const first = asks.getUint32(14);
        const data = list(first);
        const body = concat(Uint8Array.of(more), u32(1), u32(data.length), ...data.map(u32));
        return concat(fromHex('8001'), u32(10 + body.length), u32(0), body);
      },
    };
    return { transport, chip: chipOn(transport, () => undefined), asked: () => asked };
  };
  const first = 0x80000000;

  it('is asked again where it left off, until it says that this was all', async () => {
    const { chip, asked } = lister(0, () => [first, first + 1]);
    expect(await chip.handles(first)).toEqual([first, first + 1]);
    expect(asked()).toBe(1);
    const two = lister(1, (from) => (from < first + 2 ? [from, from + 1] : []));
    expect(await two.chip.handles(first)).toEqual([first, first + 1]);
    expect(two.asked()).toBe(2);
  });

  it('may list them in any order, as Linux does with those it makes up', async () => {
    const { chip } = lister(0, () => [first + 0xffffff, first + 0xfffffe]);
    expect(await chip.handles(first)).toEqual([first + 0xfffffe, first + 0xffffff]);
    const last = lister(1, () => [first + 0xffffff]);
    expect(await last.chip.handles(first)).toEqual([first + 0xffffff]);
    expect(last.asked()).toBe(1); // nothing of this kind can come after it
  });

  it('is refused when it promises more and repeats itself, lists one twice, or one that is out of range: TpmMalformed', async () => {
    const { chip, asked } = lister(1, () => [first, first + 1]);
    await expect(chip.handles(first)).rejects.toMatchObject({ code: 'tpm.malformed' });
    expect(asked()).toBe(2);
    const twice = lister(0, () => [first, first]);
    await expect(twice.chip.handles(first)).rejects.toMatchObject({ code: 'tpm.malformed' });
    const below = lister(0, () => [first - 1]);
    await expect(below.chip.handles(first)).rejects.toMatchObject({ code: 'tpm.malformed' });
  });

  it('is refused when it never ends: TpmMalformed', async () => {
    const all = (from: number) => Array.from({ length: 254 }, (_, at) => from + at);
    const { chip, asked } = lister(1, all);
    await expect(chip.handles(first)).rejects.toMatchObject({ code: 'tpm.malformed' });
    expect(asked()).toBeLessThan(20);
    const { random, clock } = simulatedPlatform({ seed: 7, name: 'lister' });
    const { transport } = lister(1, all, await SoftwareTpm.create({ random, clock }));
    const tpm = await openTpm({ transport, random, clock });
    await expect(listHandles(tpm, 'persistent')).rejects.toMatchObject({ code: 'tpm.malformed' });
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
