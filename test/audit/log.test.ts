import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { memoryStore } from '../../simulator/store.ts';
import { keysOf, showLog, verifyLog } from '../../src/audit/auditor.ts';
import { signedCheckpoints } from '../../src/audit/checkpoint.ts';
import { AuditBroken, AuditEntryTooLarge, AuditFailed, AuditFull } from '../../src/audit/errors.ts';
import type { AuditJournalOptions } from '../../src/audit/log.ts';
import { AuditJournal } from '../../src/audit/log.ts';
import { GENESIS, hashOf, readLines } from '../../src/audit/record.ts';
import { readWholeLog } from '../../src/audit/segments.ts';
import type { AuditEntry } from '../../src/core/audit.ts';
import { INTENT, OUTCOME, outcomeOf } from '../../src/core/audit-intent.ts';
import { text, utf8 } from '../../src/core/bytes.ts';
import { Malformed, StoreFailed } from '../../src/core/errors.ts';
import type { Journal, Store } from '../../src/core/platform.ts';
import { generateKey } from '../../src/core/signer.ts';

const AGENT = 'spiffe://fleet.example/agent/robot-7';
const intent = (more: Partial<AuditEntry> = {}): AuditEntry => ({
  kind: INTENT,
  agent: AGENT,
  resource: 'drawer',
  action: 'open',
  decision: 'permit',
  txn: 't-1',
  task: 'set-the-table',
  ...more,
});
const denial = (more: Partial<AuditEntry> = {}): AuditEntry => ({
  kind: 'decision',
  agent: AGENT,
  resource: 'drawer',
  action: 'open',
  decision: 'deny',
  cause: 'task-ended',
  ...more,
});

const place = () => {
  const store = memoryStore();
  const clock = virtualClock();
  const open = (more: Partial<AuditJournalOptions> = {}) =>
    AuditJournal.open({ store, clock, agent: AGENT, ...more });
  const bytes = async () => (await store.read('audit.log')) ?? new Uint8Array();
  const records = async () => readLines(await bytes()).lines.map(({ record }) => record);
  return { store, clock, open, bytes, records };
};

describe('an audit log (OB-04, OB-05)', () => {
  it('chains records, and says its head only when they are durable', async () => {
    const { open, records, bytes } = place();
    const log = await open();
    expect(log.head()).toEqual({ index: 0, hash: GENESIS });
    const first = await log.append(intent());
    const second = await log.append(outcomeOf(first, 'done'));
    expect(first).toMatchObject({ index: 1, previous: GENESIS, at: Date.UTC(2026, 10, 24, 10) });
    expect(second).toMatchObject({
      index: 2,
      previous: hashOf(first),
      kind: OUTCOME,
      detail: { of: 1, result: 'done' },
    });
    expect(log.head()).toEqual({ index: 2, hash: hashOf(second) });
    expect(await records()).toEqual([first, second]);
    expect(text(await bytes()).split('\n')).toHaveLength(3);
  });

  it('keeps the order of calls, and writes what comes together in one append', async () => {
    const { store, open, records } = place();
    let appends = 0;
    const counting: Store = {
      ...store,
      journal: async (name): Promise<Journal> => {
        const journal = await store.journal(name);
        return {
          get size() {
            return journal.size;
          },
          append: (chunk) => {
            appends += 1;
            return journal.append(chunk);
          },
          read: () => journal.read(),
          truncate: (size) => journal.truncate(size),
          close: () => journal.close(),
        };
      },
    };
    const log = await open({ store: counting });
    const written = await Promise.all(
      Array.from({ length: 50 }, (_, i) => log.append(intent({ txn: `t-${i}` }))),
    );
    expect(written.map(({ index }) => index)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
    expect((await records()).map(({ txn }) => txn)).toEqual(Array.from({ length: 50 }, (_, i) => `t-${i}`));
    expect(appends).toBe(1);
  });

  it('continues where it was closed', async () => {
    const { open, records } = place();
    const log = await open();
    await log.append(intent({ kind: 'configuration' }));
    const head = log.head();
    await log.close();
    await log.close();
    await expect(log.append(intent())).rejects.toThrow(AuditFailed);
    const again = await open();
    expect(again.head()).toEqual(head);
    await again.append({ kind: 'credential', agent: AGENT });
    expect(
      readLines(utf8((await records()).map((one) => `${JSON.stringify(one)}`).join('\n'))),
    ).toBeDefined();
    expect((await records()).map(({ index }) => index)).toEqual([1, 2]);
  });

  it('refuses an entry that is too large or of a wrong form, and stays usable', async () => {
    const { open, records } = place();
    const log = await open();
    await expect(log.append(intent({ detail: { x: 'y'.repeat(33_000) } }))).rejects.toThrow(
      AuditEntryTooLarge,
    );
    await expect(log.append(intent({ resource: 'x'.repeat(8193) }))).rejects.toThrow(Malformed);
    await expect(log.append(intent({ kind: 'Not a kind' }))).rejects.toThrow(Malformed);
    await expect(log.append({ ...intent(), index: 7 } as AuditEntry)).resolves.toMatchObject({ index: 1 });
    expect(await records()).toHaveLength(1);
  });

  it('lets nobody else write checkpoints', async () => {
    const { open } = place();
    const log = await open();
    for (const entry of [
      intent({ kind: 'checkpoint' }),
      intent({ kind: 'checkpoint-evidence' }),
      intent({ detail: { of: 1, evidence: {} } }),
    ])
      await expect(log.append(entry)).rejects.toThrow(TypeError);
    expect(() => log.checkpoint()).toThrow(TypeError);
  });

  it('makes a last checkpoint when it is closed, and none when nothing is new', async () => {
    const { open, records } = place();
    let made = 0;
    const checkpointer = {
      method: 'signature',
      sign: async () => {
        made += 1;
        return { kid: 'k', signature: '' };
      },
    } as const;
    const log = await open({ checkpointer });
    await log.append(intent({ kind: 'credential' }));
    await log.close();
    expect((await records()).map(({ kind }) => kind)).toEqual([
      'credential',
      'checkpoint',
      'checkpoint-evidence',
    ]);
    await (await open({ checkpointer })).close();
    expect(made).toBe(1);
    const failing = await open({
      checkpointer: { method: 'tpm', sign: () => Promise.reject(new Error('gone')) },
    });
    await failing.append(intent({ kind: 'credential' }));
    await expect(failing.checkpoint()).rejects.toThrow('gone');
    await failing.close();
    expect((await records()).map(({ kind }) => kind).slice(3)).toEqual([
      'credential',
      'checkpoint',
      'checkpoint',
    ]);
  });

  it('holds no token, only its hash (OB-12)', async () => {
    const { open, bytes } = place();
    const log = await open();
    const token = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl';
    await log.append(intent({ cause: `used ${token}`, detail: { deep: [{ token }] } }));
    const content = text(await bytes());
    expect(content).not.toContain('eyJ');
    expect(content.match(/sha256:[0-9a-f]{64}/g)).toHaveLength(2);
  });
});

describe('an intent', () => {
  it('whose outcome a crash swallowed is closed as unknown, once', async () => {
    const { open, records } = place();
    const log = await open();
    const done = await log.append(intent({ txn: 't-1' }));
    const lost = await log.append(intent({ txn: 't-2' }));
    await log.append(outcomeOf(done, 'done'));
    expect(log.openIntents()).toEqual([lost]);
    // no close: the process is gone
    const again = await open();
    expect(again.openIntents()).toEqual([]);
    expect((await records()).at(-1)).toMatchObject({
      kind: OUTCOME,
      txn: 't-2',
      detail: { of: lost.index, result: 'unknown' },
    });
    await again.close();
    await open();
    expect(await records()).toHaveLength(4);
  });
});

describe('the permit of an enforcement point', () => {
  const permit = (id: string): AuditEntry => ({
    kind: 'decision',
    agent: AGENT,
    resource: 'arm',
    action: 'reach',
    decision: 'permit',
    detail: { id, enforcer: AGENT },
  });
  const ended = (id: string): AuditEntry => ({
    kind: 'outcome',
    agent: AGENT,
    cause: 'done',
    detail: { id },
  });

  it('is an intent, closed by the outcome of the same decision', async () => {
    const { open, records, bytes } = place();
    const log = await open();
    await log.append(permit('a'));
    await log.append(permit('b'));
    await log.append({ ...permit('c'), detail: { id: 'c' } }); // a permit that nobody enforces here
    await log.append(ended('a'));
    expect(log.openIntents().map(({ index }) => index)).toEqual([2]);
    expect(verifyLog(await bytes(), {})).toMatchObject({ ok: true, open: [2] });
    const again = await open();
    expect((await records()).at(-1)).toMatchObject({
      kind: 'outcome',
      cause: 'outcome unknown',
      resource: 'arm',
      detail: { id: 'b', of: 2, result: 'unknown' },
    });
    // The enforcement point then finds its device running, stops it and says so too.
    await again.append(ended('b'));
    expect(verifyLog(await bytes(), {})).toMatchObject({ ok: true, open: [] });
  });
});

describe('an entry', () => {
  it('whatever it holds, is refused or leaves a log that opens and verifies', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            detail: fc.object({ maxDepth: 4 }),
            cause: fc.string({ unit: 'binary' }),
            kind: fc.constantFrom('intent', 'token'),
          }),
          {
            maxLength: 4,
          },
        ),
        async (entries) => {
          const { open, bytes } = place();
          const log = await open();
          for (const entry of entries)
            await log.append({ agent: AGENT, ...entry } as unknown as AuditEntry).catch((error: unknown) => {
              expect(error instanceof Malformed || error instanceof TypeError).toBe(true);
            });
          await open();
          expect(verifyLog(await bytes(), {}).ok).toBe(true);
        },
      ),
      { seed: 14, numRuns: 150 },
    );
  });

  it('that names `__proto__`, or nests deeper than a reader goes, does not make the log unreadable', async () => {
    const { open, records } = place();
    const log = await open();
    await log.append(
      intent({
        kind: 'token',
        detail: JSON.parse('{"arguments":{"__proto__":1}}') as { arguments: { a: number } },
      }),
    );
    let deep: object = {};
    for (let i = 0; i < 60; i++) deep = { deep };
    await expect(log.append(intent({ detail: { deep } as { deep: { a: number } } }))).rejects.toThrow(
      Malformed,
    );
    await log.append(intent({ kind: 'token' }));
    await open();
    expect(await records()).toMatchObject([{ detail: { arguments: { _proto_: 1 } } }, { index: 2 }]);
  });
});

describe('a log after a power cut', () => {
  it('at any byte of its last append opens with every record that was durable', async () => {
    const { open, bytes } = place();
    const log = await open();
    await log.append(intent({ kind: 'credential', txn: 'a' }));
    const durable = (await bytes()).length;
    await log.append(intent({ kind: 'credential', txn: 'b' }));
    const whole = await bytes();
    for (let size = durable; size < whole.length; size++) {
      const after = place();
      await after.store.write('audit.log', whole.slice(0, size));
      const reopened = await after.open();
      expect((await after.records())[0]).toMatchObject({ txn: 'a' });
      expect(reopened.head().index).toBe(size === durable ? 1 : 2);
      if (size > durable)
        expect((await after.records())[1]).toMatchObject({
          kind: 'recovery',
          detail: { incomplete: size - durable },
        });
    }
  });

  it('at any write, of any run of actions, has an intent for every action that was performed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 8 }),
        async (cutAt, actions) => {
          const { store, open, records } = place();
          const performed: string[] = [];
          const log = await open();
          store.failWrite(cutAt);
          for (let i = 0; i < actions; i++) {
            try {
              const record = await log.append(intent({ txn: `t-${i}` }));
              performed.push(`t-${i}`);
              await log.append(outcomeOf(record, 'done'));
            } catch (error) {
              expect(error).toBeInstanceOf(AuditFailed);
              break;
            }
          }
          store.failWrite(0);
          const again = await open();
          const all = await records();
          for (const txn of performed) {
            expect(all.filter((one) => one.kind === INTENT && one.txn === txn)).toHaveLength(1);
            expect(all.filter((one) => one.kind === OUTCOME && one.txn === txn)).toHaveLength(1);
          }
          expect(again.openIntents()).toEqual([]);
        },
      ),
      { seed: 10, numRuns: 60 },
    );
  });

  it('takes nothing more after a failed write until it is opened again', async () => {
    const { store, open, records } = place();
    const log = await open();
    store.failWrite(1);
    const together = await Promise.allSettled([log.append(intent()), log.append(intent())]);
    expect(together.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await expect(log.append(intent())).rejects.toThrow(AuditFailed);
    await expect(log.append(denial())).rejects.toThrow(AuditFailed);
    expect(log.head().index).toBe(0);
    expect(await records()).toEqual([]);
    const again = await open();
    expect((await again.append(intent())).index).toBe(1);
  });

  it('while it closes unknown outcomes closes them at the next start', async () => {
    const { store, open, records } = place();
    const log = await open();
    await log.append(intent({ txn: 'a' }));
    await log.append(intent({ txn: 'b' }));
    store.failWrite(2);
    await expect(open()).rejects.toThrow(AuditFailed);
    const again = await open();
    expect(again.openIntents()).toEqual([]);
    expect((await records()).filter(({ kind }) => kind === OUTCOME).map(({ txn }) => txn)).toEqual([
      'a',
      'b',
    ]);
  });

  it('without power does not open at all', async () => {
    const { store, open } = place();
    const log = await open();
    await log.append(intent());
    store.cutPower(true);
    await expect(open()).rejects.toThrow();
    store.cutPower(false);
    await expect(open()).resolves.toBeDefined();
    expect(() => {
      throw new StoreFailed('x');
    }).toThrow(StoreFailed);
  });
});

describe('a log that was tampered with', () => {
  it('does not open, and is left as it is', async () => {
    const { store, open, bytes } = place();
    const log = await open();
    for (const txn of ['a', 'b', 'c']) await log.append(intent({ kind: 'credential', txn }));
    const changed = utf8(text(await bytes()).replace('"txn":"b"', '"txn":"x"'));
    await store.write('audit.log', changed);
    await expect(open()).rejects.toThrow(expect.objectContaining({ code: 'audit.broken', index: 3 }));
    await expect(open()).rejects.toThrow(AuditBroken);
    expect(await bytes()).toEqual(changed);
  });
});

describe('a denial that is repeated', () => {
  it('is recorded once and counted, for a minute', async () => {
    const { clock, open, records } = place();
    const log = await open();
    const first = await log.append(denial({ txn: 'a' }));
    for (let i = 0; i < 99; i++) expect(await log.append(denial({ txn: `b-${i}` }))).toEqual(first);
    expect(await records()).toHaveLength(1);
    await clock.advance(59_999);
    expect(await records()).toHaveLength(1);
    await clock.advance(1);
    expect((await records()).at(-1)).toMatchObject({
      kind: 'denials',
      resource: 'drawer',
      detail: { of: 1, count: 99 },
    });
    await log.append(denial());
    expect((await records()).filter(({ decision }) => decision === 'deny')).toHaveLength(2);
  });

  it('for another reason, action, device, agent or task is another denial', async () => {
    const { open, records } = place();
    const log = await open();
    for (const more of [
      {},
      { cause: 'x' },
      { action: 'x' },
      { resource: 'x' },
      { agent: 'x' },
      { task: 'x' },
    ])
      await log.append(denial(more));
    expect(await records()).toHaveLength(6);
  });

  it('in ever new forms is counted together beyond 256, so that nobody can fill the log', async () => {
    const { open, records } = place();
    const log = await open();
    for (let i = 0; i < 1000; i++) await log.append(denial({ resource: `device-${i}` }));
    expect(await records()).toHaveLength(257);
    await log.flush();
    expect(await records()).toHaveLength(258);
    expect((await records()).at(-1)).toMatchObject({
      kind: 'denials',
      agent: AGENT,
      detail: { count: 743, mixed: true },
    });
    expect((await records()).at(-1)).not.toHaveProperty('resource');
  });

  it('is counted at the latest when the log is closed', async () => {
    const { open, records } = place();
    const log = await open();
    await log.append(denial());
    await log.append(denial());
    await log.close();
    expect((await records()).at(-1)).toMatchObject({ kind: 'denials', detail: { of: 1, count: 1 } });
  });
});

describe('a log that is full', () => {
  const small = { maxBytes: 40_000, reserveBytes: 10_000 };

  it('refuses new intents, and still takes outcomes, stops and revocations', async () => {
    const { open, bytes } = place();
    const log = await open(small);
    const open1 = await log.append(intent({ txn: 'running' }));
    let refused: unknown;
    for (let i = 0; i < 1000 && refused === undefined; i++)
      await log.append({ kind: 'credential', agent: AGENT, detail: { i } }).catch((error: unknown) => {
        refused = error;
      });
    expect(refused).toBeInstanceOf(AuditFull);
    expect(log.full).toBe(true);
    await expect(log.append(intent())).rejects.toThrow(AuditFull);
    await expect(log.append(denial())).rejects.toThrow(AuditFull);
    await log.append({ kind: 'stop', agent: AGENT, resource: 'arm', action: 'stop' });
    await log.append({ kind: 'revocation', agent: AGENT, task: 'set-the-table', cause: 'task-ended' });
    await log.append(outcomeOf(open1, 'stopped'));
    await log.close();
    expect((await bytes()).length).toBeLessThanOrEqual(small.maxBytes);
  });

  it('has room for the outcome of every intent it took, whatever else used the reserve', async () => {
    const { open, bytes } = place();
    const log = await open({ maxBytes: 30_000, reserveBytes: 4_000 });
    const taken = [];
    for (let i = 0; i < 100; i++) {
      try {
        taken.push(await log.append(intent({ txn: `t-${i}` })));
      } catch (error) {
        expect(error).toBeInstanceOf(AuditFull);
        break;
      }
    }
    expect(taken.length).toBeGreaterThan(5);
    let full: unknown;
    for (let i = 0; i < 1000 && full === undefined; i++)
      await log.append({ kind: 'stop', agent: AGENT }).catch((error: unknown) => {
        full = error;
      });
    expect(full).toBeInstanceOf(AuditFull);
    for (const one of taken) await log.append(outcomeOf(one, 'done'));
    expect((await bytes()).length).toBeLessThanOrEqual(30_000);
  });
});

describe('a log that is archived (OB-05)', () => {
  const signer = generateKey(seededRandom('test/audit/archive'));
  const checkpointer = signedCheckpoints(signer);
  const keys = keysOf(signer);
  const credential = (txn: string): AuditEntry => ({ kind: 'credential', agent: AGENT, txn });

  it('goes on in the same chain, and is whole to an auditor', async () => {
    const { store, open, records } = place();
    const log = await open({ checkpointer });
    for (const txn of ['a', 'b']) await log.append(credential(txn));
    expect(await log.rotate()).toBe('audit.log.000000000001');
    expect(await records()).toEqual([]);
    expect(log.head().index).toBe(4);
    expect(await log.rotate()).toBeUndefined();
    await log.append(credential('c'));
    expect(await log.rotate()).toBe('audit.log.000000000005');
    await log.append(credential('d'));
    await log.close();
    const again = await open({ checkpointer });
    await again.append(credential('e'));
    await again.close();
    const whole = await readWholeLog(store);
    expect(verifyLog(whole, keys)).toMatchObject({ ok: true, records: 13, checkpoints: 4, proven: 12 });
    expect(showLog(whole, { kind: 'credential' }).map(({ txn }) => txn)).toEqual(['a', 'b', 'c', 'd', 'e']);
    // The oldest archive was taken away by policy; who kept its head can still check the rest.
    const oldest = readLines((await store.read('audit.log.000000000001')) ?? new Uint8Array()).lines.at(-1);
    await store.remove('audit.log.000000000001');
    const rest = await readWholeLog(store);
    expect(verifyLog(rest, keys)).toMatchObject({ ok: false, index: 1 });
    const after = { index: 4, hash: oldest?.hash ?? '' };
    expect(verifyLog(rest, { ...keys, after })).toMatchObject({ ok: true, records: 9, proven: 12 });
    expect(showLog(rest, { kind: 'credential' }).map(({ txn }) => txn)).toEqual(['c', 'd', 'e']);
  });

  it('has room again', async () => {
    const { open } = place();
    const log = await open({ maxBytes: 60_000, reserveBytes: 2_000 });
    const fill = async () => {
      for (let i = 0; i < 1000; i++) await log.append(credential(`t-${i}`));
    };
    await expect(fill()).rejects.toThrow(AuditFull);
    await log.rotate();
    expect(log.full).toBe(false);
    await expect(log.append(intent())).resolves.toMatchObject({ kind: INTENT });
  });

  it('waits for open intents, and lets appends wait for it', async () => {
    const { store, open } = place();
    const log = await open();
    const open1 = await log.append(intent());
    await expect(log.rotate()).rejects.toMatchObject({ code: 'audit.busy' });
    await log.append(outcomeOf(open1, 'done'));
    const [archive, ...appended] = await Promise.all([
      log.rotate(),
      ...['a', 'b', 'c'].map((txn) => log.append(credential(txn))),
    ]);
    expect(archive).toBe('audit.log.000000000001');
    expect(appended.map(({ index }) => index)).toEqual([3, 4, 5]);
    expect(verifyLog(await readWholeLog(store), keys)).toMatchObject({ ok: true, records: 5 });
  });

  it('loses nothing that the log writes by itself meanwhile', async () => {
    const { store, clock, open } = place();
    let release = () => {};
    const slow: Store = {
      ...store,
      write: async (name, data) => {
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        await store.write(name, data);
      },
    };
    const log = await open({ store: slow, checkpointer });
    await log.append(denial());
    const rotated = log.rotate();
    await clock.advance(1);
    const meanwhile = [
      log.append(denial({ cause: 'x' })),
      log.append(denial({ cause: 'x' })),
      log.checkpoint(),
    ];
    for (let i = 0; i < 3; i++) {
      await clock.advance(1);
      release();
    }
    await rotated;
    await Promise.all(meanwhile);
    await log.close();
    const whole = await readWholeLog(store);
    expect(verifyLog(whole, keys)).toMatchObject({ ok: true });
    const kinds = showLog(whole).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'checkpoint')).toHaveLength(2);
    expect(kinds.filter((kind) => kind === 'checkpoint-evidence')).toHaveLength(2);
    expect(kinds.filter((kind) => kind === 'decision')).toHaveLength(2);
    expect(showLog(whole, { kind: 'denials' })).toMatchObject([{ detail: { count: 1 } }]);
  });

  it('survives a power cut at any write', async () => {
    for (let cutAt = 1; cutAt <= 8; cutAt++) {
      const { store, open } = place();
      const log = await open({ checkpointer });
      await log.append(credential('a'));
      await log.append(credential('b'));
      store.failWrite(cutAt);
      const rotated = await log.rotate().then(
        () => true,
        () => false,
      );
      store.failWrite(0);
      const again = await open({ checkpointer });
      await again.append(credential('c'));
      await again.rotate();
      await again.append(credential('d'));
      await again.close();
      const whole = await readWholeLog(store);
      expect(verifyLog(whole, keys), `cut at write ${cutAt}, rotated: ${rotated}`).toMatchObject({
        ok: true,
      });
      expect(showLog(whole, { kind: 'credential' }).map(({ txn }) => txn)).toEqual(['a', 'b', 'c', 'd']);
      expect(rotated).toBe(cutAt > 5);
    }
  });

  it('does not open when its base was changed', async () => {
    const { store, open } = place();
    const log = await open();
    await log.append(credential('a'));
    await log.rotate();
    await log.append(credential('b'));
    await log.close();
    const base = text((await store.read('audit.log.base')) ?? new Uint8Array());
    await store.write('audit.log.base', utf8(base.replace('"index":1', '"index":2')));
    await expect(open()).rejects.toThrow(AuditBroken);
    await store.write('audit.log.base', utf8('{}'));
    await expect(open()).rejects.toThrow(Malformed);
  });
});
