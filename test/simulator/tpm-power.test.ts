import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import type { MemoryStore } from '../../simulator/store.ts';
import { memoryStore } from '../../simulator/store.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { decodeState } from '../../simulator/tpm/state.ts';
import type { Random } from '../../src/core/platform.ts';
import {
  TPM2_Clear,
  TPM2_EvictControl,
  TPM2_HierarchyChangeAuth,
  TPM2_NV_DefineSpace,
  TPM2_NV_Increment,
  TPM2_NV_UndefineSpace,
  TPM2_NV_Write,
  TPM2_PCR_Extend,
  TPM2_Shutdown,
} from '../../src/tpm/commands.ts';
import type { Tpm, TpmObject } from '../../src/tpm/index.ts';
import { createPrimary, ldevidTemplate, openTpm, password, run } from '../../src/tpm/index.ts';

const none = new Uint8Array();
const OWNER = 0x40000001;
const ENDORSEMENT = 0x4000000b;
const LOCKOUT = 0x4000000a;

/** A TPM on a store, and a client that never ends it. */
async function boot(store: MemoryStore, random: Random) {
  const chip = await SoftwareTpm.create({ random, clock: virtualClock(), store, seed: 'power' });
  const transport = { exchange: (command: Uint8Array) => chip.exchange(command) };
  return { chip, tpm: await openTpm({ transport, random, clock: virtualClock() }) };
}

/** What is stored, but for the clock, which runs by itself. */
async function stored(store: MemoryStore) {
  const chip = await SoftwareTpm.create({
    random: seededRandom('again'),
    clock: virtualClock(),
    store,
    startup: 'none',
  });
  return stateOf(chip);
}

async function stateOf(chip: SoftwareTpm) {
  const { clock: _, ...state } = decodeState(await chip.snapshot()).state;
  return state;
}

type Step = (tpm: Tpm, key: TpmObject) => Promise<unknown>;
const define = (nvIndex: number, nt: 'ordinary' | 'counter', dataSize: number): Step => {
  const attributes = { nt, authread: true, authwrite: true, ownerwrite: true, ownerread: true } as const;
  const publicInfo = { nvIndex, nameAlg: 'sha256', attributes, authPolicy: none, dataSize } as const;
  return (tpm) => run(tpm, TPM2_NV_DefineSpace, { authHandle: OWNER, auth: none, publicInfo });
};

const choose = <T>(all: readonly T[], number: number): T => all[number % all.length] as T;

/** Some of everything that is stored, as chance has it; a step that the TPM refuses is a step too. */
function steps(random: Random, count: number): Step[] {
  let endorsementAuth: Uint8Array = none;
  const byte = () => random.bytes(1)[0] ?? 0;
  const index = () => 0x01500000 + (byte() % 3);
  const all: (() => Step)[] = [
    () => define(index(), 'ordinary', 2048),
    () => {
      const [nvIndex, data, offset] = [index(), random.bytes(1024), byte()];
      return (tpm) => run(tpm, TPM2_NV_Write, { authHandle: OWNER, nvIndex, data, offset });
    },
    () => {
      const [nvIndex, data, offset] = [index(), random.bytes(1024), byte()];
      return (tpm) => run(tpm, TPM2_NV_Write, { authHandle: OWNER, nvIndex, data, offset });
    },
    () => define(0x01500010, 'counter', 8),
    () => (tpm) => run(tpm, TPM2_NV_Increment, { authHandle: OWNER, nvIndex: 0x01500010 }),
    () => (tpm) => run(tpm, TPM2_NV_Increment, { authHandle: OWNER, nvIndex: 0x01500010 }),
    () => {
      const nvIndex = index();
      return (tpm) => run(tpm, TPM2_NV_UndefineSpace, { authHandle: OWNER, nvIndex });
    },
    () => {
      const persistentHandle = 0x81000000 + (byte() % 4);
      return (tpm, key) => run(tpm, TPM2_EvictControl, { auth: OWNER, objectHandle: key, persistentHandle });
    },
    () => {
      const newAuth = random.bytes(8);
      return async (tpm) => {
        const authorizations = [password(endorsementAuth)];
        const request = { authHandle: ENDORSEMENT, newAuth };
        await run(tpm, TPM2_HierarchyChangeAuth, request, { authorizations });
        endorsementAuth = newAuth;
      };
    },
    () => {
      const shutdownType = byte() % 2 ? 'state' : 'clear';
      return (tpm) => run(tpm, TPM2_Shutdown, { shutdownType });
    },
    () => (tpm) =>
      run(tpm, TPM2_PCR_Extend, {
        pcrHandle: 10,
        digests: [{ hashAlg: 'sha256', digest: new Uint8Array(32) }],
      }),
  ];
  const chosen = Array.from({ length: count }, () => choose(all, byte())());
  chosen.splice(count - 8, 0, (tpm) => run(tpm, TPM2_Clear, { authHandle: LOCKOUT }));
  const defined = [0x01500000, 0x01500001].map((handle) => define(handle, 'ordinary', 2048));
  return [...defined, define(0x01500010, 'counter', 8), ...chosen];
}

/** Does the steps until the power goes. @returns how many were answered, and what is stored after each. */
async function live(store: MemoryStore, count: number, after: (chip: SoftwareTpm) => Promise<void>) {
  const random = seededRandom('life');
  const { chip, tpm } = await boot(store, random);
  const key = await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate });
  for (const step of steps(random, count)) {
    await step(tpm, key).catch((error: { readonly reason?: string }) => {
      if (error.reason === 'NV_UNAVAILABLE') throw error;
    });
    await after(chip);
  }
}

/** `store`, how often it was written to, and a way to have its power go with one of the writes to come. */
function counting(store: MemoryStore) {
  let writes = 0;
  let last = Number.POSITIVE_INFINITY;
  const counted =
    <A extends unknown[], T>(write: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      writes++;
      try {
        return await write(...args);
      } finally {
        if (writes === last) store.cutPower(true);
      }
    };
  const journal: MemoryStore['journal'] = async (name) => {
    const inner = await store.journal(name);
    return Object.create(inner, {
      append: { value: counted((chunk: Uint8Array) => inner.append(chunk)) },
      truncate: { value: counted((size: number) => inner.truncate(size)) },
    }) as typeof inner;
  };
  return {
    store: { ...store, journal, write: counted(store.write), remove: counted(store.remove) },
    since: () => {
      const sofar = writes;
      writes = 0;
      return sofar;
    },
    /** The `count`-th write from now is the last, and fails; `kept`, see MemoryStore. */
    cutAt: (count: number, kept: number) => {
      store.failWrite(count, kept);
      last = writes + count;
    },
  };
}

describe('the software TPM and a power cut', () => {
  it('is afterwards as before or as after the command, at every write of a long life, half written or not', async () => {
    const count = 75;
    const expected: Awaited<ReturnType<typeof stateOf>>[] = [];
    const whole = counting(memoryStore());
    await live(whole.store, count, async (chip) => {
      if (expected.length === 0) whole.since();
      expected.push(await stateOf(chip));
    });
    const writes = whole.since();
    expect(await stored(whole.store)).toEqual(expected.at(-1));
    expect(writes).toBeGreaterThan(40);
    // The journal was begun anew on the way: that too is a place for the power to go.
    expect(decodeState((await whole.store.read('tpm')) ?? none).sequence).toBeGreaterThan(0);

    for (const kept of [0, 0.4, 1])
      for (let failing = 1; failing <= writes; failing++) {
        const disk = memoryStore();
        const { store, cutAt } = counting(disk);
        let answered = 0;
        const life = live(store, count, async () => {
          if (answered++ === 0) cutAt(failing, kept);
        });
        // A command that could not be answered ends it; with the last write it may have come to its end.
        await life.catch(() => {});
        disk.cutPower(false);
        const found = await stored(disk);
        const [before, after] = [expected[answered - 1], expected[answered]];
        if (kept === 1 && after !== undefined) expect([before, after]).toContainEqual(found);
        else expect(found).toEqual(before);
      }
  });

  it('goes on when only one write failed: what was refused has not happened, here and in the store', async () => {
    for (const kept of [0, 0.4, 1]) {
      const store = memoryStore();
      const random = seededRandom('goes on');
      const { chip, tpm } = await boot(store, random);
      await define(0x01500010, 'counter', 8)(tpm, {} as TpmObject);
      const increment = () => run(tpm, TPM2_NV_Increment, { authHandle: OWNER, nvIndex: 0x01500010 });
      await increment();
      const before = await stateOf(chip);
      store.failWrite(1, kept);
      await expect(increment()).rejects.toMatchObject({ reason: 'NV_UNAVAILABLE' });
      expect(await stateOf(chip)).toEqual(before);
      await increment();
      await increment();
      expect(await stored(store)).toEqual(await stateOf(chip));
    }
  });
});
