import { describe, expect, it } from 'vitest';
import { memoryStore } from '../../simulator/store.ts';
import { verifyLog } from '../../src/audit/auditor.ts';
import { AuditJournal } from '../../src/audit/log.ts';
import { auditCounter, tpmCheckpoints } from '../../src/audit/tpm-checkpoint.ts';
import { nodePlatform } from '../../src/core/node.ts';
import {
  counterRead,
  createKey,
  createPrimary,
  lakTemplate,
  loadKey,
  nvReadPublic,
  openTpm,
  openTransport,
  srkTemplate,
} from '../../src/tpm/index.ts';
import { present } from './present.ts';
import { startSwtpm } from './swtpm.ts';

const AGENT = 'spiffe://fleet.example/agent/robot-7';

describe.skipIf(!present('swtpm'))('an audit log whose checkpoints swtpm makes', () => {
  it('is proven, and shows that its end was cut off', async () => {
    const swtpm = await startSwtpm();
    const { clock, random } = nodePlatform({ directory: '.' });
    const tpm = await openTpm({ transport: openTransport(swtpm.spec), clock, random });
    try {
      const auth = random.bytes(32);
      const srk = await createPrimary(tpm, { hierarchy: 'owner', template: srkTemplate });
      const wrapped = await createKey(tpm, srk, { template: lakTemplate, auth, saltedTo: srk });
      const lak = await loadKey(tpm, srk, wrapped, auth);
      const { counter, made } = await auditCounter(tpm, { auth, saltedTo: srk });
      expect(made).toBe(true);
      const store = memoryStore();
      const log = await AuditJournal.open({
        store,
        clock,
        agent: AGENT,
        checkpointer: tpmCheckpoints(tpm, lak, counter),
      });
      await log.append({ kind: 'credential', agent: AGENT });
      await log.checkpoint();
      const before = (await store.read('audit.log')) ?? new Uint8Array();
      await log.append({ kind: 'credential', agent: AGENT });
      await log.close();
      const whole = (await store.read('audit.log')) ?? new Uint8Array();

      const index = await nvReadPublic(tpm, counter.handle, auth);
      if (index === undefined) throw new Error('no counter');
      const keys = { attestationKeys: [lak.public], counter: await counterRead(tpm, index) };
      expect(verifyLog(whole, keys)).toMatchObject({ ok: true, records: 6, checkpoints: 2 });
      expect(verifyLog(before, keys)).toMatchObject({ ok: false, index: 4 });
    } finally {
      await tpm.close();
      await swtpm.close();
    }
  });
});
