import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../src/core/json.ts';
import {
  GrantMalformed,
  isZone,
  readCondition,
  readGrant,
  readGrants,
  readProhibition,
} from '../../src/grants/index.ts';
import { condition, grant } from './arbitrary.ts';

const base = {
  type: 'fealty/action',
  locations: ['spiffe://x/agent/a'],
  device: 'bedroom-light',
  actions: ['set-brightness'],
};
const window = { op: 'window', zone: 'Europe/Berlin', days: ['mon'], from: '07:00', to: '08:00' };
const state = { op: 'state', source: { device: 'alarm' }, property: 'armed', is: true, maxAgeMs: 1000 };
const confirm = { op: 'confirm', by: 'owner' };

function pathOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(GrantMalformed);
    return (error as GrantMalformed).path;
  }
  throw new Error('was not refused');
}

describe('the reader of conditions (CP-01, CP-03)', () => {
  it.each([
    ['an unknown operator', { op: 'always' }, 'op'],
    ['an unknown member', { ...window, dayz: [] }, 'dayz'],
    ['no operator', { of: [] }, 'op'],
    ['an empty and', { op: 'and', of: [] }, 'of'],
    ['a list under not', { op: 'not', of: [state] }, 'of.op'],
    ['no days', { ...window, days: [] }, 'days'],
    ['a day twice', { ...window, days: ['mon', 'mon'] }, 'days'],
    ['an unknown day', { ...window, days: ['monday'] }, 'days.0'],
    ['a window of no length', { ...window, to: '07:00' }, 'to'],
    ['a time that is none', { ...window, from: '25:00' }, 'from'],
    ['24:00 as a beginning', { ...window, from: '24:00' }, 'from'],
    ['a zone in lower case', { ...window, zone: 'europe/berlin' }, 'zone'],
    ['an empty zone', { ...window, zone: '' }, 'zone'],
    ['an offset for a zone', { ...window, zone: 'GMT+2' }, 'zone'],
    ['another offset', { ...window, zone: '+01:00' }, 'zone'],
    ['a zone that is none', { ...window, zone: 'Europe/Atlantis' }, 'zone'],
    ['two comparisons', { ...state, lt: 3 }, ''],
    ['no comparison', { op: 'state', source: { device: 'a' }, property: 'b', maxAgeMs: 1 }, ''],
    ['a comparison with null', { ...state, is: null }, 'is'],
    ['a comparison with infinity', { ...state, is: undefined, lt: Number.POSITIVE_INFINITY }, 'lt'],
    ['a comparison with NaN', { ...state, is: Number.NaN }, 'is'],
    ['no greatest age', { ...state, maxAgeMs: undefined }, 'maxAgeMs'],
    ['a greatest age of zero', { ...state, maxAgeMs: 0 }, 'maxAgeMs'],
    ['an infinite age', { ...state, maxAgeMs: Number.POSITIVE_INFINITY }, 'maxAgeMs'],
    ['the caller as source', { ...state, source: { caller: 'x' } }, 'source'],
    ['a device and a peer at once', { ...state, source: { device: 'a', peer: 'b', stream: 'c' } }, 'source'],
    ['confirm under or', { op: 'or', of: [state, confirm] }, 'of.1'],
    ['confirm under not', { op: 'not', of: confirm }, 'of'],
    ['confirm under an or in an and', { op: 'and', of: [{ op: 'or', of: [confirm] }] }, 'of.0.of.0'],
    ['an expiry that is no whole number', { op: 'expires', at: 1.5 }, 'at'],
    [
      'a latitude out of the world',
      { op: 'geo', source: { device: 'a' }, latitude: 91, longitude: 0, radiusM: 1, maxAgeMs: 1 },
      'latitude',
    ],
    [
      'a circle without radius',
      { op: 'geo', source: { device: 'a' }, latitude: 1, longitude: 0, radiusM: 0, maxAgeMs: 1 },
      'radiusM',
    ],
    [
      'a sun that sets before it sets',
      { op: 'sun', latitude: 1, longitude: 1, from: 'sunset', to: 'sunset' },
      'to',
    ],
    ['a prototype', JSON.parse('{"op":"not","of":{"op":"expires","at":1,"__proto__":{}}}'), 'of.__proto__'],
  ])('refuses %s', (_, json, path) => {
    expect(pathOf(() => readCondition(json))).toBe(path);
  });

  it('refuses nesting and size without end, before any recursion', () => {
    let deep: unknown = state;
    for (let i = 0; i < 100_000; i++) deep = { op: 'not', of: deep };
    expect(() => readCondition(deep)).toThrow(GrantMalformed);
    let seventeen: unknown = state;
    for (let i = 0; i < 16; i++) seventeen = { op: 'not', of: seventeen };
    expect(() => readCondition(seventeen)).toThrow(/deeper than 16/);
    const wide = { op: 'or', of: Array.from({ length: 60 }, () => state) };
    expect(() => readCondition({ op: 'or', of: [wide, wide, wide, wide, wide] })).toThrow(/more than 256/);
  });

  it('lets confirm stand in the top-level and, also after narrowing has nested it', () => {
    expect(readCondition(confirm)).toEqual(confirm);
    const once = { op: 'and', of: [state, confirm] };
    expect(readCondition({ op: 'and', of: [once, window] })).toBeTruthy();
  });

  it('gives back exactly what it read', () => {
    fc.assert(
      fc.property(condition, (one) => {
        expect(canonicalJson(readCondition(JSON.parse(JSON.stringify(one))))).toBe(canonicalJson(one));
      }),
      { seed: 11 },
    );
  });

  it('gives only its own error for whatever JSON there is', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (json) => {
        try {
          readGrants(json);
        } catch (error) {
          expect(error).toBeInstanceOf(GrantMalformed);
        }
      }),
      { seed: 12, numRuns: 500 },
    );
  });
});

describe('the reader of grants (CP-02)', () => {
  it.each([
    ['another type', { ...base, type: 'payment' }, 'type'],
    ['an unknown member', { ...base, actionz: [] }, 'actionz'],
    ['no location', { ...base, locations: [] }, 'locations'],
    ['no action', { ...base, actions: [] }, 'actions'],
    ['a device with a slash', { ...base, device: 'a/b' }, 'device'],
    [
      'a limit of an action that is not granted',
      { ...base, arguments: { unlock: { code: { max: 1 } } } },
      'arguments.unlock',
    ],
    [
      'an argument limit that limits nothing',
      { ...base, arguments: { 'set-brightness': { level: {} } } },
      'arguments.set-brightness.level',
    ],
    [
      'an unknown bound',
      { ...base, arguments: { 'set-brightness': { level: { maximum: 1 } } } },
      'arguments.set-brightness.level.maximum',
    ],
    [
      'an argument that a record would drop',
      { ...base, arguments: { 'set-brightness': { constructor: { max: 1 } } } },
      'arguments.set-brightness.constructor',
    ],
    [
      'bounds the wrong way round',
      { ...base, arguments: { 'set-brightness': { level: { min: 2, max: 1 } } } },
      'arguments.set-brightness.level',
    ],
    ['an until in text', { ...base, until: '2027' }, 'until'],
    ['an until in fractions', { ...base, until: 1.5 }, 'until'],
    ['a bad condition', { ...base, condition: { ...window, zone: 'X' } }, 'condition.zone'],
    ['a volume of nothing', { ...base, limits: [{ kind: 'volume', max: 1 }] }, 'limits.0'],
    ['a count of an argument', { ...base, limits: [{ kind: 'count', argument: 'x', max: 1 }] }, 'limits.0'],
    ['half a use', { ...base, limits: [{ kind: 'count', max: 1.5 }] }, 'limits.0'],
    [
      'a limit that two places would count',
      { ...base, locations: ['a', 'b'], limits: [{ kind: 'count', max: 1 }] },
      'locations',
    ],
  ])('refuses %s', (_, json, path) => {
    expect(pathOf(() => readGrant(json))).toBe(path);
  });

  it('names the member of an array', () => {
    expect(pathOf(() => readGrants([base, { ...base, condition: { op: 'or', of: [confirm] } }]))).toBe(
      '1.condition.of.0',
    );
    expect(pathOf(() => readGrants([]))).toBe('');
    expect(pathOf(() => readGrants([base, { ...base, x: 1 }]))).toBe('1.x');
  });

  it('reads every grant of ours', () => {
    fc.assert(
      fc.property(grant, (one) => {
        expect(readGrant(JSON.parse(JSON.stringify(one)))).toEqual(JSON.parse(JSON.stringify(one)));
      }),
      { seed: 13 },
    );
  });
});

describe('the reader of house rules', () => {
  const rule = { id: 'no-unlock', device: 'front-door', actions: ['unlock'], reason: 'nobody unlocks it' };

  it('reads one, with * for everything', () => {
    expect(readProhibition(rule)).toEqual(rule);
    expect(readProhibition({ ...rule, device: '*', actions: '*' }).actions).toBe('*');
  });

  it('refuses one that a person could confirm away', () => {
    expect(pathOf(() => readProhibition({ ...rule, condition: confirm }))).toBe('condition');
  });

  it('refuses one without a reason, and one with * among actions', () => {
    expect(pathOf(() => readProhibition({ ...rule, reason: '' }))).toBe('reason');
    expect(pathOf(() => readProhibition({ ...rule, actions: ['*'] }))).toMatch(/^actions/);
  });
});

describe('a time zone', () => {
  it.each([
    'Europe/Berlin',
    'Australia/Lord_Howe',
    'Asia/Kolkata',
    'America/Argentina/Buenos_Aires',
    'UTC',
    'America/Port-au-Prince',
  ])('may be %s', (zone) => expect(isZone(zone)).toBe(true));
  it.each(['', 'utc', 'GMT+2', '+01:00', 'local', 'Europe/berlin', 'EST5EDT', 'Mars/Base', 'Europe'])(
    'may not be `%s`',
    (zone) => expect(isZone(zone)).toBe(false),
  );
});
