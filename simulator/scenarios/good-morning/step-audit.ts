import type { AuditKeys } from '../../../src/audit/auditor.ts';
import { keysOf, traceLogs, verifyLog } from '../../../src/audit/auditor.ts';
import { readWholeLog } from '../../../src/audit/segments.ts';
import { text, utf8 } from '../../../src/core/bytes.ts';
import { keyFromPem } from '../../../src/core/signer.ts';
import { decode, TPMT_PUBLIC } from '../../../src/tpm/index.ts';
import type { Telling } from '../story.ts';
import type { Plot } from './plot.ts';

/** Step 8: both logs verify by keys that are not in them; Friday's transaction is followed; a flipped byte is found. */
export async function auditStep(
  { house, friday, flippedAt }: Plot,
  { tell, expect, figure }: Telling,
): Promise<void> {
  // In order, so that each signs the head of its log for the last time.
  await house.close();
  const lak = await house.platform.store.read('agent/lak');
  const log = await house.authorityStore.read('keys/log.pem');
  if (lak === undefined || log === undefined) throw new Error('the keys of the logs are gone');
  const logs = {
    hub: await readWholeLog(house.platform.store),
    authority: await readWholeLog(house.authorityStore),
  };
  const keys: Record<keyof typeof logs, AuditKeys> = {
    hub: { attestationKeys: [decode(TPMT_PUBLIC, lak)] },
    authority: keysOf(keyFromPem(text(log))),
  };
  for (const who of ['hub', 'authority'] as const) {
    const found = verifyLog(logs[who], keys[who]);
    expect(
      `${who}: the log verifies to its end, and ${who === 'hub' ? 'its TPM vouches for it' : 'its log key signed it'}`,
      found.ok && found.checkpoints > 0 && found.open.length === 0 && found.proven >= found.records - 1,
      found.ok ? undefined : `record ${found.index}: ${found.why}`,
    );
    const copy = logs[who].slice();
    const at = Math.floor(flippedAt * copy.length);
    copy[at] = (copy[at] ?? 0) ^ 1;
    expect(`${who}: a byte flipped in a copy is found`, !verifyLog(copy, keys[who]).ok);
    figure(`${who}Records`, logs[who].filter((byte) => byte === 10).length);
  }
  // Good JSON in good form: only the chain of hashes gives it away.
  const forged = utf8(text(logs.hub).replace('"decision":"deny"', '"decision":"permit"'));
  expect(
    'hub: a refusal rewritten as a permit is found',
    forged.length !== logs.hub.length && !verifyLog(forged, keys.hub).ok,
  );
  const trace = traceLogs(logs, { txn: friday?.txn ?? '' });
  const kinds = trace.map(({ record }) => record.kind);
  expect(
    'Friday can be followed: the alarm, then for each device the decision before the action, and its outcome',
    kinds.join(' ') === ['routine', ...Array.from({ length: 4 }, () => 'decision outcome')].join(' '),
    kinds.join(', '),
  );
  tell('auditor', 'checked both logs by keys that are not in them');
}
