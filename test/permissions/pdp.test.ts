import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { simulatedPlatform } from '../../simulator/platform.ts';
import type { Condition, Grant, HeldGrant } from '../../src/grants/index.ts';
import { narrow } from '../../src/grants/index.ts';
import type { ActionRequest, Reason } from '../../src/permissions/index.ts';
import { GrantElsewhere, GrantRevoked, supposing } from '../../src/permissions/index.ts';
import { grant as anyGrant, condition } from '../grants/arbitrary.ts';
import { alice, bob, clear, held, opened, self, start } from './helpers.ts';

const expires: Condition = { op: 'expires', at: start + 60 };

describe('a decision', () => {
  it.each<[string, Partial<Grant>, object, Reason]>([
    ['permits what is granted', {}, {}, 'permitted'],
    ['refuses another subject', {}, { subjects: [bob] }, 'no-grant'],
    ['refuses nobody', {}, { subjects: [] }, 'no-grant'],
    ['refuses an action that is not granted', { actions: ['stop'] }, {}, 'no-grant'],
    ['refuses an unknown device', {}, { device: 'arm' }, 'unknown-action'],
    ['refuses an unknown action', {}, { action: 'fly' }, 'unknown-action'],
    ['refuses an action of the prototype', {}, { action: 'constructor' }, 'unknown-action'],
    ['refuses a missing argument', {}, { arguments: {} }, 'arguments'],
    ['refuses an unknown argument', {}, { arguments: { speed: 1, turbo: true } }, 'arguments'],
    ['refuses an argument of the prototype', {}, { arguments: { speed: 1, toString: 1 } }, 'arguments'],
    ['refuses an argument out of range', {}, { arguments: { speed: 11 } }, 'arguments'],
    ['refuses an argument that is NaN', {}, { arguments: { speed: Number.NaN } }, 'arguments'],
    ['refuses an argument that is a text', {}, { arguments: { speed: '1' } }, 'arguments'],
    [
      'refuses an argument beyond the grant',
      { arguments: { drive: { speed: { max: 0.5 } } } },
      {},
      'outside-grant',
    ],
    [
      'permits an argument within the grant',
      { arguments: { drive: { speed: { max: 1 } } } },
      {},
      'permitted',
    ],
    ['refuses after the end', { until: start }, {}, 'expired'],
    ['permits before the end', { until: start + 1 }, {}, 'permitted'],
    ['refuses on a false condition', { condition: { op: 'expires', at: start } }, {}, 'condition'],
    ['refuses on an unknown one', { condition: clear }, {}, 'unknown'],
    ['refuses on an unknown one, negated', { condition: { op: 'not', of: clear } }, {}, 'unknown'],
    ['refuses without a confirmation', { condition: { op: 'confirm', by: 'owner' } }, {}, 'confirmation'],
    ['refuses grants that did not come with the request', {}, { grants: ['other#0'] }, 'no-grant'],
    ['permits those that did', {}, { grants: ['token#0'] }, 'permitted'],
  ])('%s', async (_, grant, change, reason) => {
    const { pdp, request } = await opened();
    pdp.add(held(grant));
    const asked = { ...request('drive'), ...change } as ActionRequest;
    const decision = pdp.decide(asked);
    expect(decision.reason).toBe(reason);
    expect(decision.verdict).toBe(reason === 'permitted' ? 'permit' : 'deny');
    expect(pdp.verdict(asked)).toBe(reason);
  });

  it('asks for the confirmation last: nobody is bothered for what is not permitted anyway', async () => {
    const { pdp, request } = await opened();
    pdp.add(held({ condition: { op: 'and', of: [{ op: 'confirm', by: 'owner' }, clear] } }));
    expect(pdp.decide(request('drive')).reason).toBe('unknown');
    expect(pdp.decide(request('drive')).confirmations).toEqual([]);
  });

  it('is not permitted while the clock is not trusted', async () => {
    const { pdp, request, time, clock } = await opened({ trustClock: false });
    pdp.add(held());
    expect(pdp.decide(request('drive')).reason).toBe('time');
    time.synchronised({ at: start * 1000, sentAt: clock.elapsed() });
    expect(pdp.decide(request('drive')).reason).toBe('permitted');
    time.observed((start + 7200) * 1000);
    expect(pdp.decide(request('drive')).reason).toBe('expired');
  });

  it('needs a grant of every subject the request names (DC-12, DC-17)', async () => {
    const { pdp, request } = await opened();
    pdp.add(held());
    const both = request('drive', { subjects: [alice, bob] });
    expect(pdp.decide(both).reason).toBe('no-grant');
    pdp.add(held({ arguments: { drive: { speed: { max: 0.5 } } } }, { id: 'bob#0', subject: bob }));
    expect(pdp.decide(both).reason).toBe('outside-grant');
    expect(pdp.decide({ ...both, arguments: { speed: 0.5 } })).toMatchObject({
      verdict: 'permit',
      grants: ['token#0', 'bob#0'],
    });
  });

  it('needs every ancestor to permit, whatever the child says (DC-04)', async () => {
    const { pdp, request, inputs } = await opened();
    const parent = held({ condition: clear }, { id: 'parent#0' });
    // A forged child that dropped its parent's condition and added an action.
    pdp.add(held({}, { ancestors: [parent] }));
    expect(pdp.decide(request('drive')).reason).toBe('unknown');
    inputs.report({ device: 'vehicle' }, 'clear', true);
    expect(pdp.decide(request('drive')).reason).toBe('permitted');
    pdp.add(held({}, { ancestors: [held({ actions: ['stop'] }, { id: 'parent#1' })] }));
    expect(pdp.decide(request('drive')).reason).toBe('no-grant');
    pdp.add(held({}, { ancestors: [held({}, { id: 'parent#1', exp: start })] }));
    expect(pdp.decide(request('drive')).reason).toBe('expired');
  });

  it('takes the grant that permits, and tells the nearest when none does', async () => {
    const { pdp, request } = await opened();
    pdp.add(held({ until: start }, { id: 'a#0' }));
    pdp.add(held({ condition: clear }, { id: 'b#0' }));
    expect(pdp.decide(request('drive'))).toMatchObject({ reason: 'unknown', rule: 'b#0' });
    pdp.add(held({}, { id: 'c#0' }));
    expect(pdp.decide(request('drive'))).toMatchObject({ reason: 'permitted', rule: 'c#0' });
  });

  it('refuses to hold what is for another enforcement point', async () => {
    const { pdp } = await opened();
    expect(() => pdp.add(held({ locations: [alice] }))).toThrow(GrantElsewhere);
    expect(() => pdp.add(held({}, { ancestors: [held({ locations: [alice] })] }))).toThrow(GrantElsewhere);
    expect(pdp.size).toBe(0);
  });
});

describe('a house rule', () => {
  const rule = { id: 'keep-clear', device: 'vehicle', actions: ['drive'], reason: 'somebody may be there' };
  const blocked: Condition = { op: 'not', of: clear };

  it('overrides every grant, with and without a condition', async () => {
    const { pdp, request, inputs } = await opened();
    pdp.add(held());
    pdp.prohibit(rule);
    expect(pdp.decide(request('drive'))).toMatchObject({
      verdict: 'deny',
      reason: 'prohibited',
      rule: 'keep-clear',
      message: 'somebody may be there',
    });
    expect(pdp.decide(request('honk')).verdict).toBe('permit');
    pdp.prohibit({ ...rule, condition: blocked });
    inputs.report({ device: 'vehicle' }, 'clear', true);
    expect(pdp.decide(request('drive')).verdict).toBe('permit');
    inputs.report({ device: 'vehicle' }, 'clear', false);
    expect(pdp.decide(request('drive')).reason).toBe('prohibited');
    pdp.allow('keep-clear');
    expect(pdp.decide(request('drive')).verdict).toBe('permit');
  });

  it.each<[string, unknown]>([
    ['missing', undefined],
    ['null', null],
    ['NaN', Number.NaN],
    ['a text', 'true'],
    ['stale', true],
  ])('fires when its input is %s', async (what, value) => {
    for (const one of [clear, blocked]) {
      const { pdp, request, inputs, clock } = await opened();
      pdp.add(held());
      pdp.prohibit({ ...rule, condition: one });
      if (value !== undefined) inputs.report({ device: 'vehicle' }, 'clear', value as boolean);
      if (what === 'stale') await clock.advance(1_001);
      expect(pdp.decide(request('drive')).reason).toBe('prohibited');
      expect(pdp.verdict(request('drive'))).toBe('prohibited');
    }
  });

  it('never stands in the way of a stop', async () => {
    const { pdp, request } = await opened();
    pdp.add(held());
    pdp.prohibit({ ...rule, device: '*', actions: '*' });
    expect(pdp.decide(request('honk')).reason).toBe('prohibited');
    expect(pdp.decide(request('stop')).verdict).toBe('permit');
  });
});

describe('revocation (RV-01, RV-03, RV-08)', () => {
  it('of 2,000 among 10,000 grants leaves not one of them, and all others', async () => {
    const { pdp, request } = await opened();
    for (let n = 0; n < 10_000; n++)
      pdp.add(
        held(
          {},
          {
            id: `t${n}#0`,
            subject: `spiffe://x/agent/${n}`,
            tags: { [`task:${n % 5}`]: 1, [`token:t${n}`]: 1, 'client:hub': 1 },
          },
        ),
      );
    const permitted = () => {
      let count = 0;
      for (let n = 0; n < 10_000; n++)
        if (pdp.verdict(request('honk', { subjects: [`spiffe://x/agent/${n}`] })) === 'permitted') count++;
      return count;
    };
    expect(permitted()).toBe(10_000);
    expect(pdp.raise('task:3', 2)).toBe(2_000);
    expect(pdp.size).toBe(8_000);
    for (let n = 3; n < 10_000; n += 5)
      expect(pdp.verdict(request('honk', { subjects: [`spiffe://x/agent/${n}`] }))).toBe('no-grant');
    expect(permitted()).toBe(8_000);
    expect(pdp.raise('task:3', 2)).toBe(0);
    expect(pdp.raise('client:hub', 2)).toBe(8_000);
    expect(permitted()).toBe(0);
  });

  it('keeps out whatever was issued before it, also in a chain, and lets the new in', async () => {
    const { pdp, request } = await opened();
    pdp.raise('client:a', 5);
    expect(() => pdp.add(held({}, { tags: { 'client:a': 4 } }))).toThrow(GrantRevoked);
    const parent = held({}, { id: 'parent#0', tags: { 'client:a': 4 } });
    expect(() => pdp.add(held({}, { ancestors: [parent] }))).toThrow(GrantRevoked);
    expect(() => pdp.add(held({}, { tags: { 'client:a': Number.NaN } }))).toThrow(GrantRevoked);
    pdp.add(held({}, { tags: { 'client:a': 5 } }));
    expect(pdp.decide(request('drive')).verdict).toBe('permit');
    expect(pdp.raise('client:a', 4)).toBe(0);
    expect(pdp.decide(request('drive')).verdict).toBe('permit');
  });

  it('of a task takes every grant for it, also one whose issuer forgot the tag', async () => {
    const { pdp, request } = await opened();
    pdp.add(held({ task: 'rescue-7' }, { tags: {} }));
    expect(pdp.raise('task:rescue-7', 1)).toBe(1);
    expect(pdp.decide(request('drive')).reason).toBe('no-grant');
    expect(() => pdp.add(held({ task: 'rescue-7' }, { tags: {} }))).toThrow(GrantRevoked);
    expect(() => pdp.add(held({}, { ancestors: [held({ task: 'rescue-7' }, { tags: {} })] }))).toThrow(
      GrantRevoked,
    );
    pdp.add(held({ task: 'rescue-7' }, { tags: { 'task:rescue-7': 1 } }));
    expect(pdp.decide(request('drive')).verdict).toBe('permit');
  });

  it('of a parent takes everything narrowed from it', async () => {
    const { pdp, request } = await opened();
    const parent = held({}, { id: 'parent#0', tags: { 'token:parent': 1 } });
    pdp.add(parent);
    pdp.add(held({}, { id: 'child#0', subject: bob, ancestors: [parent], tags: { 'token:child': 1 } }));
    expect(pdp.raise('token:parent', 2)).toBe(2);
    expect(pdp.decide(request('drive', { subjects: [bob] })).reason).toBe('no-grant');
    const other = held({}, { id: 'other#0' });
    pdp.add(held({}, { id: 'child#1', ancestors: [other] }));
    expect(pdp.remove('other#0')).toBe(1);
    expect(pdp.size).toBe(0);
  });

  it('is still known after a restart', async () => {
    const platform = simulatedPlatform({ seed: 1 });
    const first = await opened({ platform });
    await first.pep.revoke('client:a', 3, 'house sold');
    const second = await opened({ platform });
    expect(() => second.pdp.add(held({}, { tags: { 'client:a': 2 } }))).toThrow(GrantRevoked);
  });
});

describe('an explanation (OB-01)', () => {
  it('names the rule and every condition with its value and age', async () => {
    const { pdp, pep, inputs, clock, request } = await opened();
    pdp.add(held({ condition: { op: 'and', of: [clear, expires, { op: 'not', of: clear }] } }));
    inputs.report({ device: 'vehicle' }, 'clear', false);
    await clock.advance(400);
    await expect(pep.act(request('drive', { txn: 't1' }))).rejects.toMatchObject({
      code: 'permissions.denied',
      remedy: 'retry',
      decision: { reason: 'condition', rule: 'token#0' },
    });
    const [decision] = pep.recent();
    const words = pep.why(decision?.id ?? '') ?? '';
    expect(words).toContain('deny: its condition does not hold');
    expect(words).toContain('asked:  vehicle.drive (speed=1)');
    expect(words).toContain('[no ] grant  `token#0`');
    expect(words).toContain('[no ] state  vehicle.clear is true: it is false, 400 ms old (at most 1 s)');
    expect(words).toContain('[yes] expires  before 2026-11-24T10:01:00Z; it is 2026-11-24T10:00:00.400Z');
    expect(words).toContain('[yes] not');
    expect(pep.why('nothing')).toBeUndefined();
  });

  it('says what is unknown, and why', async () => {
    const { pdp, inputs, clock, request } = await opened();
    pdp.add(held({ condition: clear }));
    const detail = () => JSON.stringify(pdp.decide(request('drive')).explanation);
    expect(detail()).toContain('never reported');
    inputs.report({ device: 'vehicle' }, 'clear', true);
    await clock.advance(3_200);
    expect(detail()).toContain('it is true, 3.2 s old (at most 1 s)');
    expect(detail()).toContain('"value":"unknown"');
    inputs.report({ device: 'vehicle' }, 'clear', null);
    expect(detail()).toContain('it is nothing');
  });

  it('is the same decision when it is only supposed', async () => {
    const { pdp, pep, inputs, request, audit } = await opened();
    pdp.add(held({ condition: { op: 'and', of: [clear, expires] } }));
    const source = { device: 'vehicle' };
    const supposed = supposing(inputs, [{ source, property: 'clear', value: true }]);
    expect(pep.simulate(request('drive')).reason).toBe('unknown');
    expect(pep.simulate(request('drive'), { inputs: supposed }).verdict).toBe('permit');
    expect(pep.simulate(request('drive'), { inputs: supposed, at: (start + 60) * 1000 }).reason).toBe(
      'condition',
    );
    expect(pep.simulate(request('drive')).reason).toBe('unknown');
    expect(audit.entries).toEqual([]);
  });
});

describe('a narrowed grant', () => {
  it('permits only what its parent permits, for random grants and inputs', async () => {
    let permitted = 0;
    await fc.assert(
      fc.asyncProperty(
        anyGrant,
        condition,
        fc.boolean(),
        fc.constantFrom(0, 1, 4, 9),
        fc.constantFrom('drive', 'lift', 'honk'),
        fc.array(
          fc.record({
            device: fc.constantFrom('alarm', 'dog'),
            property: fc.constantFrom('clear', 'level'),
            value: fc.constantFrom<(boolean | number)[]>(true, false, 5, 3),
          }),
          { minLength: 2, maxLength: 6 },
        ),
        async (root, extra, narrower, speed, action, reports) => {
          const { pdp, inputs } = await opened({ devices: [] });
          pdp.describe({
            name: 'vehicle',
            title: 'V',
            risk: 'comfort',
            properties: {},
            events: {},
            actions: { drive: { input: { speed: { type: 'number' } } }, lift: {}, honk: {} },
          });
          const parent = { ...root, locations: [self], limits: [] };
          const child = narrow(parent, {
            ...(narrower
              ? { condition: { op: 'or' as const, of: [extra, { op: 'not' as const, of: extra }] } }
              : {}),
            until: Math.min(parent.until ?? start + 50, start + 50),
          });
          const own: HeldGrant = held(child, { id: 'child#0', subject: bob });
          pdp.add(held(parent, { id: 'parent#0' }));
          pdp.add({ ...own, grant: child });
          for (const { device, property, value } of reports) inputs.report({ device }, property, value);
          inputs.happened({ device: 'alarm' }, 'off');
          const ask = (subject: string) =>
            pdp.verdict({
              device: 'vehicle',
              action,
              subjects: [subject],
              ...(action === 'drive' ? { arguments: { speed } } : {}),
            });
          if (ask(bob) === 'permitted') {
            permitted++;
            expect(ask(alice)).toBe('permitted');
          }
        },
      ),
      { seed: 41, numRuns: 600 },
    );
    expect(permitted).toBeGreaterThan(30);
  });
});
