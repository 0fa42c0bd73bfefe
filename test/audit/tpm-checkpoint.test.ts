import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import type { MemoryStore } from '../../simulator/store.ts';
import { memoryStore } from '../../simulator/store.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import type { AuditFault, AuditOk } from '../../src/audit/auditor.ts';
import { verifyLog } from '../../src/audit/auditor.ts';
import { AuditJournal } from '../../src/audit/log.ts';
import { hashOf, lineOf, readLines } from '../../src/audit/record.ts';
import { auditCounter, tpmCheckpoints } from '../../src/audit/tpm-checkpoint.ts';
import type { AuditRecord } from '../../src/core/audit.ts';
import { concat, hex } from '../../src/core/bytes.ts';
import type { Json } from '../../src/core/json.ts';
import type { NvIndex, Tpm, TpmObject } from '../../src/tpm/index.ts';
import {
  counterIncrement,
  counterRead,
  createKey,
  createPrimary,
  flush,
  lakTemplate,
  ldevidTemplate,
  loadKey,
  nvReadPublic,
  nvUndefine,
  openTpm,
  srkTemplate,
} from '../../src/tpm/index.ts';

const AGENT = 'spiffe://fleet.example/agent/robot-7';
const auth = new Uint8Array(32).fill(7);

let chip: SoftwareTpm;
let tpm: Tpm;
let srk: TpmObject;
let lak: TpmObject;
let counter: NvIndex;
let store: MemoryStore;
const clock = virtualClock();
const random = seededRandom('test/audit/tpm');

beforeEach(async () => {
  chip = await SoftwareTpm.create({ clock, random });
  tpm = await openTpm({ transport: chip, clock, random });
  srk = await createPrimary(tpm, { hierarchy: 'owner', template: srkTemplate });
  lak = await keyOf(lakTemplate);
  ({ counter } = await auditCounter(tpm, { auth, saltedTo: srk }));
  store = memoryStore();
});
afterEach(async () => {
  await tpm.close();
});

const keyOf = async (template: typeof lakTemplate) =>
  loadKey(tpm, srk, await createKey(tpm, srk, { template, auth, saltedTo: srk }), auth);
const open = () =>
  AuditJournal.open({ store, clock, agent: AGENT, checkpointer: tpmCheckpoints(tpm, lak, counter) });
const act = (log: AuditJournal, txn: string) => log.append({ kind: 'credential', agent: AGENT, txn });
const content = async () => (await store.read('audit.log')) ?? new Uint8Array();
const reads = async () => {
  const now = await nvReadPublic(tpm, counter.handle, auth);
  if (now === undefined) throw new Error('no counter');
  return { index: now, value: await counterRead(tpm, now) };
};
const fault = (result: AuditOk | AuditFault) => (result.ok ? 'ok' : `${result.index}: ${result.why}`);

describe('a log whose checkpoints the TPM makes', () => {
  it('is proven up to the last, and the counter has gone up by one for each', async () => {
    const log = await open();
    await act(log, 'a');
    await log.checkpoint();
    await act(log, 'b');
    await log.checkpoint();
    const { value, index } = await reads();
    const keys = { attestationKeys: [lak.public], counter: value, counterName: hex(index.name) };
    expect(verifyLog(await content(), keys)).toMatchObject({
      ok: true,
      records: 6,
      checkpoints: 2,
      proven: 5,
    });
  });

  it('shows that its end was cut off, even when what is left is whole', async () => {
    const log = await open();
    await act(log, 'a');
    await log.checkpoint();
    const before = await content();
    await act(log, 'b');
    await log.checkpoint();
    const { value } = await reads();
    const keys = { attestationKeys: [lak.public], counter: value };
    expect(verifyLog(await content(), keys).ok).toBe(true);
    expect(fault(verifyLog(before, keys))).toBe(
      `4: the counter reads ${value}, and its checkpoint is missing`,
    );
    expect(fault(verifyLog(new Uint8Array(), keys))).toMatch(/^1: the counter reads/);
    // An old log, kept, and continued as if nothing had been.
    await store.write('audit.log', before);
    const forked = await open();
    await act(forked, 'other');
    expect(fault(verifyLog(await content(), keys))).toMatch(/^5: the counter reads/);
  });

  it('accounts for a checkpoint that power interrupted between counting and certifying', async () => {
    const log = await open();
    await act(log, 'a');
    await log.checkpoint();
    const checkpointer = tpmCheckpoints(tpm, lak, counter);
    const cut = await AuditJournal.open({
      store,
      clock,
      agent: AGENT,
      checkpointer: {
        method: 'tpm',
        sign: async (head) => {
          await checkpointer.sign(head);
          throw new Error('no power');
        },
      },
    });
    await act(cut, 'b');
    await expect(cut.checkpoint()).rejects.toThrow('no power');
    const { value } = await reads();
    const keys = { attestationKeys: [lak.public], counter: value };
    expect(verifyLog(await content(), keys)).toMatchObject({ ok: true, proven: 2 });
    expect(fault(verifyLog(await content(), { ...keys, counter: value + 1n }))).toMatch(/is missing$/);
    const again = await open();
    await again.checkpoint();
    expect(verifyLog(await content(), { ...keys, counter: value + 1n })).toMatchObject({
      ok: true,
      checkpoints: 2,
    });
  });

  it('is not believed when its counter goes back, or is another', async () => {
    const log = await open();
    await act(log, 'a');
    await log.checkpoint();
    const { value } = await reads();
    const keys = { attestationKeys: [lak.public] };
    expect(fault(verifyLog(await content(), { ...keys, counter: value - 1n }))).toMatch(/gone back$/);
    expect(fault(verifyLog(await content(), { ...keys, counterName: '00' }))).toMatch(/another counter$/);

    // The later checkpoint certified first.
    const { sign } = tpmCheckpoints(tpm, lak, counter);
    const begun = (index: number, previous: string): AuditRecord => ({
      index,
      previous,
      at: 0,
      kind: 'checkpoint',
      agent: AGENT,
      detail: { method: 'tpm' },
    });
    const first = begun(1, '0'.repeat(64));
    const second = begun(2, hashOf(first));
    const later = await sign({ index: 2, hash: hashOf(second) });
    const earlier = await sign({ index: 1, hash: hashOf(first) });
    const proof = (index: number, before: AuditRecord, of: number, evidence: Json): AuditRecord => ({
      ...begun(index, hashOf(before)),
      kind: 'checkpoint-evidence',
      detail: { of, evidence },
    });
    const third = proof(3, second, 1, earlier);
    const fourth = proof(4, third, 2, later);
    const crossed = concat(...[first, second, third, fourth].map(lineOf));
    expect(fault(verifyLog(crossed, keys))).toBe(`4: the counter went from ${value + 2n} to ${value + 1n}`);
  });

  it('cannot begin anew: a counter made again goes on above the old one', async () => {
    const log = await open();
    expect(await log.checkpoint()).toBeUndefined(); // an empty log proves nothing
    await act(log, 'a');
    await log.checkpoint();
    await act(log, 'b');
    const { value } = await reads();
    await nvUndefine(tpm, counter.handle);
    await expect(log.checkpoint()).rejects.toMatchObject({ code: 'audit.counter-missing' });
    const again = await auditCounter(tpm, { auth, saltedTo: srk });
    expect(again.made).toBe(true);
    const fresh = await counterIncrement(tpm, again.counter);
    expect(await counterRead(tpm, fresh)).toBeGreaterThan(value);
    expect((await auditCounter(tpm, { auth, saltedTo: srk })).made).toBe(false);
  });

  it('is not believed by a key that may sign anything, another TPM, or evidence moved to another record', async () => {
    const log = await open();
    await act(log, 'a');
    await log.checkpoint();
    const bytes = await content();
    await flush(tpm, lak);
    const ldevid = await keyOf(ldevidTemplate);
    expect(fault(verifyLog(bytes, { attestationKeys: [ldevid.public] }))).toMatch(/^3: .*no attestation key/);
    await flush(tpm, ldevid);
    const stranger = await keyOf(lakTemplate);
    expect(fault(verifyLog(bytes, { attestationKeys: [stranger.public] }))).toMatch(
      /^3: .*no attestation key known here$/,
    );
    expect(fault(verifyLog(bytes, {}))).toMatch(/^3: .*no attestation key known here$/);
    expect(verifyLog(bytes, { attestationKeys: [stranger.public, lak.public] }).ok).toBe(true);

    const records = readLines(bytes).lines.map(({ record }) => record);
    const evidence: Json = records[2]?.detail?.['evidence'] ?? null;
    let previous = '0'.repeat(64);
    const forged = [
      { ...records[0], txn: 'forged' },
      records[1],
      { ...records[2], detail: { of: 2, evidence } },
    ].map((record) => {
      const moved = { ...record, previous } as AuditRecord;
      previous = hashOf(moved);
      return lineOf(moved);
    });
    expect(fault(verifyLog(concat(...forged), { attestationKeys: [lak.public] }))).toMatch(
      /^3: .*qualified with other data$/,
    );
  });
});
