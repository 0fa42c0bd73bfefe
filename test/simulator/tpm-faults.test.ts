import { describe, expect, it } from 'vitest';
import type { VirtualClock } from '../../simulator/clock.ts';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { memoryStore } from '../../simulator/store.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import type { Fault } from '../../simulator/tpm/faults.ts';
import { Faults, faultKinds, PowerLost, parseFault } from '../../simulator/tpm/faults.ts';
import { hardwareProfiles } from '../../simulator/tpm/hardware.ts';
import { fromHex, hex } from '../../src/core/bytes.ts';
import type { Clock } from '../../src/core/platform.ts';
import {
  TPM2_GetRandom,
  TPM2_GetTestResult,
  TPM2_NV_Increment,
  TPM2_SelfTest,
  TPM2_Startup,
} from '../../src/tpm/commands.ts';
import type { Tpm } from '../../src/tpm/index.ts';
import {
  counterDefine,
  counterIncrement,
  counterRead,
  createPrimary,
  ekRsaTemplate,
  flush,
  getRandom,
  iakTemplate,
  ldevidTemplate,
  nvReadPublic,
  openTpm,
  quote,
  run,
  startSession,
  using,
} from '../../src/tpm/index.ts';

let made = 0;

/** Time that passes as soon as somebody sleeps. */
function eager(clock: VirtualClock): Clock {
  return { ...clock, sleep: (ms) => clock.advance(ms) };
}

async function faulty(list: readonly Fault[], store = memoryStore()) {
  const clock = virtualClock();
  const random = seededRandom('faults', String(made++));
  const faults = new Faults([], random);
  const chip = await SoftwareTpm.create({ random, clock, store, faults });
  const sent: number[] = [];
  const transport = {
    exchange: (command: Uint8Array) => {
      sent.push(new DataView(command.buffer, command.byteOffset).getUint32(6));
      return chip.exchange(command);
    },
  };
  const open = () => openTpm({ transport, random, clock: eager(clock) });
  const tpm = await open();
  for (const fault of list) faults.add(fault);
  sent.length = 0;
  return { chip, tpm, faults, sent, clock, store, open };
}

const increment = (tpm: Tpm) => run(tpm, TPM2_NV_Increment, { authHandle: 0x01500001, nvIndex: 0x01500001 });

describe('a faulty TPM', () => {
  it.each(['RETRY', 'YIELDED', 'TESTING'] as const)(
    'that says %s is asked again by the client, with the same bytes and a pause',
    async (kind) => {
      const { tpm, sent, clock } = await faulty([{ kind, on: 'TPM2_GetRandom', times: 3 }]);
      const before = clock.elapsed();
      expect(await getRandom(tpm, 8)).toHaveLength(8);
      expect(sent).toEqual([0x17b, 0x17b, 0x17b, 0x17b]);
      expect(clock.elapsed() - before).toBe(5 + 10 + 20);
    },
  );

  it('without a fault left answers at once; with one, in its turn', async () => {
    const { chip, faults } = await faulty([]);
    const test = fromHex('80010000000a0000017c'); // TPM2_GetTestResult changes nothing
    expect(chip.answer(test)).toBeInstanceOf(Uint8Array);
    faults.add({ kind: 'RETRY' });
    expect(hex(await chip.answer(test))).toBe('80010000000a00000922');
    faults.clear();
    expect(chip.answer(test)).toBeInstanceOf(Uint8Array);
  });

  it('that says RETRY in a session is asked again without a nonce having moved', async () => {
    const { tpm, faults, sent } = await faulty([]);
    const session = await startSession(tpm, { kind: 'hmac', cipher: 'aes-128-cfb' });
    const authorizations = [using(session, { encryptResponse: true })];
    const ask = () => run(tpm, TPM2_GetRandom, { bytesRequested: 8 }, { authorizations });
    await ask();
    faults.add({ kind: 'RETRY', times: 2 });
    sent.length = 0;
    await ask();
    await ask();
    expect(sent).toHaveLength(4);
  });

  it('that says RETRY for ever is given up', async () => {
    const { tpm, sent } = await faulty([{ kind: 'RETRY', times: 1000 }]);
    await expect(getRandom(tpm, 8)).rejects.toMatchObject({ reason: 'RETRY' });
    expect(sent).toHaveLength(13);
  });

  it.each(['LOCKOUT', 'NV_RATE', 'NV_UNAVAILABLE', 'NV_SPACE', 'MEMORY'] as const)(
    'says %s, has done nothing, and is well afterwards',
    async (kind) => {
      const { tpm, faults } = await faulty([]);
      const counter = await counterIncrement(tpm, await counterDefine(tpm, { handle: 0x01500001 }));
      const before = await counterRead(tpm, counter);
      faults.add({ kind, on: 'TPM2_NV_Increment' });
      await expect(increment(tpm)).rejects.toMatchObject({ reason: kind });
      expect(await counterRead(tpm, counter)).toBe(before);
      await increment(tpm);
      expect(await counterRead(tpm, counter)).toBe(before + 1n);
    },
  );

  it('loses its power before, while or after a change is stored: the counter is as before, as before, and one more', async () => {
    for (const [kind, more] of [
      ['power-before', 0n],
      ['power-storing', 0n],
      ['power-after', 1n],
    ] as const) {
      const { chip, tpm, faults, open } = await faulty([]);
      const counter = await counterIncrement(tpm, await counterDefine(tpm, { handle: 0x01500001 }));
      const before = await counterRead(tpm, counter);
      faults.add({ kind, on: 'TPM2_NV_Increment' });
      await expect(increment(tpm)).rejects.toMatchObject({ code: 'tpm.silent' });
      await expect(run(tpm, TPM2_GetRandom, { bytesRequested: 1 })).rejects.toMatchObject({
        reason: 'INITIALIZE',
      });
      const again = await open();
      const index = await nvReadPublic(again, 0x01500001);
      expect(index && (await counterRead(again, index))).toBe(before + more);
      await increment(again);
      expect(index && (await counterRead(again, index))).toBe(before + more + 1n);
      faults.add({ kind });
      await expect(chip.exchange(new Uint8Array(10))).resolves.toHaveLength(10);
    }
  });

  it('breaks the promise of its transport when the power goes', async () => {
    const { chip } = await faulty([{ kind: 'power-after' }]);
    const getRandomBytes = Uint8Array.of(0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 8);
    await expect(chip.exchange(getRandomBytes)).rejects.toThrow(PowerLost);
  });

  it('in failure mode answers only for itself, until it is initialised', async () => {
    const { chip, tpm } = await faulty([{ kind: 'failure', on: 'TPM2_GetRandom' }]);
    await expect(getRandom(tpm, 8)).rejects.toMatchObject({ reason: 'FAILURE' });
    await expect(run(tpm, TPM2_SelfTest, { fullTest: 'yes' })).rejects.toMatchObject({ reason: 'FAILURE' });
    expect((await run(tpm, TPM2_GetTestResult, {})).testResult).toBe(0x101);
    await chip.powerCycle();
    await run(tpm, TPM2_Startup, { startupType: 'clear' });
    expect((await run(tpm, TPM2_GetTestResult, {})).testResult).toBe(0);
    expect(await getRandom(tpm, 8)).toHaveLength(8);
  });

  it('fails by chance from a seed: the same seed, the same failures', async () => {
    const happened = (seed: number) => {
      const faults = new Faults([{ kind: 'RETRY', chance: 0.2 }], seededRandom(seed));
      return Array.from({ length: 500 }, () => (faults.next('TPM2_Sign') === undefined ? 0 : 1) as number);
    };
    expect(happened(1)).toEqual(happened(1));
    expect(happened(1)).not.toEqual(happened(2));
    const count = happened(1).reduce((sum, one) => sum + one, 0);
    expect(count).toBeGreaterThan(70);
    expect(count).toBeLessThan(130);
    expect(() => new Faults([{ kind: 'RETRY', chance: 0.2 }])).toThrow(TypeError);
    expect(() => new Faults([{ kind: 'RETRY', chance: 2 }], seededRandom(1))).toThrow(TypeError);
  });

  it('fails by a script: after so many commands of a name, so many times', () => {
    const faults = new Faults([
      { kind: 'NV_RATE', on: 'TPM2_NV_Write', after: 2, times: 2 },
      { kind: 'RETRY', on: 'TPM2_Sign' },
    ]);
    const writes = Array.from({ length: 6 }, () => faults.next('TPM2_NV_Write'));
    expect(writes).toEqual([undefined, undefined, 'NV_RATE', 'NV_RATE', undefined, undefined]);
    expect([faults.next('TPM2_Sign'), faults.next('TPM2_Sign')]).toEqual(['RETRY', undefined]);
  });

  it('counts whole numbers of commands', () => {
    for (const wrong of [{ after: 1.5 }, { times: -1 }])
      expect(() => new Faults([{ kind: 'RETRY', ...wrong }])).toThrow('must be a whole number');
  });

  it('still answers what is too short for a command: COMMAND_SIZE', async () => {
    const { chip } = await faulty([{ kind: 'RETRY' }]);
    for (const size of [0, 6, 9])
      expect(hex(await chip.exchange(new Uint8Array(size)))).toBe('80010000000a00000142');
  });

  it('is described in a word', () => {
    expect(parseFault('RETRY')).toMatchObject({ kind: 'RETRY', on: undefined });
    expect(parseFault('RETRY@Sign*3')).toMatchObject({ on: 'TPM2_Sign', times: 3 });
    expect(parseFault('power-after@TPM2_NV_Write+100')).toMatchObject({
      kind: 'power-after',
      on: 'TPM2_NV_Write',
      after: 100,
    });
    expect(parseFault('NV_RATE%2.5').chance).toBeCloseTo(0.025);
    for (const kind of faultKinds) expect(parseFault(kind).kind).toBe(kind);
    for (const wrong of ['', 'NONE', 'RETRY*', 'RETRY@', 'RETRY%x', 'RETRY%101', 'RETRY*3+1 '])
      expect(() => parseFault(wrong)).toThrow(TypeError);
    const never = parseFault('RETRY@Sing');
    expect(() => new Faults([never])).toThrow('`TPM2_Sing` is no command');
  });
});

describe('a session and a change that could not be stored', () => {
  it('goes on with the nonce it had: the same session proves the next command', async () => {
    const { tpm, store } = await faulty([]);
    const counter = await counterIncrement(tpm, await counterDefine(tpm, { handle: 0x01500001 }));
    const before = await counterRead(tpm, counter);
    const session = await startSession(tpm, { kind: 'hmac' });
    const bySession = () =>
      run(
        tpm,
        TPM2_NV_Increment,
        { authHandle: counter, nvIndex: counter },
        { authorizations: [using(session)] },
      );
    await bySession();
    store.failWrite(1);
    await expect(bySession()).rejects.toMatchObject({ reason: 'NV_UNAVAILABLE' });
    await bySession();
    expect(await counterRead(tpm, counter)).toBe(before + 2n);
  });
});

describe('a TPM as slow as a chip', () => {
  async function slow() {
    const clock = virtualClock();
    const random = seededRandom('slow', String(made++));
    const chip = await SoftwareTpm.create({ random, clock: eager(clock), profile: hardwareProfiles.slb9670 });
    const tpm = await openTpm({
      transport: { exchange: (command) => chip.exchange(command) },
      random,
      clock,
    });
    const taken = async (act: () => Promise<unknown>) => {
      const before = clock.elapsed();
      await act();
      return clock.elapsed() - before;
    };
    return { chip, tpm, taken, clock };
  }

  it('takes the time of its table, by command and kind of key', async () => {
    const { tpm, taken } = await slow();
    const { slb9670 } = hardwareProfiles;
    const [rsa, ecc, iak] = [ekRsaTemplate, ldevidTemplate, iakTemplate()];
    const make = async (template: typeof rsa | typeof ecc) =>
      flush(tpm, await createPrimary(tpm, { hierarchy: 'endorsement', template }));
    expect(await taken(() => make(rsa))).toBe(slb9670.rsaKey + slb9670.other);
    expect(await taken(() => make(ecc))).toBe(slb9670.eccKey + slb9670.other);
    const key = await createPrimary(tpm, { hierarchy: 'endorsement', template: iak });
    const pcrs = [{ hash: 'sha256', pcrSelect: [0] }] as const;
    expect(await taken(() => quote(tpm, key, { qualifyingData: new Uint8Array(32), pcrs }))).toBe(
      slb9670.eccSign,
    );
    expect(await taken(() => getRandom(tpm, 32))).toBeCloseTo(slb9670.random);
    expect(await taken(() => counterDefine(tpm, { handle: 0x01500001 }))).toBeGreaterThanOrEqual(
      slb9670.write,
    );
  });

  it('is cancelled: the command has done nothing, and the next one runs', async () => {
    const clock = virtualClock();
    const random = seededRandom('cancelled');
    const chip = await SoftwareTpm.create({ random, clock, profile: hardwareProfiles.slb9670 });
    const selfTest = Uint8Array.of(0x80, 1, 0, 0, 0, 11, 0, 0, 1, 0x43, 1);
    const running = chip.exchange(selfTest);
    await clock.advance(1);
    chip.cancel();
    expect([...(await running).subarray(6)]).toEqual([0, 0, 9, 9]);
    const next = chip.exchange(selfTest);
    chip.cancel(); // too early: it has not begun
    await clock.advance(1000);
    expect([...(await next).subarray(6)]).toEqual([0, 0, 0, 0]);
  });

  it('has a profile for some chips, each with every figure above zero', () => {
    for (const profile of Object.values(hardwareProfiles))
      for (const ms of Object.values(profile)) expect(ms).toBeGreaterThan(0);
  });
});
