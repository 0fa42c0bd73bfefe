import { describe, expect, it } from 'vitest';
import type { HeldGrant } from '../../src/grants/index.ts';
import type { StatusSource } from '../../src/permissions/index.ts';
import { bob, held, opened, Recorder, vehicle } from './helpers.ts';

/** Knowledge of revocations, as fresh as a test says. */
class Status implements StatusSource {
  readonly fresh = new Map<string, number>();
  #listeners = new Set<() => void>();

  freshAt({ id }: HeldGrant) {
    return this.fresh.get(id);
  }

  set(id: string, at: number | undefined) {
    if (at === undefined) this.fresh.delete(id);
    else this.fresh.set(id, at);
    for (const listener of this.#listeners) listener();
  }

  onChange(listener: () => void) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

async function made() {
  const status = new Status();
  const info = { ...vehicle, actions: { ...vehicle.actions, look: { risk: 'info' as const } } };
  const device = new Recorder(info);
  const all = await opened({ status, devices: [device] });
  all.pdp.add(held({ actions: ['drive', 'honk', 'stop', 'look'] }));
  return { ...all, device, status };
}

describe('how fresh the knowledge of revocations has to be (RV-09)', () => {
  it('depends on the risk of the action, and a stop needs none', async () => {
    const { pdp, request, status, clock } = await made();
    const reasons = () =>
      ['drive', 'honk', 'look', 'stop'].map((action) => pdp.decide(request(action)).reason);
    expect(reasons()).toEqual(['status', 'status', 'permitted', 'permitted']);
    status.set('token#0', clock.elapsed());
    await clock.advance(60_000);
    expect(reasons()).toEqual(['permitted', 'permitted', 'permitted', 'permitted']);
    await clock.advance(1);
    expect(reasons()).toEqual(['status', 'permitted', 'permitted', 'permitted']);
    expect(pdp.decide(request('drive'))).toMatchObject({ verdict: 'deny', rule: 'token#0' });
    await clock.advance(3_400_000);
    expect(reasons()).toEqual(['status', 'permitted', 'permitted', 'permitted']);
    await clock.advance(140_000);
    expect(reasons()[1]).toBe('expired');
    status.set('token#0', Number.POSITIVE_INFINITY);
    expect(reasons()[0]).toBe('expired');
  });

  it('has to be fresh for every ancestor', async () => {
    const { pdp, request, status, clock } = await made();
    pdp.add(held({}, { id: 'child#0', subject: bob, ancestors: [held()] }));
    status.set('child#0', clock.elapsed());
    expect(pdp.decide(request('drive', { subjects: [bob] })).reason).toBe('status');
    status.set('token#0', Number.POSITIVE_INFINITY);
    expect(pdp.decide(request('drive', { subjects: [bob] })).reason).toBe('permitted');
  });

  it('stops what moves when nothing is heard for longer, at that instant', async () => {
    const { pep, request, status, clock, device } = await made();
    status.set('token#0', clock.elapsed());
    await pep.act(request('drive'));
    await clock.advance(50_000);
    status.set('token#0', clock.elapsed());
    await clock.advance(60_000);
    expect(device.calls.at(-1)).toBe('drive');
    await clock.advance(1);
    expect(device.calls.at(-1)).toBe('drive:stop');
    status.set('token#0', clock.elapsed());
    await pep.act(request('drive'));
    status.set('token#0', undefined);
    expect(device.calls.at(-1)).toBe('drive:stop');
  });
});
