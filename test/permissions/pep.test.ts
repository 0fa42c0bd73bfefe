import { describe, expect, it } from 'vitest';
import { simulatedPlatform } from '../../simulator/platform.ts';
import { DriverFailed, NotRecorded, PermissionDenied, StillRunning } from '../../src/permissions/index.ts';
import { Audit, alice, bob, clear, Domains, held, opened, Recorder, start, vehicle } from './helpers.ts';

function gate() {
  let open = () => {};
  const wait = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { wait, open };
}

const source = { device: 'vehicle' };

describe('the enforcement point', () => {
  it('records the intent before the action, and the outcome after (OB-04, OB-06)', async () => {
    const { pep, pdp, device, audit, request, clock } = await opened();
    pdp.add(held());
    const { wait, open } = gate();
    audit.gate = wait;
    const acting = pep.act(request('honk', { txn: 't1', task: 'rescue-7' }));
    await clock.advance(10);
    expect(device.calls).toEqual(['open']);
    open();
    expect((await acting).running).toBeUndefined();
    expect(device.calls).toEqual(['open', 'honk']);
    expect(audit.entries).toMatchObject([
      {
        kind: 'decision',
        agent: alice,
        resource: 'vehicle',
        action: 'honk',
        decision: 'permit',
        txn: 't1',
        task: 'rescue-7',
        detail: { rule: 'token#0', reason: 'permitted', explanation: { op: 'decision' } },
      },
      { kind: 'outcome', cause: 'done', detail: { result: 'done' } },
    ]);
  });

  it('refuses with the decision, and records the refusal', async () => {
    const { pep, device, audit, request } = await opened();
    const denied = await pep.act(request('honk')).catch((error: unknown) => error);
    expect(denied).toBeInstanceOf(PermissionDenied);
    expect((denied as PermissionDenied).decision.reason).toBe('no-grant');
    expect(device.calls).toEqual(['open']);
    expect(audit.entries).toMatchObject([
      { kind: 'decision', decision: 'deny', detail: { reason: 'no-grant' } },
    ]);
  });

  it('refuses arguments that JSON cannot say as it refuses others', async () => {
    const { pep, audit, request } = await opened();
    for (const speed of [Number.NaN, 1n, { toString: 1 }, Symbol('fast')]) {
      const acting = pep.act(request('drive', { arguments: { speed } }));
      await expect(acting).rejects.toMatchObject({ decision: { reason: 'arguments' } });
      expect(audit.entries.at(-1)?.detail).toMatchObject({ arguments: null });
      expect(pep.why(pep.recent().at(-1)?.id ?? '')).toContain('is not of type `number`');
    }
  });

  it('does nothing when the record cannot be written, and gives the limit back', async () => {
    const { pep, pdp, device, audit, request } = await opened();
    pdp.add(held({ limits: [{ kind: 'count', max: 1 }] }));
    audit.failing = true;
    await expect(pep.act(request('honk'))).rejects.toThrow(NotRecorded);
    expect(device.calls).toEqual(['open']);
    expect(pep.running()).toEqual([]);
    audit.failing = false;
    await pep.act(request('honk'));
    expect(device.calls).toEqual(['open', 'honk']);
  });

  it('stops all the same when the record cannot be written, or does not come', async () => {
    const { pep, pdp, device, audit, request, platform } = await opened();
    pdp.add(held({ limits: [{ kind: 'count', max: 1 }] }));
    audit.failing = true;
    platform.store.cutPower(true);
    await pep.act(request('stop'));
    await pep.act(request('stop'));
    audit.gate = new Promise(() => {});
    await Promise.race([pep.act(request('stop')), new Promise((resolve) => setImmediate(resolve))]);
    expect(device.calls).toEqual(['open', 'stop', 'stop', 'stop']);
  });

  it('does nothing when the limit cannot be booked', async () => {
    const { pep, pdp, device, request, platform } = await opened();
    pdp.add(held({ limits: [{ kind: 'count', max: 1 }] }));
    platform.store.failWrite(1);
    await expect(pep.act(request('honk'))).rejects.toMatchObject({ code: 'permissions.not-recorded' });
    expect(device.calls).toEqual(['open']);
  });

  it('does not begin what was withdrawn while it was being recorded', async () => {
    const { pep, pdp, device, audit, request } = await opened();
    pdp.add(held({ limits: [{ kind: 'count', max: 1 }] }));
    const { wait, open } = gate();
    audit.gate = wait;
    const acting = pep.act(request('honk'));
    const revoked = pep.revoke('token:token', 1, 'lost');
    open();
    await expect(acting).rejects.toThrow(PermissionDenied);
    expect(await revoked).toBe(1);
    expect(device.calls).toEqual(['open']);
  });

  it('does not begin what became untrue while it was being recorded', async () => {
    const { pep, pdp, device, audit, request, inputs } = await opened();
    pdp.add(held({ condition: clear }));
    inputs.report(source, 'clear', true);
    const { wait, open } = gate();
    audit.gate = wait;
    const acting = pep.act(request('drive'));
    inputs.report(source, 'clear', false);
    inputs.report(source, 'clear', true);
    open();
    await expect(acting).rejects.toMatchObject({ decision: { reason: 'condition' } });
    expect(device.calls).toEqual(['open']);
  });

  it('tells a failed driver, and keeps what was booked: nobody knows what it did', async () => {
    const { pep, pdp, device, audit, request } = await opened();
    pdp.add(held({ limits: [{ kind: 'count', max: 1 }] }));
    device.before = Promise.reject(new Error('the bus is down'));
    await expect(pep.act(request('honk'))).rejects.toThrow(DriverFailed);
    expect(audit.entries.at(-1)).toMatchObject({
      kind: 'outcome',
      cause: 'failed',
      detail: { result: 'failed' },
    });
    await expect(pep.act(request('honk'))).rejects.toMatchObject({ decision: { reason: 'limit' } });
  });

  it('takes confirmation once, for exactly this (CP-06)', async () => {
    const { pep, pdp, device, request, confirmations, audit } = await opened();
    pdp.add(held({ condition: { op: 'confirm', by: 'owner' } }));
    const asked = request('tilt', { txn: 't1', arguments: { angle: 3 } });
    const denied = (await pep.act(asked).catch((error: unknown) => error)) as PermissionDenied;
    const [needed] = denied.decision.confirmations;
    expect(denied.decision.reason).toBe('confirmation');
    expect(denied.remedy).toBe('ask-owner');
    const yes = {
      ...(needed ?? { by: '', policy: '' }),
      device: 'vehicle',
      action: 'tilt',
      arguments: '{"angle":3}',
      agent: alice,
      txn: 't1',
      exp: start + 60,
    };
    for (const wrong of [
      { by: 'guest' },
      { policy: 'ff' },
      { action: 'honk' },
      { arguments: '{"angle":4}' },
      { agent: bob },
      { txn: 't2' },
      { exp: start },
    ])
      confirmations.add({ ...yes, ...wrong });
    await expect(pep.act(asked)).rejects.toMatchObject({ decision: { reason: 'confirmation' } });
    confirmations.add(yes);
    await expect(pep.act({ ...asked, txn: undefined })).rejects.toThrow(PermissionDenied);
    const both = await Promise.allSettled([pep.act(asked), pep.act(asked)]);
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(device.calls).toEqual(['open', 'tilt']);
    confirmations.add(yes);
    audit.failing = true;
    await expect(pep.act(asked)).rejects.toThrow(NotRecorded);
    audit.failing = false;
    await expect(pep.act(asked)).rejects.toMatchObject({ decision: { reason: 'confirmation' } });
  });
});

describe('a running action', () => {
  it('is fed each control period, and stops when it is told', async () => {
    const { pep, pdp, device, request, clock, audit } = await opened();
    pdp.add(held());
    const { running } = await pep.act(request('drive'));
    expect(device.feeds).toBe(1);
    await clock.advance(1_000);
    expect(device.feeds).toBe(11);
    expect(pep.running()).toHaveLength(1);
    await running?.stop();
    await running?.stop();
    await clock.advance(1_000);
    expect(device.feeds).toBe(11);
    expect(device.calls).toEqual(['open', 'drive', 'drive:stop']);
    expect(await running?.ended).toEqual({ cause: 'stopped' });
    expect(audit.entries.at(-1)).toMatchObject({ kind: 'outcome', cause: 'stopped' });
    expect(pep.running()).toEqual([]);
  });

  it('stops in the very instant in which its condition ends, not at the next period', async () => {
    const { pep, pdp, device, request, clock, inputs, audit } = await opened();
    pdp.add(held({ condition: clear }));
    inputs.report(source, 'clear', true);
    const { running, decision } = await pep.act(request('drive'));
    await clock.advance(50);
    inputs.report(source, 'clear', false);
    expect(device.calls).toEqual(['open', 'drive', 'drive:stop']);
    expect(await running?.ended).toMatchObject({ cause: 'withdrawn', decision: { reason: 'condition' } });
    expect(audit.entries.at(-1)).toMatchObject({
      cause: 'withdrawn',
      detail: { reason: 'condition', result: 'stopped' },
    });
    expect(pep.why(decision.id)).toMatch(/^permit[\s\S]*no longer permitted[\s\S]*it is false/);
  });

  it('outlives no silence: it stops when the last report is older than the grant tolerates', async () => {
    const { pep, pdp, device, request, clock, inputs } = await opened();
    pdp.add(held({ condition: clear }));
    inputs.report(source, 'clear', true);
    await pep.act(request('drive'));
    for (let n = 0; n < 10; n++) {
      await clock.advance(900);
      inputs.report(source, 'clear', true);
    }
    expect(device.calls).toEqual(['open', 'drive']);
    await clock.advance(1_000);
    expect(device.calls).toEqual(['open', 'drive']);
    await clock.advance(1);
    expect(device.calls).toEqual(['open', 'drive', 'drive:stop']);
  });

  it('stops with the next control period when its timer never comes', async () => {
    const platform = simulatedPlatform({ seed: 1 });
    const { clock } = platform;
    const lame = {
      ...clock,
      schedule: (ms: number, run: () => void) => clock.schedule(ms > 200 ? 1e9 : ms, run),
    };
    const { pep, pdp, device, request, inputs } = await opened({ platform: { ...platform, clock: lame } });
    pdp.add(held({ condition: clear }));
    inputs.report(source, 'clear', true);
    await pep.act(request('drive'));
    await clock.advance(1_000);
    expect(device.calls.at(-1)).toBe('drive');
    await clock.advance(100);
    expect(device.calls.at(-1)).toBe('drive:stop');
  });

  it('stops when the wrong type, null or NaN is reported', async () => {
    for (const value of ['true', null, Number.NaN] as const) {
      const { pep, pdp, device, request, inputs } = await opened();
      pdp.add(held({ condition: clear }));
      inputs.report(source, 'clear', true);
      await pep.act(request('drive'));
      inputs.report(source, 'clear', value);
      expect(device.calls.at(-1)).toBe('drive:stop');
    }
  });

  it('stops when its grant, its token, its window or its task ends', async () => {
    for (const rest of [
      { until: start + 5 },
      { condition: { op: 'expires', at: start + 5 } },
      { condition: { op: 'window', zone: 'UTC', days: ['tue'], from: '09:00', to: '10:01' } },
    ] as const) {
      const { pep, pdp, device, request, clock } = await opened();
      pdp.add(held(rest));
      const { running } = await pep.act(request('drive'));
      const lastsMs = 'until' in rest || rest.condition.op === 'expires' ? 5_000 : 60_000;
      await clock.advance(lastsMs - 1);
      expect(device.calls.at(-1)).toBe('drive');
      await clock.advance(1);
      expect(device.calls.at(-1)).toBe('drive:stop');
      expect(await running?.ended).toMatchObject({ cause: 'withdrawn' });
    }
  });

  it('stops when the wall clock is set, at the latest with the next look', async () => {
    const { pep, pdp, device, request, clock } = await opened();
    pdp.add(held({ until: start + 3_000 }));
    await pep.act(request('drive'));
    clock.setWall((start + 3_000) * 1_000);
    await clock.advance(10_000);
    expect(device.calls.at(-1)).toBe('drive:stop');
  });

  it('stops when a house rule comes into force, or its input says so', async () => {
    const rule = { id: 'r', device: '*', actions: '*', reason: 'quiet' } as const;
    const { pep, pdp, device, request, inputs } = await opened();
    pdp.add(held());
    await pep.act(request('drive'));
    pdp.prohibit(rule);
    expect(device.calls.at(-1)).toBe('drive:stop');
    inputs.report(source, 'clear', true);
    pdp.prohibit({ ...rule, condition: { op: 'not', of: clear } });
    await pep.act(request('drive'));
    expect(device.calls.at(-1)).toBe('drive');
    inputs.report(source, 'clear', false);
    expect(device.calls.at(-1)).toBe('drive:stop');
  });

  it('is kept by no other grant than those that permitted it', async () => {
    const { pep, pdp, device, request } = await opened();
    pdp.add(held());
    pdp.add(held({}, { id: 'other#0', tags: {} }));
    await pep.act(request('drive'));
    pdp.remove('token#0');
    expect(device.calls.at(-1)).toBe('drive:stop');
    expect(pdp.decide(request('drive')).verdict).toBe('permit');
  });

  it('goes on when its grant is renewed under the same id, as long as the new one permits it', async () => {
    const { pep, pdp, device, request, clock } = await opened();
    pdp.add(held({}, { exp: start + 10 }));
    await pep.act(request('drive'));
    await clock.advance(9_000);
    pdp.add(held({}, { exp: start + 20 }));
    await clock.advance(9_000);
    expect(device.calls.at(-1)).toBe('drive');
    pdp.add(held({ arguments: { drive: { speed: { max: 0.5 } } } }, { exp: start + 40 }));
    expect(device.calls.at(-1)).toBe('drive:stop');
  });

  it('ends by itself when the driver is done', async () => {
    const { pep, pdp, device, request, clock, audit } = await opened();
    pdp.add(held());
    const { running } = await pep.act(request('drive'));
    device.finish();
    expect(await running?.ended).toEqual({ cause: 'done' });
    const { feeds } = device;
    await clock.advance(1_000);
    expect(device.feeds).toBe(feeds);
    expect(pep.running()).toEqual([]);
    expect(audit.entries.at(-1)).toMatchObject({ kind: 'outcome', cause: 'done' });
  });

  it('ends when its driver cannot be fed', async () => {
    const { pep, pdp, device, request, clock } = await opened();
    pdp.add(held());
    const { running } = await pep.act(request('drive'));
    device.feeding = () => {
      throw new Error('the bus is down');
    };
    await clock.advance(100);
    expect(await running?.ended).toEqual({ cause: 'failed' });
    expect(device.calls.at(-1)).toBe('drive:stop');
  });

  it('is ended by a safe action on its device, which is told to the driver first', async () => {
    const { pep, pdp, device, request } = await opened();
    pdp.add(held());
    const { running } = await pep.act(request('drive'));
    await pep.act(request('stop'));
    expect(await running?.ended).toEqual({ cause: 'made-safe' });
    expect(device.calls.filter((call) => call !== 'open')).toContain('drive:stop');
    expect(pep.running()).toEqual([]);
  });

  it('that was withdrawn while its driver started is stopped before it is fed', async () => {
    const { pep, pdp, device, request, clock } = await opened();
    pdp.add(held());
    const { wait, open } = gate();
    device.before = wait;
    const acting = pep.act(request('drive'));
    await clock.advance(1);
    let acknowledged = false;
    const revoked = pep.revoke('token:token', 1, 'lost').then(() => {
      acknowledged = true;
    });
    await clock.advance(1);
    expect(acknowledged).toBe(false);
    open();
    await revoked;
    expect(device.calls).toEqual(['open', 'drive', 'drive:stop']);
    expect(device.feeds).toBe(0);
    expect((await (await acting).running?.ended)?.cause).toBe('withdrawn');
  });

  it('stops with everything else when the program ends', async () => {
    const { pep, pdp, device, request, close } = await opened();
    pdp.add(held());
    await pep.act(request('drive'));
    await close();
    await close();
    expect(device.calls).toEqual(['open', 'drive', 'drive:stop', 'close']);
  });
});

describe('withdrawal (RV-09, RV-11, GP-04, CP-05)', () => {
  it('is acknowledged only after the actions have stopped', async () => {
    const { pep, pdp, device, request, audit, clock } = await opened();
    pdp.add(held());
    await pep.act(request('drive'));
    const { wait, open } = gate();
    device.stopping = () => wait;
    let acknowledged = false;
    const revoked = pep.revoke('token:token', 1, 'lost').then((count) => {
      acknowledged = true;
      return count;
    });
    expect(pdp.decide(request('drive')).reason).toBe('no-grant');
    await clock.advance(100);
    expect(acknowledged).toBe(false);
    open();
    expect(await revoked).toBe(1);
    expect(audit.entries).toContainEqual(
      expect.objectContaining({
        kind: 'revocation',
        cause: 'lost',
        detail: expect.objectContaining({ tag: 'token:token', generation: 1, grants: 1 }),
      }),
    );
    expect(await pep.revoke('token:token', 1, 'again')).toBe(0);
  });

  it('says so when a driver does not stop', async () => {
    const { pep, pdp, device, request, clock } = await opened();
    pdp.add(held());
    await pep.act(request('drive'));
    device.stopping = () => new Promise(() => {});
    const revoked = pep.revoke('token:token', 1, 'lost').catch((error: unknown) => error);
    await clock.advance(10_000);
    const error = await revoked;
    expect(error).toBeInstanceOf(StillRunning);
    expect((error as StillRunning).actions).toEqual(['vehicle.drive']);
    const { feeds } = device;
    await clock.advance(10_000);
    expect(device.feeds).toBe(feeds);
  });

  it('takes effect even when it cannot be stored or recorded, and says that it is not', async () => {
    const { pep, pdp, device, request, platform, audit } = await opened();
    pdp.add(held());
    await pep.act(request('drive'));
    platform.store.failWrite(1);
    await expect(pep.revoke('token:token', 1, 'lost')).rejects.toThrow(NotRecorded);
    expect(device.calls.at(-1)).toBe('drive:stop');
    expect(pdp.decide(request('drive')).reason).toBe('no-grant');
    audit.failing = true;
    await expect(pep.revoke('token:token', 2, 'lost')).rejects.toThrow('the disk is full');
  });

  it('of a task ends its grants of every generation and leaves the others (RV-01)', async () => {
    const { pep, pdp, request } = await opened();
    pdp.add(held({}, { tags: { 'task:rescue-7': 1_000_000 } }));
    pdp.add(held({}, { id: 'b#0', subject: bob, tags: { 'task:rescue-8': 1 } }));
    expect(await pep.end('rescue-7', 'done')).toBe(1);
    expect(pdp.decide(request('drive')).reason).toBe('no-grant');
    expect(pdp.decide(request('drive', { subjects: [bob] })).verdict).toBe('permit');
    expect(() => pdp.add(held({}, { tags: { 'task:rescue-7': 1_000_001 } }))).toThrow(/rescue-7/);
  });

  it('by demotion stops what needs more, and lets the rest run', async () => {
    const domains = new Domains();
    const { pep, pdp, device, request, audit } = await opened({ domains });
    domains.set('rescue-7', 'actuate');
    pdp.add(held({ condition: { op: 'domain', task: 'rescue-7' } }));
    pdp.add(
      held({ condition: { op: 'domain', task: 'rescue-7', mode: 'observe' } }, { id: 'b#0', subject: bob }),
    );
    await pep.act(request('drive'));
    await pep.act(request('drive', { subjects: [bob] }));
    domains.set('rescue-7', 'observe');
    expect(device.calls).toEqual(['open', 'drive', 'drive', 'drive:stop']);
    await pep.demote('rescue-7', 'posture');
    expect(pep.running().map(({ request: { subjects } }) => subjects)).toEqual([[bob]]);
    expect(audit.entries).toContainEqual(expect.objectContaining({ kind: 'demotion', cause: 'posture' }));
    domains.set('rescue-7', undefined);
    expect(pep.running()).toEqual([]);
  });

  it('closes the sessions of the tag before it is acknowledged', async () => {
    const closed: string[] = [];
    const { pep } = await opened({
      closeSessions: async (tag) => {
        closed.push(tag);
      },
    });
    await pep.end('rescue-7', 'done');
    expect(closed).toEqual(['task:rescue-7']);
  });
});

/** A machine whose program is gone while its vehicle drove; nothing was closed. */
async function crashed(device = new Recorder()) {
  const platform = simulatedPlatform({ seed: 1 });
  const { pep, pdp, request } = await opened({ platform, devices: [device] });
  pdp.add(held());
  await pep.act(request('drive'));
  return platform;
}

/** The same, started again while the vehicle cannot be reached. */
async function crashedOffTheBus() {
  const platform = await crashed();
  const device = new Recorder();
  device.before = Promise.reject(new Error('the bus is down'));
  const second = await opened({ platform, devices: [device] });
  second.pdp.add(held());
  return { second, device };
}

describe('after a crash', () => {
  it('what was running is stopped before anything else', async () => {
    const platform = await crashed();
    const device = new Recorder();
    const second = await opened({ platform, devices: [device] });
    expect(device.calls).toEqual(['open', 'stop']);
    expect(second.audit.entries).toMatchObject([
      {
        kind: 'outcome',
        resource: 'vehicle',
        action: 'drive',
        cause: 'stopped after a restart; outcome unknown',
      },
    ]);
    const third = new Recorder();
    await opened({ platform, devices: [third] });
    expect(third.calls).toEqual(['open']);
  });

  it('a device without a safe action gets a fresh driver', async () => {
    const { stop: _, ...actions } = vehicle.actions;
    const description = { ...vehicle, actions };
    const platform = await crashed(new Recorder(description));
    const device = new Recorder(description);
    await opened({ platform, devices: [device] });
    expect(device.calls).toEqual(['open', 'close', 'open']);
  });

  it('a device that cannot be made safe does nothing else until it can', async () => {
    const { second, device } = await crashedOffTheBus();
    await expect(second.pep.act(second.request('honk'))).rejects.toThrow(DriverFailed);
    device.before = undefined;
    await second.pep.act(second.request('honk'));
    expect(device.calls).toEqual(['open', 'stop', 'honk']);
  });

  it('is made safe once for all who ask at the same time, and nothing they began is stopped by it', async () => {
    const { second, device } = await crashedOffTheBus();
    device.before = undefined;
    const [driving] = await Promise.all([
      second.pep.act(second.request('drive')),
      second.pep.act(second.request('honk')),
    ]);
    expect(device.calls.toSorted()).toEqual(['drive', 'honk', 'open', 'stop']);
    expect(second.pep.running().map(({ request }) => request.action)).toEqual(['drive']);
    // Its outcome is its own, and a crash now would find it running.
    const outcomes = second.audit.entries.filter(({ kind }) => kind === 'outcome');
    expect(outcomes.map(({ action }) => action)).toEqual(['drive', 'honk']);
    await driving.running?.stop();
  });

  it('at any write, no action has happened that is not noted', async () => {
    for (let write = 1; write <= 4; write++) {
      const platform = simulatedPlatform({ seed: 1 });
      const first = await opened({ platform });
      first.pdp.add(held({ limits: [{ kind: 'count', max: 1 }] }));
      platform.store.failWrite(write);
      const begun = await first.pep.act(first.request('drive')).then(
        () => true,
        () => false,
      );
      expect(first.device.calls.includes('drive')).toBe(begun);
      const device = new Recorder();
      const second = await opened({ platform, devices: [device] });
      second.pdp.add(held({ limits: [{ kind: 'count', max: 1 }] }));
      if (begun) {
        expect(device.calls).toEqual(['open', 'stop']);
        await expect(second.pep.act(second.request('drive'))).rejects.toThrow(PermissionDenied);
      }
    }
  });

  it('damaged state is refused rather than forgotten', async () => {
    for (const name of ['permissions/generations', 'permissions/running', 'permissions/limits/x']) {
      const platform = simulatedPlatform({ seed: 1 });
      await platform.store.write(name, new TextEncoder().encode('{"a":'));
      await expect(opened({ platform, audit: new Audit() })).rejects.toThrow();
    }
  });
});
