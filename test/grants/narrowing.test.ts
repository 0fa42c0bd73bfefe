import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ArgumentLimit, Condition, Grant, Narrowing } from '../../src/grants/index.ts';
import { GrantWider, narrow, narrows, narrowsAll, passes, readGrant } from '../../src/grants/index.ts';
import { condition, grant } from './arbitrary.ts';

const clear: Condition = {
  op: 'state',
  source: { device: 'dog' },
  property: 'clear',
  is: true,
  maxAgeMs: 1000,
};
const parent: Grant = readGrant({
  type: 'fealty/action',
  locations: ['spiffe://x/agent/vehicle'],
  device: 'vehicle',
  actions: ['drive', 'lift'],
  arguments: { drive: { speed: { min: 0, max: 2 }, gear: { oneOf: ['low', 'high'] } } },
  condition: clear,
  limits: [{ kind: 'count', max: 10, perMs: 60_000 }],
  task: 'rescue-7',
  until: 1_795_515_000,
});

function memberOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(GrantWider);
    return (error as GrantWider).member;
  }
  throw new Error('was not refused');
}

describe('a narrower grant (DC-05, DC-14)', () => {
  it('may be the same', () => {
    expect(() => narrows(parent, parent)).not.toThrow();
    expect(narrow(parent, {})).toEqual(parent);
  });

  it.each<[string, Partial<Grant>, string]>([
    ['another device', { device: 'arm' }, 'device'],
    ['another location', { locations: ['spiffe://x/agent/other'] }, 'locations'],
    ['one more action', { actions: ['drive', 'honk'] }, 'actions'],
    ['another task', { task: 'rescue-8' }, 'task'],
    ['no task', { task: undefined }, 'task'],
    ['a later end', { until: 1_795_515_001 }, 'until'],
    ['no end', { until: undefined }, 'until'],
    ['no argument limits', { arguments: undefined }, 'arguments.drive.speed'],
    [
      'a higher bound',
      { arguments: { drive: { ...parent.arguments?.['drive'], speed: { min: 0, max: 3 } } } },
      'arguments.drive.speed',
    ],
    [
      'one bound less',
      { arguments: { drive: { ...parent.arguments?.['drive'], speed: { max: 1 } } } },
      'arguments.drive.speed',
    ],
    [
      'one choice more',
      { arguments: { drive: { ...parent.arguments?.['drive'], gear: { oneOf: ['low', 'reverse'] } } } },
      'arguments.drive.gear',
    ],
    [
      'an interval for an enumeration',
      { arguments: { drive: { ...parent.arguments?.['drive'], gear: { min: 1, max: 1 } } } },
      'arguments.drive.gear',
    ],
    [
      'a text for an interval',
      { arguments: { drive: { ...parent.arguments?.['drive'], speed: { oneOf: ['1'] } } } },
      'arguments.drive.speed',
    ],
    ['no condition', { condition: undefined }, 'condition'],
    ['an or around the condition', { condition: { op: 'or', of: [clear] } }, 'condition'],
    ['a looser age', { condition: { ...clear, maxAgeMs: 1001 } }, 'condition'],
    ['a stricter condition that cannot be compared', { condition: { ...clear, maxAgeMs: 999 } }, 'condition'],
    ['the condition under a not', { condition: { op: 'not', of: { op: 'not', of: clear } } }, 'condition'],
    ['no limits', { limits: undefined }, 'limits'],
    ['a higher limit', { limits: [{ kind: 'count', max: 11, perMs: 60_000 }] }, 'limits'],
    ['a shorter window', { limits: [{ kind: 'count', max: 10, perMs: 6_000 }] }, 'limits'],
    ['a limit of another kind', { limits: [{ kind: 'volume', argument: 'speed', max: 1 }] }, 'limits'],
  ])('may not have %s', (_, change, member) => {
    expect(memberOf(() => narrows(parent, { ...parent, ...change }))).toBe(member);
  });

  it.each<[string, Narrowing]>([
    ['fewer actions', { actions: ['lift'] }],
    ['an inner interval', { arguments: { drive: { speed: { min: 1, max: 2 } } } }],
    ['chosen values', { arguments: { drive: { speed: { oneOf: [0, 1.5] } } } }],
    ['a limit of its own on another argument', { arguments: { lift: { height: { max: 1 } } } }],
    ['one more condition', { condition: { op: 'expires', at: 1 } }],
    ['a lower limit', { limits: [{ kind: 'count', max: 9 }] }],
    ['an earlier end', { until: 1 }],
  ])('may have %s', (_, extra) => {
    expect(() => narrows(parent, narrow(parent, extra))).not.toThrow();
  });

  it('keeps its own condition as one more member, and stays comparable over many hops', () => {
    let held = parent;
    for (let hop = 1; hop <= 10; hop++) {
      const next = narrow(held, { condition: { op: 'expires', at: hop } });
      expect(next.condition).toEqual({ op: 'and', of: [held.condition, { op: 'expires', at: hop }] });
      narrows(held, next);
      held = next;
    }
  });

  it('may be made for a task when its parent was for none', () => {
    const { task: _, ...free } = parent;
    expect(narrow(free, { task: 'rescue-9' }).task).toBe('rescue-9');
  });

  it('refuses to narrow what is not granted', () => {
    expect(memberOf(() => narrow(parent, { actions: ['fly'] }))).toBe('actions');
    expect(memberOf(() => narrow(parent, { actions: ['lift'], arguments: { drive: {} } }))).toBe(
      'arguments.drive',
    );
  });

  it('is transitive', () => {
    fc.assert(
      fc.property(grant, condition, condition, (root, a, b) => {
        const child = narrow(root, { condition: a });
        const grandchild = narrow(child, { condition: b, actions: child.actions.slice(0, 1) });
        narrows(root, child);
        narrows(child, grandchild);
      }),
      { seed: 21 },
    );
  });

  it('lets no argument pass that its parent stops', () => {
    const limits = fc
      .record(
        {
          min: fc.integer({ min: -3, max: 3 }),
          max: fc.integer({ min: -3, max: 3 }),
          oneOf: fc.array(fc.constantFrom<(string | number | boolean)[]>(-1, 0, 1, 2, '1', true), {
            minLength: 1,
            maxLength: 3,
          }),
        },
        { requiredKeys: [] },
      )
      .filter((limit) => Object.keys(limit).length > 0);
    const withSpeed = (speed: ArgumentLimit): Grant => ({
      ...parent,
      arguments: { drive: { speed } },
      actions: ['drive'],
    });
    let narrower = 0;
    fc.assert(
      fc.property(limits, limits, (outer, inner) => {
        try {
          narrows(withSpeed(outer), withSpeed(inner));
        } catch {
          return;
        }
        narrower++;
        for (const value of [-4, -3, -1, 0, 0.5, 1, 2, 3, 4, '1', true, false, Number.NaN, null, undefined])
          if (passes(inner, value)) expect(passes(outer, value)).toBe(true);
      }),
      { seed: 22, numRuns: 3000 },
    );
    expect(narrower).toBeGreaterThan(100);
  });
});

describe('the grants of a whole token', () => {
  const other: Grant = { ...parent, device: 'dog' };

  it('each narrow one of the parent token', () => {
    expect(narrowsAll([other, parent], [parent, other, { ...parent, actions: ['lift'] }])).toEqual([1, 0, 1]);
  });

  it('are refused when one narrows none, with the member of the nearest', () => {
    expect(memberOf(() => narrowsAll([other, parent], [{ ...parent, until: undefined }]))).toBe('until');
    expect(memberOf(() => narrowsAll([], [parent]))).toBe('device');
  });

  it('are not joined: what two parents allow only together is refused', () => {
    const halves = [
      { ...parent, actions: ['drive'] },
      { ...parent, actions: ['lift'] },
    ];
    expect(memberOf(() => narrowsAll(halves, [parent]))).toBe('actions');
  });
});
