import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AuditKeys } from '../../../src/audit/auditor.ts';
import { keysOf, traceLogs, verifyLog } from '../../../src/audit/auditor.ts';
import { readWholeLog } from '../../../src/audit/segments.ts';
import { fileStore } from '../../../src/core/node-store.ts';
import { keyFromPem } from '../../../src/core/signer.ts';
import { decode, TPMT_PUBLIC } from '../../../src/tpm/index.ts';
import type { Telling } from '../story.ts';
import { counterOf, digitNear, rechained, withoutEnd } from './forgery.ts';
import type { Plot } from './plot.ts';
import { soon } from './plot.ts';
import type { RobotName } from './words.ts';

const robots: readonly RobotName[] = ['dog', 'vehicle', 'console'];

/** Step 9: every log verifies against keys that are not in it; one transaction is followed; a flipped byte is found. */
export async function auditStep({ cast, flippedAt }: Plot, { tell, expect, figure }: Telling): Promise<void> {
  // In order, so that each signs the head of its log for the last time.
  for (const robot of robots) await cast.stopRobot(robot);
  await cast.stopAuthority();
  const logs: Record<string, Uint8Array> = {};
  for (const robot of robots) {
    const store = fileStore(cast.folder(robot));
    const bytes = await readWholeLog(store);
    const lak = await store.read('agent/lak');
    if (bytes === undefined || lak === undefined) throw new Error(`${robot} left no log`);
    logs[robot] = bytes;
    const keys = {
      attestationKeys: [decode(TPMT_PUBLIC, lak)],
      counter: await soon<bigint>(counterOf(cast, robot)),
    };
    const found = verifyLog(bytes, keys);
    expect(
      `${robot}: the log verifies, and its TPM's counter vouches for it to the end`,
      found.ok && keys.counter !== undefined && found.open.length === 0 && found.proven >= found.records - 1,
      found.ok
        ? `${found.records} records, ${found.checkpoints} checkpoints`
        : `record ${found.index}: ${found.why}`,
    );
    expectForgeriesFound(robot, bytes, keys);
    const cut = verifyLog(withoutEnd(bytes), keys);
    expect(
      `${robot}: the end cut off a copy is missed, because the TPM has counted on`,
      !cut.ok,
      cut.ok ? undefined : `record ${cut.index}: ${cut.why}`,
    );
  }
  const store = fileStore(cast.folder('authority'));
  const bytes = await readWholeLog(store);
  const log = keyFromPem(await readFile(join(cast.folder('authority'), 'keys/log.pem'), 'utf8'));
  const found = verifyLog(bytes, keysOf(log));
  logs['authority'] = bytes;
  expect(
    'authority: the log verifies, signed by its log key',
    found.ok && found.checkpoints > 0,
    found.ok ? `${found.records} records` : `record ${found.index}: ${found.why}`,
  );
  expectForgeriesFound('authority', bytes, keysOf(log));

  const trace = traceLogs(logs, { txn: 'txn-obstacle' });
  expect(
    'the transaction of the obstacle can be followed: decided before it began, and how it ended',
    trace.map(({ record }) => record.decision ?? record.kind).join(' ') === 'permit outcome',
    trace.map(({ log: who, record }) => `${who}: ${record.kind}`).join(', '),
  );
  figure(
    'auditRecords',
    Object.values(logs).reduce((sum, each) => sum + each.filter((byte) => byte === 10).length, 0),
  );
  tell('auditor', 'every log was checked in a copy, by keys that are not in it');

  function expectForgeriesFound(who: string, original: Uint8Array, keys: AuditKeys): void {
    const at = digitNear(original, flippedAt);
    const copy = original.slice();
    copy[at] = (copy[at] ?? 0) ^ 1;
    const flip = verifyLog(copy, keys);
    expect(
      `${who}: byte ${at} flipped in a copy is found`,
      !flip.ok,
      flip.ok ? undefined : `record ${flip.index}: ${flip.why}`,
    );
    const forgery = verifyLog(rechained(copy), keys);
    expect(
      `${who}: the same with every hash after it made to fit is found by a checkpoint`,
      !forgery.ok,
      forgery.ok ? undefined : `record ${forgery.index}: ${forgery.why}`,
    );
  }
}
