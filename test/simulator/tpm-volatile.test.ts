import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import type { MemoryStore } from '../../simulator/store.ts';
import { memoryStore } from '../../simulator/store.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { digest } from '../../simulator/tpm/crypto/hash.ts';
import { frame, framed } from '../../simulator/tpm/frame.ts';
import { decodePlain, encodePlain } from '../../simulator/tpm/plain.ts';
import { Malformed } from '../../src/core/errors.ts';
import {
  TPM2_GetRandom,
  TPM2_HashSequenceStart,
  TPM2_NV_DefineSpace,
  TPM2_NV_Read,
  TPM2_NV_Write,
  TPM2_SequenceComplete,
  TPM2_SequenceUpdate,
} from '../../src/tpm/commands.ts';
import { TPM_RH } from '../../src/tpm/index.ts';
import { ask, codeFor, filled, none } from '../tpm/raw.ts';

const NV_UNAVAILABLE = 0x923;
const sequenceHandle = 0x80000000;
const onIndex = { authHandle: 0x01500001, nvIndex: 0x01500001 };
/** More than two blocks of SHA-256, so that its state has moved. */
const data = filled(150, 7);

async function boot(store?: MemoryStore) {
  const clock = virtualClock();
  const chip = await SoftwareTpm.create({ random: seededRandom('volatile'), clock, store });
  return { chip, clock, store };
}

const begin = (chip: SoftwareTpm) => ask(chip, TPM2_HashSequenceStart, { auth: none, hashAlg: 'sha256' });
const update = { sequenceHandle, buffer: data };
const finish = (chip: SoftwareTpm) =>
  ask(chip, TPM2_SequenceComplete, { sequenceHandle, buffer: none, hierarchy: TPM_RH.null });

/** An index whose value lives in RAM, and is stored with a shutdown only. */
const define = (chip: SoftwareTpm) =>
  ask(chip, TPM2_NV_DefineSpace, {
    authHandle: TPM_RH.owner,
    auth: none,
    publicInfo: {
      nvIndex: onIndex.nvIndex,
      nameAlg: 'sha256',
      attributes: { nt: 'ordinary', orderly: true, authread: true, authwrite: true },
      authPolicy: none,
      dataSize: 1,
    },
  });
const written = (value: number) => ({ ...onIndex, data: Uint8Array.of(value), offset: 0 });
const read = async (chip: SoftwareTpm) =>
  (await ask(chip, TPM2_NV_Read, { ...onIndex, size: 1, offset: 0 })).data[0];

describe('the volatile state of the software TPM', () => {
  /** Another chip that goes on where `chip` is. */
  const resumed = async (chip: SoftwareTpm) => {
    const { chip: other } = await boot();
    await other.powerOff();
    for (const part of ['permanent', 'volatile'] as const) await other.load(part, await chip.snapshot(part));
    await other.powerCycle();
    return other;
  };

  it('has a hash that has begun, which another TPM can finish', async () => {
    const { chip } = await boot();
    await begin(chip);
    await ask(chip, TPM2_SequenceUpdate, update);
    const other = await resumed(chip);
    await ask(other, TPM2_SequenceUpdate, update);
    expect((await finish(other)).result).toEqual(digest('sha256', data, data));
    expect((await finish(chip)).result).toEqual(digest('sha256', data));
  });

  it('has what orderly indices hold beyond what is stored of them', async () => {
    const { chip } = await boot();
    await define(chip);
    for (const value of [1, 2]) await ask(chip, TPM2_NV_Write, written(value));
    expect(await read(await resumed(chip))).toBe(2);
  });

  it('is refused when it lacks something, or has something else in its place', async () => {
    const { chip } = await boot();
    const content = framed(await chip.snapshot('volatile')) ?? none;
    const state = decodePlain(content) as { readonly members: object };
    for (const changed of [{ sessions: undefined }, { sessions: [] }, { started: 'yes' }]) {
      const members = { ...state.members, ...changed };
      await chip.powerOff();
      await chip.load('volatile', frame(encodePlain({ ...state, members })));
      await expect(chip.powerCycle()).rejects.toThrow(Malformed);
    }
  });

  it('is damaged when a number in it is none', async () => {
    const { chip } = await boot();
    const content = framed(await chip.snapshot('volatile')) ?? none;
    const state = decodePlain(content) as object;
    await chip.powerOff();
    for (const epoch of ['', '1.5', '0x10', '9'.repeat(41)]) {
      const strange = frame(encodePlain({ ...state, epoch: { '#big': epoch } }));
      await expect(chip.load('volatile', strange)).rejects.toThrow(Malformed);
    }
  });
});

describe('a command whose change cannot be stored', () => {
  /** A chip that has to store its clock with the next command, and cannot. */
  const failing = async (prepare: (chip: SoftwareTpm) => Promise<void>) => {
    const store = memoryStore();
    const { chip, clock } = await boot(store);
    await prepare(chip);
    await clock.advance(5000);
    store.failWrite(1);
    return chip;
  };

  it('has not moved a hash that has begun', async () => {
    const chip = await failing(async (fresh) => void (await begin(fresh)));
    expect(await codeFor(chip, TPM2_SequenceUpdate, update)).toBe(NV_UNAVAILABLE);
    await ask(chip, TPM2_SequenceUpdate, update);
    expect((await finish(chip)).result).toEqual(digest('sha256', data));
  });

  it('has left what an orderly index holds in RAM', async () => {
    const chip = await failing(async (fresh) => {
      await define(fresh);
      for (const value of [1, 2]) await ask(fresh, TPM2_NV_Write, written(value));
    });
    expect(await codeFor(chip, TPM2_NV_Write, written(3))).toBe(NV_UNAVAILABLE);
    expect(await read(chip)).toBe(2);
  });

  it('is none while non-volatile memory is off and only the clock has moved', async () => {
    const { chip, clock } = await boot();
    chip.setNvAvailable(false);
    await clock.advance(5000);
    expect(await codeFor(chip, TPM2_GetRandom, { bytesRequested: 8 })).toBe(0);
  });
});
