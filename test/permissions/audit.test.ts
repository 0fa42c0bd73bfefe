import { describe, expect, it } from 'vitest';
import { simulatedPlatform } from '../../simulator/platform.ts';
import { AuditJournal } from '../../src/audit/index.ts';
import type { Condition } from '../../src/grants/index.ts';
import { narrow } from '../../src/grants/index.ts';
import { clear, held, opened, Recorder, self } from './helpers.ts';

async function logged(platform = simulatedPlatform({ seed: 1 })) {
  const audit = await AuditJournal.open({ ...platform, agent: self });
  const made = await opened({ platform, audit, devices: [new Recorder()] });
  return { ...made, log: audit };
}

describe('the enforcement point over the real audit log (OB-04, OB-05)', () => {
  it('opens an intent for each permit and closes it with its outcome', async () => {
    const { pep, pdp, request, log } = await logged();
    pdp.add(held());
    await pep.act(request('honk'));
    const { running } = await pep.act(request('drive'));
    expect(log.openIntents().map(({ action }) => action)).toEqual(['drive']);
    await running?.stop();
    expect(log.openIntents()).toEqual([]);
    await pep.act(request('stop'));
    await pep.act(request('fly')).catch(() => {});
    expect(log.openIntents()).toEqual([]);
  });

  it('leaves nothing open after a crash', async () => {
    const first = await logged();
    first.pdp.add(held());
    await first.pep.act(first.request('drive'));
    const second = await logged(first.platform);
    expect(second.log.openIntents()).toEqual([]);
  });

  it('fits the largest decision into a record', async () => {
    const { pep, pdp, request, inputs, log } = await logged();
    inputs.report({ device: 'vehicle' }, 'clear', true);
    let deep: Condition = { op: 'and', of: Array.from({ length: 60 }, () => clear) };
    for (let n = 0; n < 3; n++) deep = { op: 'and', of: [deep, { op: 'not', of: { op: 'not', of: clear } }] };
    let own = held({ condition: deep });
    for (let n = 0; n < 4; n++) {
      const grant = narrow(own.grant, { condition: { op: 'not', of: { op: 'not', of: clear } } });
      own = held(grant, { id: `token#${n + 1}`, ancestors: [own, ...own.ancestors] });
    }
    pdp.add(own);
    await pep.act(request('honk'));
    expect(log.head().index).toBe(2);
    expect(pep.recent()[0]?.explanation.of).toHaveLength(5);
  });
});
