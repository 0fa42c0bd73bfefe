import { describe, expect, it } from 'vitest';
import type { Condition, DeviceDescription, Grant } from '../../src/grants/index.ts';
import {
  checkAgainst,
  checkProhibition,
  GrantMalformed,
  GrantMismatch,
  readDescription,
} from '../../src/grants/index.ts';

const light: DeviceDescription = readDescription({
  name: 'bedroom-light',
  title: 'Bedroom light',
  risk: 'comfort',
  properties: {
    on: { type: 'boolean' },
    level: { type: 'integer', minimum: 0, maximum: 100, unit: '%' },
    mode: { type: 'string', enum: ['day', 'night'] },
  },
  actions: {
    'set-brightness': {
      input: {
        level: { type: 'integer', minimum: 0, maximum: 100 },
        fade: { type: 'number', optional: true },
        mode: { type: 'string', enum: ['day', 'night'] },
      },
    },
    off: { safe: true },
  },
  events: { pressed: {} },
});
const tracker: DeviceDescription = {
  name: 'tracker',
  title: 'Tracker',
  risk: 'info',
  properties: { position: { type: 'position' } },
  actions: {},
  events: {},
};
const grant: Grant = {
  type: 'fealty/action',
  locations: ['spiffe://x/agent/hub'],
  device: 'bedroom-light',
  actions: ['set-brightness'],
};
const state = (rest: object): Condition =>
  ({ op: 'state', source: { device: 'bedroom-light' }, maxAgeMs: 1, ...rest }) as Condition;

describe('a grant against the descriptions', () => {
  it.each<[string, Partial<Grant>, string, RegExp]>([
    ['an unknown device', { device: 'bedroom-lihgt' }, 'device', /did you mean `bedroom-light`/],
    ['an unknown action', { actions: ['set-brightnes'] }, 'actions.0', /did you mean `set-brightness`/],
    ['an action that only the prototype has', { actions: ['constructor'] }, 'actions.0', /unknown action/],
    [
      'an unknown argument',
      { arguments: { 'set-brightness': { levle: { max: 1 } } } },
      'arguments.set-brightness.levle',
      /did you mean `level`/,
    ],
    [
      'a bound on a text',
      { arguments: { 'set-brightness': { mode: { max: 1 } } } },
      'arguments.set-brightness.mode',
      /type `string`/,
    ],
    [
      'a choice of another type',
      { arguments: { 'set-brightness': { level: { oneOf: ['1'] } } } },
      'arguments.set-brightness.level.oneOf.0',
      /expects `integer`/,
    ],
    [
      'a fraction of a whole number',
      { arguments: { 'set-brightness': { level: { oneOf: [1.5] } } } },
      'arguments.set-brightness.level.oneOf.0',
      /expects `integer`/,
    ],
    [
      'a choice that is none',
      { arguments: { 'set-brightness': { mode: { oneOf: ['nigth'] } } } },
      'arguments.set-brightness.mode.oneOf.0',
      /did you mean `night`/,
    ],
    [
      'a volume of a text',
      { limits: [{ kind: 'volume', argument: 'mode', max: 1 }] },
      'limits.0.argument',
      /not a number/,
    ],
    [
      'a volume of what may be absent',
      { limits: [{ kind: 'volume', argument: 'fade', max: 1 }] },
      'limits.0.argument',
      /may be absent/,
    ],
    [
      'an unknown property',
      { condition: state({ property: 'levl', lt: 3 }) },
      'condition.property',
      /did you mean `level`/,
    ],
    [
      'a comparison of a truth value',
      { condition: state({ property: 'on', lt: 3 }) },
      'condition.lt',
      /type `boolean`/,
    ],
    [
      'a text for a truth value',
      { condition: state({ property: 'on', is: 'true' }) },
      'condition.is',
      /expects `boolean`/,
    ],
    [
      'a value that is none',
      { condition: state({ property: 'mode', in: ['day', 'dusk'] }) },
      'condition.in.1',
      /unknown value/,
    ],
    [
      'an unknown event, deep inside',
      {
        condition: {
          op: 'and',
          of: [
            {
              op: 'not',
              of: { op: 'event', source: { device: 'bedroom-light' }, event: 'presed', withinMs: 1 },
            },
          ],
        },
      },
      'condition.of.0.of.event',
      /did you mean `pressed`/,
    ],
    [
      'an unknown source',
      { condition: { ...state({ property: 'on', is: true }), source: { device: 'tracked' } } as Condition },
      'condition.source.device',
      /did you mean `tracker`/,
    ],
    [
      'a fence around what has no position',
      {
        condition: {
          op: 'geo',
          source: { device: 'bedroom-light' },
          latitude: 0,
          longitude: 0,
          radiusM: 1,
          maxAgeMs: 1,
        },
      },
      'condition.source',
      /no property `position`/,
    ],
  ])('is refused for %s', (_, change, path, words) => {
    try {
      checkAgainst({ ...grant, ...change }, [light, tracker]);
    } catch (error) {
      expect(error).toBeInstanceOf(GrantMismatch);
      expect((error as GrantMismatch).path).toBe(path);
      expect((error as Error).message).toMatch(words);
      return;
    }
    throw new Error('was not refused');
  });

  it('passes when everything it names is there', () => {
    const good: Grant = {
      ...grant,
      arguments: { 'set-brightness': { level: { max: 70 }, mode: { oneOf: ['night'] } } },
      limits: [{ kind: 'volume', argument: 'level', max: 500 }],
      condition: {
        op: 'and',
        of: [
          state({ property: 'level', le: 50 }),
          { op: 'geo', source: { device: 'tracker' }, latitude: 0, longitude: 0, radiusM: 1, maxAgeMs: 1 },
          {
            op: 'state',
            source: { peer: 'spiffe://x/agent/dog', stream: 'lidar' },
            property: 'clear',
            is: true,
            maxAgeMs: 1,
          },
        ],
      },
    };
    expect(() => checkAgainst(good, [light, tracker])).not.toThrow();
    expect(() => checkAgainst(grant, light)).not.toThrow();
  });
});

describe('a house rule against the descriptions', () => {
  const rule = { id: 'r', device: '*', actions: ['off'], reason: 'x' } as const;

  it('is refused when no device has its action, so that it can never be silently idle', () => {
    expect(() => checkProhibition(rule, [light, tracker])).not.toThrow();
    expect(() => checkProhibition({ ...rule, actions: ['of'] }, [light])).toThrow(/did you mean `off`/);
    expect(() => checkProhibition({ ...rule, device: 'door' }, [light])).toThrow(/unknown device/);
    expect(() =>
      checkProhibition({ ...rule, actions: '*', condition: state({ property: 'x', is: 1 }) }, [light]),
    ).toThrow(GrantMismatch);
  });
});

describe('a foreign device description', () => {
  const json = JSON.parse(JSON.stringify(light)) as Record<string, unknown>;

  it.each<[string, object, string]>([
    ['an unknown member', { danger: 'none' }, 'danger'],
    ['an unknown risk class', { risk: 'harmless' }, 'risk'],
    ['a name with capitals', { name: 'Light' }, 'name'],
    ['a moving device without a dead man', { risk: 'motion' }, 'deadMan'],
    ['a moving action without a dead man', { actions: { spin: { risk: 'motion' } } }, 'actions.spin.risk'],
    ['a bound on a text', { properties: { a: { type: 'string', minimum: 1 } } }, 'properties.a'],
    [
      'an enumeration of another type',
      { properties: { a: { type: 'integer', enum: ['1'] } } },
      'properties.a.enum',
    ],
    [
      'a position as an argument',
      { actions: { go: { input: { to: { type: 'position' } } } } },
      'actions.go.input.to.type',
    ],
    ['an unknown type', { properties: { a: { type: 'object' } } }, 'properties.a.type'],
    ['a prototype for an action', { actions: { constructor: {} } }, 'actions.constructor'],
  ])('is refused for %s', (_, change, path) => {
    try {
      readDescription({ ...json, ...change });
    } catch (error) {
      expect(error).toBeInstanceOf(GrantMalformed);
      expect((error as GrantMalformed).path).toBe(path);
      return;
    }
    throw new Error('was not refused');
  });
});
