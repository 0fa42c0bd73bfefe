import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { memoryStore } from '../../simulator/store.ts';
import type { AuditFault, AuditOk } from '../../src/audit/auditor.ts';
import { keysOf, showLog, traceLogs, verifyLog } from '../../src/audit/auditor.ts';
import type { Checkpointer } from '../../src/audit/checkpoint.ts';
import { signedCheckpoints } from '../../src/audit/checkpoint.ts';
import { AuditJournal } from '../../src/audit/log.ts';
import { hashOf, lineOf, readLines } from '../../src/audit/record.ts';
import type { AuditRecord } from '../../src/core/audit.ts';
import { INTENT, outcomeOf } from '../../src/core/audit-intent.ts';
import { concat, hex } from '../../src/core/bytes.ts';
import { generateKey } from '../../src/core/signer.ts';

const AGENT = 'spiffe://fleet.example/agent/robot-7';
const random = seededRandom('test/audit');
const signer = generateKey(random);
const keys = keysOf(signer);

/** A log of three actions, with a checkpoint after the second and one at the end. */
async function written(checkpointer: Checkpointer = signedCheckpoints(signer)) {
  const store = memoryStore();
  const clock = virtualClock();
  const log = await AuditJournal.open({ store, clock, agent: AGENT, checkpointer });
  for (const txn of ['t-1', 't-2', 't-3']) {
    const intent = await log.append({
      kind: INTENT,
      agent: AGENT,
      resource: 'drawer',
      action: 'open',
      txn,
      task: 'dinner',
    });
    await clock.advance(1000);
    await log.append(outcomeOf(intent, 'done'));
    if (txn !== 't-1') await log.checkpoint();
  }
  await log.close();
  const bytes = (await store.read('audit.log')) ?? new Uint8Array();
  return {
    bytes,
    records: readLines(bytes).lines.map(({ record }) => record),
    head: log.head(),
    store,
    clock,
  };
}

/** The same records, chained anew by somebody who can compute hashes but not sign. */
function rechained(records: readonly AuditRecord[]): Uint8Array {
  const lines: Uint8Array[] = [];
  let previous = '0'.repeat(64);
  for (const [i, record] of records.entries()) {
    const moved = { ...record, index: i + 1, previous };
    previous = hashOf(moved);
    lines.push(lineOf(moved));
  }
  return concat(...lines);
}
const fault = (result: AuditOk | AuditFault) => (result.ok ? 'ok' : `${result.index}: ${result.why}`);

describe('an audit log that is checked (OB-05)', () => {
  it('is what was written, and proven up to its last checkpoint', async () => {
    const { bytes, head } = await written();
    expect(verifyLog(bytes, keys)).toEqual({
      ok: true,
      records: 10,
      head,
      checkpoints: 2,
      proven: 9,
      open: [],
    });
    expect(verifyLog(new Uint8Array(), keys)).toMatchObject({ ok: true, records: 0, proven: 0 });
  });

  it('shows a flipped bit at every position', async () => {
    const { bytes } = await written();
    for (let position = 0; position < bytes.length; position++)
      for (const bit of [0, 3, 5]) {
        const copy = bytes.slice();
        copy[position] = (copy[position] ?? 0) ^ (1 << bit);
        expect(`${position}/${bit} ${verifyLog(copy, keys).ok}`).toBe(`${position}/${bit} false`);
      }
  });

  it('shows any changed bytes, and says where', async () => {
    const { bytes } = await written();
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 }),
        (changes) => {
          const copy = bytes.slice();
          for (const [position, value] of changes) copy[position] = value;
          fc.pre(hex(copy) !== hex(bytes));
          const result = verifyLog(copy, keys);
          expect(result.ok).toBe(false);
          const first = Math.min(
            ...changes
              .filter(([position]) => copy[position] !== bytes[position])
              .map(([position]) => position),
          );
          const line = bytes.subarray(0, first).filter((byte) => byte === 0x0a).length + 1;
          // The record itself, or the first one that rests on it.
          if (!result.ok) expect(result.index).toBeGreaterThanOrEqual(line);
        },
      ),
      { seed: 11, numRuns: 300 },
    );
  });

  it('names the first record that does not fit', async () => {
    const { records } = await written();
    const lines = records.map(lineOf);
    const without = (index: number) => concat(...lines.filter((_, i) => i !== index - 1));
    expect(fault(verifyLog(without(3), keys))).toBe('3: record 4 stands in the place of 3');
    const swapped = [...lines];
    [swapped[1], swapped[2]] = [lines[2] ?? new Uint8Array(), lines[1] ?? new Uint8Array()];
    expect(fault(verifyLog(concat(...swapped), keys))).toBe('2: record 3 stands in the place of 2');
    const twice = [...lines.slice(0, 2), ...lines.slice(1)];
    expect(fault(verifyLog(concat(...twice), keys))).toBe('3: record 2 stands in the place of 3');
    const changed = records.map((record) =>
      lineOf(record.index === 2 ? { ...record, at: record.at + 1 } : record),
    );
    expect(fault(verifyLog(concat(...changed), keys))).toBe('3: the hash of the record before does not fit');
  });

  it('is not believed when it was chained anew', async () => {
    const { records } = await written();
    const removed = rechained(records.filter(({ txn }) => txn !== 't-2'));
    expect(verifyLog(removed, keys).ok).toBe(false);
    const altered = rechained(
      records.map((record) => (record.index === 1 ? { ...record, action: 'look' } : record)),
    );
    expect(fault(verifyLog(altered, keys))).toBe('6: the signature of the checkpoint does not verify');
  });

  it('is not believed with a checkpoint of another key, method, record or log', async () => {
    const { records, bytes } = await written();
    const stranger = generateKey(random);
    expect(fault(verifyLog(bytes, keysOf(stranger)))).toMatch(/^6: .*not known here$/);
    expect(fault(verifyLog(bytes, keysOf({ kid: signer.kid, publicJwk: stranger.publicJwk })))).toMatch(
      /^6: the signature/,
    );
    const evidence = records[5]?.detail?.['evidence'] ?? {};
    const replayed = rechained(
      records.map((record) => (record.index === 10 ? { ...record, detail: { of: 9, evidence } } : record)),
    );
    expect(fault(verifyLog(replayed, keys))).toMatch(/^10: the signature/);
    const twice = rechained([...records, { ...(records[9] ?? ({} as AuditRecord)) }]);
    expect(fault(verifyLog(twice, keys))).toBe('11: the evidence of no checkpoint');
    const other = rechained(
      records.map((record) => (record.index === 5 ? { ...record, detail: { method: 'trust-me' } } : record)),
    );
    expect(fault(verifyLog(other, keys))).toBe('6: a checkpoint of a method nobody knows');
    const more = rechained(
      records.map((record) => (record.index === 10 ? { ...record, cause: 'x' } : record)),
    );
    expect(fault(verifyLog(more, keys))).toBe('10: the evidence has other members');
  });

  it('that was cut in the middle of a record says so', async () => {
    const { bytes, records } = await written();
    const cut = bytes.slice(0, bytes.length - 5);
    expect(fault(verifyLog(cut, keys))).toBe('10: the last record is incomplete');
    const shorter = concat(...records.slice(0, 8).map(lineOf));
    // Nothing in the log itself can show this; what others saw can.
    expect(verifyLog(shorter, keys)).toMatchObject({ ok: true, proven: 5 });
  });

  it('that lacks what others witnessed says so', async () => {
    const { records } = await written();
    const witness = records[8] ?? ({} as AuditRecord);
    const witnesses = [{ index: 9, hash: hashOf(witness) }];
    const shorter = concat(...records.slice(0, 6).map(lineOf));
    expect(fault(verifyLog(shorter, { ...keys, witnesses }))).toBe(
      '7: records up to 9 were witnessed and are missing',
    );
    expect(
      fault(
        verifyLog(rechained([...records.slice(0, 8), { ...witness, agent: 'x' }]), { ...keys, witnesses }),
      ),
    ).toBe('9: the record is not the one that was witnessed');
    expect(verifyLog(concat(...records.map(lineOf)), { ...keys, witnesses }).ok).toBe(true);
  });

  it('does not accept an outcome of nothing, or a second one', async () => {
    const { records } = await written();
    const [intent, outcome] = records;
    if (intent === undefined || outcome === undefined) throw new Error('no records');
    expect(fault(verifyLog(rechained([outcome]), keys))).toBe('1: the outcome of an intent that is not open');
    expect(fault(verifyLog(rechained([intent, outcome, outcome]), keys))).toBe(
      '3: the outcome of an intent that is not open',
    );
    expect(verifyLog(rechained([intent]), keys)).toMatchObject({ ok: true, open: [1] });
  });

  it('made of hostile bytes has a fault or is empty', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const result = verifyLog(bytes, keys);
        if (result.ok) expect(bytes.length).toBe(0);
      }),
      { seed: 12, numRuns: 300 },
    );
    fc.assert(
      fc.property(fc.json(), (json) => {
        expect(verifyLog(new TextEncoder().encode(`${json}\n`), keys).ok).toBe(false);
      }),
      { seed: 13, numRuns: 200 },
    );
  });
});

describe('a log that is read (OB-08, OB-13)', () => {
  it('shows what matches', async () => {
    const { bytes, records } = await written();
    expect(showLog(bytes)).toEqual(records);
    expect(showLog(bytes, { txn: 't-2' }).map(({ index }) => index)).toEqual([3, 4]);
    expect(showLog(bytes, { kind: 'checkpoint' })).toHaveLength(2);
    expect(
      showLog(bytes, { task: 'dinner', agent: AGENT, since: Date.UTC(2026, 10, 24, 10, 0, 2) }).map(
        ({ index }) => index,
      ),
    ).toEqual([4, 7, 8].filter((index) => (records[index - 1]?.at ?? 0) >= Date.UTC(2026, 10, 24, 10, 0, 2)));
    expect(showLog(bytes, { until: 0 })).toEqual([]);
  });

  it('together with others tells one transaction in order, whatever one clock said', async () => {
    const record = (index: number, at: number, txn: string): AuditRecord => ({
      index,
      at,
      txn,
      kind: 'decision',
      agent: 'x',
      previous: '0'.repeat(64),
    });
    const robot = rechained([record(1, 50, 'a'), record(2, 20, 'a'), record(3, 60, 'b')]);
    const hub = rechained([record(1, 10, 'a'), record(2, 55, 'a')]);
    const steps = traceLogs({ robot, hub }, { txn: 'a' });
    expect(steps.map(({ log, record: { index } }) => `${log} ${index}`)).toEqual([
      'hub 1',
      'robot 1',
      'robot 2',
      'hub 2',
    ]);
    expect(traceLogs({ robot, hub }, { task: 'none' })).toEqual([]);
  });
});
