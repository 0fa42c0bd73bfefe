import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, u32, u64 } from '../../src/core/bytes.ts';
import type { Chip } from '../../src/tpm/swap/chip.ts';
import { Pool } from '../../src/tpm/swap/pool.ts';

const GAP_MAX = 8;
const PLACES = 3;

/** Session contexts as a TPM keeps account of them (Part 1 §30.5, SessionProcess.c), with a gap that is soon reached. */
function chipWithSessions() {
  const loaded = new Set<number>();
  const saved = new Map<number, bigint>();
  let counter = 0n;
  let gaps = 0;
  const oldest = () => [...saved].sort((a, b) => (a[1] < b[1] ? -1 : 1))[0];
  const full = () => counter + 1n - (oldest()?.[1] ?? counter) > BigInt(GAP_MAX);
  const refuse = (code: number): number => {
    if (code === 0x901) gaps += 1;
    return code;
  };
  const chip: Chip = {
    send: () => Promise.reject(new Error('not a command of the pool')),
    flush: () => Promise.resolve(true),
    handles: () => Promise.resolve([...loaded]),
    save(handle) {
      if (!loaded.has(handle)) return Promise.resolve(0x910);
      if (full()) return Promise.resolve(refuse(0x901));
      counter += 1n;
      loaded.delete(handle);
      saved.set(handle, counter);
      return Promise.resolve(concat(u64(counter), u32(handle)));
    },
    load(context) {
      const view = new DataView(context.buffer, context.byteOffset);
      const handle = view.getUint32(8);
      if (saved.get(handle) !== view.getBigUint64(0)) return Promise.resolve(-0x1cb);
      const places = PLACES - loaded.size;
      if (places === 0) return Promise.resolve(-0x903);
      // the last place is kept for the oldest
      if (places === 1 && full() && oldest()?.[0] !== handle) return Promise.resolve(-refuse(0x901));
      saved.delete(handle);
      loaded.add(handle);
      return Promise.resolve(handle);
    },
  };
  return { chip, loaded, saved, gaps: () => gaps };
}

/** A pool with so many sessions, the last ones in the TPM. */
async function poolOf(
  tpm: ReturnType<typeof chipWithSessions>,
  places: number,
  count: number,
): Promise<Pool> {
  const pool = new Pool(tpm.chip, 'sessions', places);
  for (let id = 0; id < count; id++) {
    await pool.makeRoom(new Set());
    tpm.loaded.add(id);
    pool.add(id, id, true);
  }
  return pool;
}

/** Of six sessions four are used again and again, the others now and then. */
const mostlyFew = fc.oneof(
  { weight: 20, arbitrary: fc.nat(3) },
  { weight: 1, arbitrary: fc.constantFrom(4, 5) },
);

describe('sessions in few places', () => {
  it('all come back, however far their contexts lie apart', async () => {
    let gaps = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(mostlyFew, { minLength: 30, maxLength: 120 }), async (order) => {
        const tpm = chipWithSessions();
        const pool = new Pool(tpm.chip, 'sessions', PLACES);
        for (let id = 0; id < 6; id++) {
          await pool.makeRoom(new Set());
          tpm.loaded.add(id);
          pool.add(id, id, true);
        }
        for (const which of order) {
          const held = pool.find(which);
          if (held === undefined) throw new Error('a session is lost');
          await pool.bring(held, new Set([held]), 0x18b);
          expect(tpm.loaded.has(held.id)).toBe(true);
          expect(tpm.loaded.size).toBeLessThanOrEqual(PLACES);
        }
        gaps += tpm.gaps();
      }),
      { seed: 20_2611, numRuns: 60 },
    );
    expect(gaps).toBeGreaterThan(0);
  });

  it('come back too when one has been out for very long', async () => {
    const tpm = chipWithSessions();
    const pool = await poolOf(tpm, PLACES, 6);
    for (let i = 0; i < 200; i++) {
      const held = pool.find(2 + (i % 4));
      if (held !== undefined) await pool.bring(held, new Set([held]), 0x18b);
    }
    expect(tpm.gaps()).toBeGreaterThan(0);
    for (const held of pool.all) await pool.bring(held, new Set([held]), 0x18b);
    expect(pool.all).toHaveLength(6);
  });

  it('are refused when all places are pinned', async () => {
    const tpm = chipWithSessions();
    const pool = await poolOf(tpm, PLACES, 4);
    const all = new Set(pool.all);
    const [out] = pool.all.filter(({ real }) => real === undefined);
    if (out === undefined) throw new Error('all are in');
    await expect(pool.bring(out, all, 0x18b)).rejects.toMatchObject({ responseCode: 0x903 });
    expect(pool.find(out.id)).toBe(out);
  });

  it('that the TPM knows no more are gone', async () => {
    const tpm = chipWithSessions();
    const pool = await poolOf(tpm, 1, 2);
    tpm.saved.clear();
    const [out] = pool.all.filter(({ real }) => real === undefined);
    if (out === undefined) throw new Error('all are in');
    await expect(pool.bring(out, new Set([out]), 0x918)).rejects.toMatchObject({ responseCode: 0x918 });
    expect(pool.find(out.id)).toBeUndefined();
  });
});
