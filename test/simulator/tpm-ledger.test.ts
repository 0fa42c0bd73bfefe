import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import type { MemoryStore } from '../../simulator/store.ts';
import { memoryStore } from '../../simulator/store.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { decodePlain, encodePlain } from '../../simulator/tpm/plain.ts';
import { decodeState } from '../../simulator/tpm/state.ts';
import { concat } from '../../src/core/bytes.ts';
import { encodeCbor } from '../../src/core/cbor.ts';
import { Malformed, StoreFailed } from '../../src/core/errors.ts';
import type { NvIndex, Tpm } from '../../src/tpm/index.ts';
import {
  counterDefine,
  counterIncrement,
  counterRead,
  createPrimary,
  iakTemplate,
  ldevidTemplate,
  nvReadPublic,
  openTpm,
  pcrExtend,
  pcrRead,
  persist,
} from '../../src/tpm/index.ts';

const none = new Uint8Array();
const handle = 0x01500001;

async function boot(store?: MemoryStore, snapshot?: Uint8Array) {
  const [random, clock] = [seededRandom('ledger'), virtualClock()];
  const options = { random, clock, store };
  const chip = snapshot ? await SoftwareTpm.restore(snapshot, options) : await SoftwareTpm.create(options);
  const open = () => openTpm({ transport: { exchange: (command) => chip.exchange(command) }, random, clock });
  return { chip, tpm: await open() };
}

/** A store with a counter that was incremented so often, and the counter. */
async function counted(times: number) {
  const store = memoryStore();
  const { chip, tpm } = await boot(store);
  let counter = await counterDefine(tpm, { handle });
  for (let i = 0; i < times; i++) counter = await counterIncrement(tpm, counter);
  return { store, chip, tpm, counter, value: await counterRead(tpm, counter) };
}

async function read(tpm: Tpm): Promise<bigint> {
  return await counterRead(tpm, (await nvReadPublic(tpm, handle)) as NvIndex);
}

const journalOf = async (store: MemoryStore) => (await store.read('tpm.journal')) ?? none;

/** Replaces the journal, as a disk would. */
async function setJournal(store: MemoryStore, bytes: Uint8Array): Promise<void> {
  await store.write('tpm.journal', bytes);
}

describe('the journal of the software TPM', () => {
  it('grows by a few bytes for each change, and by none for what changes nothing', async () => {
    const { store, tpm, counter } = await counted(3);
    const before = (await journalOf(store)).length;
    await counterIncrement(tpm, counter);
    const after = (await journalOf(store)).length;
    expect(after - before).toBeGreaterThan(0);
    expect(after - before).toBeLessThan(160);
    await counterRead(tpm, counter);
    await pcrExtend(tpm, 10, { sha256: new Uint8Array(32) });
    expect((await journalOf(store)).length).toBe(after);
  });

  it('is begun anew before it is long, and nothing is lost by that', async () => {
    const { store, value } = await counted(400);
    const { state, sequence } = decodeState((await store.read('tpm')) ?? none);
    expect(sequence).toBeGreaterThan(100);
    expect(state.nv).toHaveLength(1);
    expect((await journalOf(store)).length).toBeLessThan(20_000);
    expect(await read((await boot(store)).tpm)).toBe(value);
  });

  it('may lack the end of its last change, whatever is left of it', async () => {
    const { store, value } = await counted(3);
    const whole = await journalOf(store);
    const { store: earlier } = await counted(2);
    const last = whole.length - (await journalOf(earlier)).length;
    for (let cut = 1; cut < last; cut += 7) {
      await setJournal(store, whole.slice(0, whole.length - cut));
      expect(await read((await boot(copied(store, await journalOf(store)))).tpm)).toBe(value - 1n);
      // A disk that had made room, and not yet written.
      const zeros = concat(whole.slice(0, whole.length - cut), new Uint8Array(cut));
      const disk = copied(store, zeros);
      const { tpm } = await boot(disk);
      expect(await read(tpm)).toBe(value - 1n);
      await counterIncrement(tpm, (await nvReadPublic(tpm, handle)) as NvIndex);
      expect(await read((await boot(disk)).tpm)).toBe(value);
    }
  });

  /** Another disk with the same state and this journal. */
  function copied(store: MemoryStore, journal: Uint8Array): MemoryStore {
    const other = memoryStore();
    const read = async (name: string) =>
      (await other.read(name)) ?? (name === 'tpm' ? await store.read(name) : undefined);
    void other.write('tpm.journal', journal);
    return { ...other, read };
  }

  it('is refused when anything before its end is not as it was written, instead of going back in time', async () => {
    const { store } = await counted(4);
    const whole = await journalOf(store);
    for (const at of [0, 5, 20, Math.floor(whole.length / 2)]) {
      const damaged = whole.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      await setJournal(store, damaged);
      await expect(boot(store)).rejects.toThrow(StoreFailed);
    }
    const [first, second] = [(await counted(1)).store, (await counted(2)).store];
    const [one, two] = [await journalOf(first), await journalOf(second)];
    await setJournal(store, concat(one, whole.slice(two.length)));
    await expect(boot(store)).rejects.toThrow(StoreFailed);
    await setJournal(store, whole);
    await store.remove('tpm');
    await expect(boot(store)).rejects.toThrow(StoreFailed);
  });

  it('is not needed: what was stored before there was one is read', async () => {
    const { chip, value } = await counted(2);
    const { counterFloor, ...state } = decodeState(await chip.snapshot()).state;
    const old = memoryStore();
    await old.write('tpm', encodeCbor({ ...state, counterFloor: counterFloor.toString() }));
    expect(await read((await boot(old)).tpm)).toBe(value);
  });
});

describe('a snapshot of the software TPM', () => {
  it('is small, and another TPM made from it is the same: keys, counters, reset count', async () => {
    const { chip, tpm } = await counted(2);
    const key = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
    await persist(tpm, key, 0x81020001);
    const snapshot = await chip.snapshot();
    expect(snapshot.length).toBeLessThan(6144);
    const store = memoryStore();
    const { tpm: twin } = await boot(store, snapshot);
    const again = await createPrimary(twin, { hierarchy: 'endorsement', template: iakTemplate() });
    expect(again.name).toEqual(key.name);
    expect(await read(twin)).toBe(await read(tpm));
    // It has a store of its own from here on, in the place of what was there.
    await counterIncrement(twin, (await nvReadPublic(twin, handle)) as NvIndex);
    expect(await read((await boot(store)).tpm)).toBe((await read(tpm)) + 1n);
    const { tpm: replaced } = await boot(store, snapshot);
    expect(await read(replaced)).toBe(await read(tpm));
    expect(await read((await boot(store)).tpm)).toBe(await read(tpm));
  });

  it('is refused when a bit of it is wrong', async () => {
    const { chip } = await counted(1);
    const snapshot = await chip.snapshot();
    for (const at of [0, 3, 8, 40, snapshot.length - 1]) {
      const damaged = snapshot.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      await expect(boot(undefined, damaged)).rejects.toThrow(Malformed);
    }
  });

  it('of what is volatile brings it back as it was: objects, sessions, PCRs', async () => {
    const { chip, tpm } = await counted(1);
    const key = await createPrimary(tpm, { hierarchy: 'null', template: ldevidTemplate });
    await pcrExtend(tpm, 10, { sha256: new Uint8Array(32).fill(1) });
    const pcr = await pcrRead(tpm, [10]);
    const [permanent, volatile] = [await chip.snapshot(), await chip.snapshot('volatile')];
    const other = await boot();
    await expect(other.chip.load('permanent', permanent)).rejects.toThrow(TypeError);
    await other.chip.powerOff();
    await other.chip.load('permanent', permanent);
    await other.chip.load('volatile', volatile);
    await other.chip.powerCycle();
    expect(await pcrRead(other.tpm, [10])).toEqual(pcr);
    const found = await createPrimary(other.tpm, { hierarchy: 'null', template: ldevidTemplate });
    expect(found.name).toEqual(key.name);
    expect(found.handle).toBe(key.handle + 1);
    await other.chip.powerOff();
    await expect(other.chip.load('volatile', volatile.slice(1))).rejects.toThrow(Malformed);
  });
});

describe('plain values', () => {
  it('come back as they were: big integers, maps, bytes, lists in lists', () => {
    const value = {
      big: 2n ** 64n,
      small: 5n,
      map: new Map<unknown, unknown>([
        [1, { deep: new Map([['a', Uint8Array.of(1)]]) }],
        [2, [1, 'two', null, true]],
      ]),
    };
    expect(decodePlain(encodePlain(value))).toEqual(value);
    expect(decodePlain(encodePlain({ gone: undefined }))).toEqual({});
    for (const strange of [() => 1, new Date(0), Symbol('x')])
      expect(() => encodePlain({ strange })).toThrow(TypeError);
  });
});
