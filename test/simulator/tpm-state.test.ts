import { describe, expect, it } from 'vitest';
import type { VirtualClock } from '../../simulator/clock.ts';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import type { MemoryStore } from '../../simulator/store.ts';
import { memoryStore } from '../../simulator/store.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { hex } from '../../src/core/bytes.ts';
import { StoreFailed } from '../../src/core/errors.ts';
import {
  TPM2_Clear,
  TPM2_ContextLoad,
  TPM2_ContextSave,
  TPM2_CreatePrimary,
  TPM2_DictionaryAttackLockReset,
  TPM2_EvictControl,
  TPM2_GetRandom,
  TPM2_NV_Read,
  TPM2_NV_Write,
  TPM2_PCR_Reset,
  TPM2_Shutdown,
  TPM2_Sign,
  TPM2_Startup,
} from '../../src/tpm/commands.ts';
import type { Tpm } from '../../src/tpm/index.ts';
import {
  counterDefine,
  counterIncrement,
  counterRead,
  createPrimary,
  ekTemplate,
  flush,
  iakTemplate,
  idevidTemplate,
  ldevidTemplate,
  nvDefine,
  nvUndefine,
  nvWrite,
  openTpm,
  password,
  pcrExtend,
  pcrRead,
  readClock,
  run,
  srkTemplate,
} from '../../src/tpm/index.ts';

const none = new Uint8Array();
let made = 0;

interface Machine {
  readonly chip: SoftwareTpm;
  readonly tpm: Tpm;
  readonly clock: VirtualClock;
  readonly store: MemoryStore;
}

async function boot(from: {
  readonly store?: MemoryStore;
  readonly seed?: string;
  readonly clock?: VirtualClock;
}): Promise<Machine> {
  const { store = memoryStore(), clock = virtualClock(), seed } = from;
  const random = seededRandom('state', String(made++));
  const chip = await SoftwareTpm.create({ random, clock, store, seed });
  // A transport without close: the chip outlives its client.
  const transport = { exchange: (command: Uint8Array) => chip.exchange(command) };
  return { chip, tpm: await openTpm({ transport, random, clock }), clock, store };
}

const nameOf = async (
  tpm: Tpm,
  hierarchy: 'owner' | 'endorsement' | 'platform' | 'null',
  template: Parameters<typeof createPrimary>[1]['template'],
) => {
  const key = await createPrimary(tpm, { hierarchy, template });
  await flush(tpm, key);
  return hex(key.name);
};

describe('primary keys of the software TPM', () => {
  it('are the same for the same seed, and others for another', async () => {
    const [a, b, c] = [await boot({ seed: 'one' }), await boot({ seed: 'one' }), await boot({ seed: 'two' })];
    for (const template of [ekTemplate, idevidTemplate(), iakTemplate()]) {
      const name = await nameOf(a.tpm, 'endorsement', template);
      expect(await nameOf(b.tpm, 'endorsement', template)).toBe(name);
      expect(await nameOf(c.tpm, 'endorsement', template)).not.toBe(name);
    }
    expect(a.chip.simulated).toBe(true);
  });

  it('come from chance without a seed, and the chip says that it is no repetition', async () => {
    const [a, b] = [await boot({}), await boot({})];
    expect(await nameOf(a.tpm, 'endorsement', ekTemplate)).not.toBe(
      await nameOf(b.tpm, 'endorsement', ekTemplate),
    );
    expect(a.chip.simulated).toBe(false);
  });

  it('differ by hierarchy, template and unique, not by auth value', async () => {
    const { tpm } = await boot({ seed: 'one' });
    const names = [
      await nameOf(tpm, 'owner', srkTemplate),
      await nameOf(tpm, 'platform', srkTemplate),
      await nameOf(tpm, 'null', srkTemplate),
      await nameOf(tpm, 'owner', ekTemplate),
      await nameOf(tpm, 'owner', { ...srkTemplate, unique: { x: Uint8Array.of(1), y: none } }),
    ];
    expect(new Set(names).size).toBe(names.length);
    const { name } = await run(tpm, TPM2_CreatePrimary, {
      primaryHandle: 0x40000001,
      inSensitive: { userAuth: Uint8Array.of(1, 2, 3), data: none },
      inPublic: srkTemplate,
      outsideInfo: none,
      creationPCR: [],
    });
    expect(hex(name)).toBe(names[0]);
  });

  it('are not made before they are asked for', async () => {
    const clock = virtualClock();
    const asked: number[] = [];
    const random = {
      bytes: (count: number) => {
        asked.push(count);
        return new Uint8Array(count).fill(asked.length);
      },
    };
    await SoftwareTpm.create({ random, clock });
    // Seeds and proofs only, out of the pool that is drawn at a time: no key is searched for.
    expect(asked).toEqual([1024]);
  });
});

describe('what the software TPM keeps', () => {
  it('is there again after a power cut: keys, NV, counters, hierarchy auths, reset count', async () => {
    const first = await boot({});
    const { tpm, store, clock } = first;
    const ek = await nameOf(tpm, 'endorsement', ekTemplate);
    const key = await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate });
    await run(tpm, TPM2_EvictControl, {
      auth: 0x40000001,
      objectHandle: key,
      persistentHandle: 0x81000010,
    });
    const attributes = { nt: 'ordinary', authread: true, authwrite: true } as const;
    const index = await nvDefine(tpm, { handle: 0x01500001, size: 4, attributes });
    await nvWrite(tpm, index, Uint8Array.of(1, 2, 3, 4));
    await pcrExtend(tpm, 12, { sha256: new Uint8Array(32) });
    const before = await readClock(tpm);

    const { tpm: again } = await boot({ store, clock });
    expect(await nameOf(again, 'endorsement', ekTemplate)).toBe(ek);
    const { data } = await run(again, TPM2_NV_Read, {
      authHandle: 0x01500001,
      nvIndex: 0x01500001,
      size: 4,
      offset: 0,
    });
    expect(data).toEqual(Uint8Array.of(1, 2, 3, 4));
    const { signature } = await run(again, TPM2_Sign, {
      keyHandle: { handle: 0x81000010, name: key.name },
      digest: new Uint8Array(32),
      inScheme: { scheme: 'null' },
      validation: { tag: 'hashcheck', hierarchy: 0x40000007, digest: none },
    });
    expect(signature.sigAlg).toBe('ecdsa');
    expect(hex((await pcrRead(again, [12]))[0] ?? none)).toBe('00'.repeat(32));
    const after = await readClock(again);
    expect(after.clockInfo.resetCount).toBe(before.clockInfo.resetCount + 1);
  });

  it('is as before when the store fails, and the caller is told NV_UNAVAILABLE', async () => {
    const { tpm, store } = await boot({});
    const attributes = { nt: 'ordinary', authread: true, authwrite: true } as const;
    const index = await nvDefine(tpm, { handle: 0x01500001, size: 1, attributes });
    await nvWrite(tpm, index, Uint8Array.of(1));
    const write = (value: number) =>
      run(tpm, TPM2_NV_Write, {
        authHandle: 0x01500001,
        nvIndex: 0x01500001,
        data: Uint8Array.of(value),
        offset: 0,
      });
    const read = async () =>
      (await run(tpm, TPM2_NV_Read, { authHandle: 0x01500001, nvIndex: 0x01500001, size: 1, offset: 0 }))
        .data[0];
    store.failWrite(1);
    await expect(write(2)).rejects.toMatchObject({ responseCode: 0x923 });
    expect(await read()).toBe(1);
    await write(3);
    expect(await read()).toBe(3);
  });

  it('is there from the first moment on, or there is no TPM', async () => {
    const store = memoryStore();
    store.failWrite(1);
    await expect(boot({ store })).rejects.toThrow(StoreFailed);
    await expect(boot({ store })).resolves.toBeDefined();
  });

  it('is refused when it is damaged, instead of silently becoming a new TPM', async () => {
    const { store } = await boot({});
    const stored = await store.read('tpm');
    for (const damaged of [none, stored?.slice(1), stored?.slice(0, -1), Uint8Array.of(0xa0)]) {
      await store.write('tpm', damaged ?? none);
      await expect(boot({ store })).rejects.toThrow(StoreFailed);
    }
  });

  it('survives power cut at any write: either as before or as after, never between', async () => {
    for (let failing = 1; failing <= 6; failing++) {
      const { tpm, store, clock } = await boot({ seed: 'cut' });
      const attributes = { nt: 'ordinary', authread: true, authwrite: true } as const;
      store.failWrite(failing);
      const done: string[] = [];
      try {
        let index = await nvDefine(tpm, { handle: 0x01500001, size: 1, attributes });
        done.push('defined');
        index = await nvWrite(tpm, index, Uint8Array.of(1));
        done.push('1');
        index = await nvWrite(tpm, index, Uint8Array.of(2));
        done.push('2');
      } catch {
        // The write that failed.
      }
      store.failWrite(0);
      const { tpm: again } = await boot({ store, clock, seed: 'cut' });
      const found = await run(again, TPM2_NV_Read, {
        authHandle: 0x01500001,
        nvIndex: 0x01500001,
        size: 1,
        offset: 0,
      }).then(
        ({ data }) => String(data[0]),
        (error: { readonly responseCode: number }) => error.responseCode,
      );
      const expected = { 0: 0x18b, 1: 0x14a, 2: '1', 3: '2' }[done.length];
      // The index handle comes first in the command: a missing one is HANDLE of handle 1.
      expect(found).toBe(expected);
    }
  });

  it('never lets a counter show a value twice, even when it is removed and defined again', async () => {
    const { tpm } = await boot({});
    const define = () => counterDefine(tpm, { handle: 0x01500002 });
    let counter = await define();
    for (let i = 0; i < 3; i++) counter = await counterIncrement(tpm, counter);
    const highest = await counterRead(tpm, counter);
    await nvUndefine(tpm, counter.handle);
    counter = await counterIncrement(tpm, await define());
    expect(await counterRead(tpm, counter)).toBe(highest + 1n);
    await run(tpm, TPM2_Clear, { authHandle: 0x4000000a });
    counter = await counterIncrement(tpm, await define());
    expect(await counterRead(tpm, counter)).toBe(highest + 2n);
  });
});

describe('the start of the software TPM (Part 3 §9.3)', () => {
  it('comes first: until then every command is refused with INITIALIZE', async () => {
    const { chip, tpm } = await boot({});
    await chip.powerCycle();
    await expect(run(tpm, TPM2_GetRandom, { bytesRequested: 1 })).rejects.toMatchObject({
      responseCode: 0x100,
    });
    await run(tpm, TPM2_Startup, { startupType: 'clear' });
    await expect(run(tpm, TPM2_Startup, { startupType: 'clear' })).rejects.toMatchObject({
      responseCode: 0x100,
    });
    expect((await run(tpm, TPM2_GetRandom, { bytesRequested: 1 })).randomBytes).toHaveLength(1);
  });

  it('does not happen without power', async () => {
    const { chip, tpm } = await boot({});
    await chip.powerOff();
    await expect(run(tpm, TPM2_Startup, { startupType: 'clear' })).rejects.toMatchObject({
      responseCode: 0x100,
    });
  });

  it('is a reset after a power cut, a restart or a resume after TPM2_Shutdown(STATE)', async () => {
    const { chip, tpm } = await boot({});
    const counts = async () => {
      const { resetCount, restartCount } = (await readClock(tpm)).clockInfo;
      return [resetCount, restartCount];
    };
    await pcrExtend(tpm, 12, { sha256: new Uint8Array(32).fill(1) });
    await pcrExtend(tpm, 16, { sha256: new Uint8Array(32).fill(1) });
    const [twelve] = await pcrRead(tpm, [12]);
    expect(await counts()).toEqual([1, 0]);

    await run(tpm, TPM2_Shutdown, { shutdownType: 'state' });
    await chip.powerCycle();
    await run(tpm, TPM2_Startup, { startupType: 'state' });
    expect(await counts()).toEqual([1, 1]);
    expect((await pcrRead(tpm, [12]))[0]).toEqual(twelve);
    expect((await pcrRead(tpm, [16]))[0]).toEqual(new Uint8Array(32));

    await run(tpm, TPM2_Shutdown, { shutdownType: 'state' });
    await chip.powerCycle();
    await run(tpm, TPM2_Startup, { startupType: 'clear' });
    expect(await counts()).toEqual([1, 2]);
    expect((await pcrRead(tpm, [12]))[0]).toEqual(new Uint8Array(32));

    await chip.powerCycle();
    await expect(run(tpm, TPM2_Startup, { startupType: 'state' })).rejects.toMatchObject({
      responseCode: 0x1c4,
    });
    await run(tpm, TPM2_Startup, { startupType: 'clear' });
    expect(await counts()).toEqual([2, 0]);
  });

  it('forgets a shutdown when something was changed after it', async () => {
    const { chip, tpm } = await boot({});
    await run(tpm, TPM2_Shutdown, { shutdownType: 'state' });
    await pcrExtend(tpm, 12, { sha256: new Uint8Array(32) });
    await chip.powerCycle();
    await expect(run(tpm, TPM2_Startup, { startupType: 'state' })).rejects.toMatchObject({
      responseCode: 0x1c4,
    });
  });

  it('says that its clock is not safe after a power cut, until it is', async () => {
    const { tpm, store, clock } = await boot({});
    expect((await readClock(tpm)).clockInfo.safe).toBe('yes');
    await clock.advance(60_000);
    const told = (await readClock(tpm)).clockInfo.clock;
    const cut = await boot({ store, clock });
    const after = (await readClock(cut.tpm)).clockInfo;
    expect(after.safe).toBe('no');
    await clock.advance(4096);
    const later = (await readClock(cut.tpm)).clockInfo;
    expect(later.safe).toBe('yes');
    expect(later.clock).toBeGreaterThan(told);
    await cut.chip.close();
    const orderly = await boot({ store, clock });
    expect((await readClock(orderly.tpm)).clockInfo.safe).toBe('yes');
  });
});

describe('guessing auth values', () => {
  it('ends in LOCKOUT after three tries, for guarded entities only, and is forgiven by time or by the owner', async () => {
    const { tpm, clock } = await boot({});
    const auth = Uint8Array.of(7);
    const attributes = { nt: 'ordinary', authread: true, authwrite: true } as const;
    const ek = await createPrimary(tpm, { hierarchy: 'endorsement', template: ekTemplate });
    const index = await nvDefine(tpm, { handle: 0x01500001, size: 1, attributes, auth, saltedTo: ek });
    await nvDefine(tpm, {
      handle: 0x01500002,
      size: 1,
      attributes: { ...attributes, noDa: true },
      auth,
      saltedTo: ek,
    });
    await nvWrite(tpm, index, Uint8Array.of(1));
    const read = async (nvIndex: number, guess: Uint8Array) =>
      await run(
        tpm,
        TPM2_NV_Read,
        { authHandle: nvIndex, nvIndex, size: 1, offset: 0 },
        { authorizations: [password(guess)] },
      ).then(
        () => 0,
        (error: { readonly responseCode: number }) => error.responseCode,
      );
    const guarded = (guess: Uint8Array) => read(0x01500001, guess);
    for (let i = 0; i < 3; i++) expect(await guarded(none)).toBe(0x98e);
    expect(await guarded(auth)).toBe(0x921);
    expect(await read(0x01500002, none)).toBe(0x9a2);
    await clock.advance(1_000_000);
    expect(await guarded(auth)).toBe(0);
    for (let i = 0; i < 1; i++) expect(await guarded(none)).toBe(0x98e);
    expect(await guarded(auth)).toBe(0x921);
    await run(tpm, TPM2_DictionaryAttackLockReset, { lockHandle: 0x4000000a });
    expect(await guarded(auth)).toBe(0);
  });
});

describe('localities', () => {
  it('decide who resets the PCRs of the dynamic root of trust', async () => {
    const { chip, tpm } = await boot({});
    expect((await pcrRead(tpm, [20]))[0]).toEqual(new Uint8Array(32).fill(0xff));
    const reset = () => run(tpm, TPM2_PCR_Reset, { pcrHandle: 20 });
    await expect(reset()).rejects.toMatchObject({ responseCode: 0x907 });
    chip.setLocality(2);
    await reset();
    expect((await pcrRead(tpm, [20]))[0]).toEqual(new Uint8Array(32));
    expect(() => chip.setLocality(5)).toThrow(TypeError);
  });
});

describe('saved contexts', () => {
  it('bring an object back as often as wanted, in this TPM, until it is reset', async () => {
    const { chip, tpm } = await boot({});
    const other = await boot({});
    const key = await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate });
    const { context } = await run(tpm, TPM2_ContextSave, { saveHandle: key });
    await flush(tpm, key);
    const load = (where: Tpm, changed = context) => run(where, TPM2_ContextLoad, { context: changed });
    for (let i = 0; i < 2; i++) {
      const { loadedHandle } = await load(tpm);
      await flush(tpm, { handle: loadedHandle });
    }
    const blob = context.contextBlob.slice();
    blob[40] = (blob[40] ?? 0) ^ 1;
    await expect(load(tpm, { ...context, contextBlob: blob })).rejects.toMatchObject({ responseCode: 0x1df });
    await expect(load(tpm, { ...context, sequence: context.sequence + 1n })).rejects.toMatchObject({
      responseCode: 0x1df,
    });
    await expect(load(other.tpm)).rejects.toMatchObject({ responseCode: 0x1df });
    await chip.powerCycle();
    await run(tpm, TPM2_Startup, { startupType: 'clear' });
    await expect(load(tpm)).rejects.toMatchObject({ responseCode: 0x1df });
  });

  it('do not show the private part', async () => {
    const { tpm } = await boot({ seed: 'context' });
    const key = await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate });
    const saved = async () => (await run(tpm, TPM2_ContextSave, { saveHandle: key })).context.contextBlob;
    const [a, b] = [await saved(), await saved()];
    if (key.public.type !== 'ecc') throw new Error('an ECC key was asked for');
    expect(Buffer.from(a).includes(Buffer.from(key.public.unique.x))).toBe(false);
    expect(hex(a)).not.toBe(hex(b));
  });
});

describe('slots', () => {
  it('are three by default, as in hardware, and say which kind is full', async () => {
    const { tpm } = await boot({});
    for (let i = 0; i < 3; i++) await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate });
    await expect(createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate })).rejects.toMatchObject({
      responseCode: 0x902,
    });
  });
});
