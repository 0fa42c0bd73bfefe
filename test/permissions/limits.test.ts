import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { simulatedPlatform } from '../../simulator/platform.ts';
import { memoryStore } from '../../simulator/store.ts';
import type { Limit } from '../../src/grants/index.ts';
import { Limits, TimeTrust } from '../../src/permissions/index.ts';
import { bob, held, opened, Recorder } from './helpers.ts';

describe('a limit', () => {
  it('counts uses in a sliding window on the clock that never goes back', async () => {
    const { pep, pdp, request, clock } = await opened();
    pdp.add(held({ limits: [{ kind: 'count', max: 2, perMs: 60_000 }] }));
    await pep.act(request('honk'));
    await clock.advance(30_000);
    await pep.act(request('honk'));
    const refused = { decision: { reason: 'limit' }, remedy: 'retry' };
    await expect(pep.act(request('honk'))).rejects.toMatchObject(refused);
    clock.setWall(clock.now() + 40_000);
    await expect(pep.act(request('honk'))).rejects.toMatchObject(refused);
    await clock.advance(30_000);
    await pep.act(request('honk'));
    await expect(pep.act(request('honk'))).rejects.toMatchObject(refused);
  });

  it('sums an argument', async () => {
    const { pep, pdp, request } = await opened();
    pdp.add(held({ actions: ['drive'], limits: [{ kind: 'volume', argument: 'speed', max: 5 }] }));
    const drive = async (speed: number) => {
      const { running } = await pep.act(request('drive', { arguments: { speed } }));
      await running?.stop();
    };
    await drive(3);
    await expect(drive(2.5)).rejects.toMatchObject({ decision: { reason: 'limit' } });
    await drive(2);
    await expect(drive(0.1)).rejects.toMatchObject({ decision: { reason: 'limit' } });
    await drive(0);
  });

  it('permits nothing when the summed argument is absent or negative', async () => {
    const { pdp, request } = await opened();
    pdp.add(held({ actions: ['tilt'], limits: [{ kind: 'volume', argument: 'angle', max: 5 }] }));
    for (const given of [{}, { angle: -3 }])
      expect(pdp.decide(request('tilt', { arguments: given })).reason).toBe('limit');
    expect(pdp.decide(request('tilt', { arguments: { angle: 5 } })).verdict).toBe('permit');
  });

  it('is shared by everything narrowed from one root', async () => {
    const { pep, pdp, request } = await opened();
    const parent = held({ limits: [{ kind: 'count', max: 3 }] }, { id: 'root#0', family: 'root' });
    pdp.add(parent);
    pdp.add(held(parent.grant, { id: 'child#0', family: 'root', subject: bob, ancestors: [parent] }));
    await pep.act(request('honk'));
    await pep.act(request('honk', { subjects: [bob] }));
    await pep.act(request('honk'));
    for (const subjects of [[bob], ['spiffe://x/agent/alice']])
      await expect(pep.act(request('honk', { subjects }))).rejects.toMatchObject({
        decision: { reason: 'limit' },
      });
  });

  it('of an ancestor counts when the child forgot it', async () => {
    const { pep, pdp, request } = await opened();
    const parent = held({ limits: [{ kind: 'count', max: 1 }] }, { id: 'root#0' });
    pdp.add(held({}, { id: 'child#0', ancestors: [parent] }));
    await pep.act(request('honk'));
    await expect(pep.act(request('honk'))).rejects.toMatchObject({ decision: { reason: 'limit' } });
  });

  it('is not passed by two requests at the same time', async () => {
    const { pep, pdp, request, device } = await opened();
    pdp.add(held({ limits: [{ kind: 'count', max: 3 }] }));
    const all = await Promise.allSettled(Array.from({ length: 10 }, () => pep.act(request('honk'))));
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    expect(device.calls).toHaveLength(4);
  });

  it('does not stand in the way of a stop, which it does not count', async () => {
    const { pep, pdp, request } = await opened();
    pdp.add(held({ limits: [{ kind: 'count', max: 1 }] }));
    await pep.act(request('stop'));
    await pep.act(request('honk'));
    await pep.act(request('stop'));
  });

  it('does not end what runs: it was booked at the start', async () => {
    const { pep, pdp, request, device, clock } = await opened();
    pdp.add(held({ limits: [{ kind: 'count', max: 1, perMs: 1_000 }] }));
    await pep.act(request('drive'));
    await clock.advance(5_000);
    expect(device.calls.at(-1)).toBe('drive');
  });

  it('stays booked over a crash, and no reboot makes it younger or older than is proved', async () => {
    const platform = simulatedPlatform({ seed: 1 });
    const grant = held({ limits: [{ kind: 'count', max: 1, perMs: 60_000 }] });
    const first = await opened({ platform });
    first.pdp.add(grant);
    await first.pep.act(first.request('honk'));
    await platform.clock.advance(59_000);
    const second = await opened({ platform, devices: [new Recorder()] });
    second.pdp.add(grant);
    await expect(second.pep.act(second.request('honk'))).rejects.toMatchObject({
      decision: { reason: 'limit' },
    });
    await platform.clock.advance(1_001);
    await second.pep.act(second.request('honk'));
    // Without a trusted clock nothing proves that any time has passed since.
    await platform.clock.advance(120_000);
    const clock = platform.clock;
    const time = await TimeTrust.open({ clock, store: memoryStore() });
    const limits = await Limits.open({ clock, store: platform.store, time });
    const counter = JSON.stringify(['token', 'vehicle', 'count', null]);
    const limit: Limit = { kind: 'count', max: 1, perMs: 60_000 };
    expect(limits.allows(counter, limit, 1)).toBe(false);
    await clock.advance(59_999);
    expect(limits.allows(counter, limit, 1)).toBe(false);
    time.synchronised({ at: clock.now(), sentAt: clock.elapsed() });
    expect(limits.allows(counter, limit, 1)).toBe(true);
    expect(limits.allows(counter, { kind: 'count', max: 1 }, 1)).toBe(false);
  });

  it('agrees with a naive count, whatever windows look and whatever is released', async () => {
    const step = fc.record({
      waitMs: fc.integer({ min: 0, max: 4_000 }),
      amount: fc.integer({ min: 0, max: 5 }),
      release: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 30 }),
        fc.constantFrom(1_000, 5_000),
        async (steps, perMs) => {
          const clock = virtualClock();
          const time = await TimeTrust.open({ clock, store: memoryStore(), trustClock: true });
          const limits = await Limits.open({ clock, store: memoryStore(), time });
          const kept: { at: number; amount: number }[] = [];
          for (const { waitMs, amount, release } of steps) {
            await clock.advance(waitMs);
            const booked = limits.reserve([{ counter: 'c', amount, windowMs: 5_000 }]);
            if (release) await booked.release();
            else kept.push({ at: clock.elapsed(), amount });
            const sum = (since: number) =>
              kept.filter(({ at }) => at > since).reduce((total, one) => total + one.amount, 0);
            expect(limits.used('c', { kind: 'count', max: 1, perMs })).toBe(sum(clock.elapsed() - perMs));
            expect(limits.used('c', { kind: 'count', max: 1 })).toBe(sum(Number.NEGATIVE_INFINITY));
            const longer = limits.used('c', { kind: 'count', max: 1, perMs: 50_000 });
            expect(longer).toBeGreaterThanOrEqual(sum(clock.elapsed() - 50_000));
          }
        },
      ),
      { seed: 51, numRuns: 60 },
    );
  });

  it('counts what it had forgotten when a longer window begins to look', async () => {
    const clock = virtualClock();
    const time = await TimeTrust.open({ clock, store: memoryStore(), trustClock: true });
    const limits = await Limits.open({ clock, store: memoryStore(), time });
    const short = { counter: 'c', amount: 1, windowMs: 1_000 };
    limits.reserve([short]);
    await clock.advance(2_000);
    limits.reserve([short]);
    await clock.advance(2_000);
    limits.reserve([{ ...short, windowMs: 10_000 }]);
    expect(limits.used('c', { kind: 'count', max: 1, perMs: 10_000 })).toBe(3);
    expect(limits.used('c', { kind: 'count', max: 1, perMs: 1_000 })).toBe(1);
  });
});
