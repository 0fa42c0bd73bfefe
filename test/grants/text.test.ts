import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../src/core/json.ts';
import type { Condition } from '../../src/grants/index.ts';
import {
  GrantMalformed,
  GrantText,
  parseCondition,
  readCondition,
  writeCondition,
} from '../../src/grants/index.ts';
import { condition } from './arbitrary.ts';

const on: Condition = { op: 'state', source: { device: 'lamp' }, property: 'on', is: true, maxAgeMs: 30_000 };
const dog = 'spiffe://x/agent/dog';

describe('the text form of a condition', () => {
  it.each<[string, Condition]>([
    ['state("lamp", "on", duration("30s")) == true', on],
    ['!(state("lamp", "on", duration("30s")) == true)', { op: 'not', of: on }],
    [
      'peerState("spiffe://x/agent/dog", "lidar", "distance", duration("250ms")) >= 1.5',
      { op: 'state', source: { peer: dog, stream: 'lidar' }, property: 'distance', ge: 1.5, maxAgeMs: 250 },
    ],
    [
      'state("lamp", "mode", duration("2h")) in ["day", 3]',
      { op: 'state', source: { device: 'lamp' }, property: 'mode', in: ['day', 3], maxAgeMs: 7_200_000 },
    ],
    [
      'window("Europe/Berlin", ["mon", "fri"], "07:00", "24:00")',
      { op: 'window', zone: 'Europe/Berlin', days: ['mon', 'fri'], from: '07:00', to: '24:00' },
    ],
    [
      'event("alarm", "off", duration("5m"))',
      { op: 'event', source: { device: 'alarm' }, event: 'off', withinMs: 300_000 },
    ],
    [
      'peerEvent("spiffe://x/agent/dog", "eyes", "seen", duration("1s"))',
      { op: 'event', source: { peer: dog, stream: 'eyes' }, event: 'seen', withinMs: 1_000 },
    ],
    [
      'near("tracker", 52.52, -13.405, 50, duration("5s"))',
      {
        op: 'geo',
        source: { device: 'tracker' },
        latitude: 52.52,
        longitude: -13.405,
        radiusM: 50,
        maxAgeMs: 5_000,
      },
    ],
    [
      'sun(52.52, 13.405, "sunset", "sunrise", null, 15)',
      { op: 'sun', latitude: 52.52, longitude: 13.405, from: 'sunset', to: 'sunrise', toOffsetMin: 15 },
    ],
    ['posture("affirming", duration("1h"))', { op: 'posture', atLeast: 'affirming', maxAgeMs: 3_600_000 }],
    ['domain("rescue-7")', { op: 'domain', task: 'rescue-7' }],
    ['domain("rescue-7", "observe")', { op: 'domain', task: 'rescue-7', mode: 'observe' }],
    ['now < timestamp("2026-11-24T10:00:00Z")', { op: 'expires', at: 1_795_514_400 }],
    ['now < timestamp(9007199254740991)', { op: 'expires', at: 9_007_199_254_740_991 }],
    ['confirm("owner")', { op: 'confirm', by: 'owner' }],
    ['all(domain("a"))', { op: 'and', of: [{ op: 'domain', task: 'a' }] }],
    ['!any(domain("a"))', { op: 'not', of: { op: 'or', of: [{ op: 'domain', task: 'a' }] } }],
    ['!!domain("a")', { op: 'not', of: { op: 'not', of: { op: 'domain', task: 'a' } } }],
  ])('%s', (text, expected) => {
    expect(parseCondition(text)).toEqual(expected);
    expect(writeCondition(expected)).toBe(text);
  });

  it('binds as in CEL, and keeps brackets that mean something', () => {
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((task): Condition => ({ op: 'domain', task }));
    expect(parseCondition('domain("a") || domain("b") && domain("c") || domain("d")')).toEqual({
      op: 'or',
      of: [a, { op: 'and', of: [b, c] }, d],
    });
    expect(parseCondition('(domain("a") && domain("b")) && domain("c")')).toEqual({
      op: 'and',
      of: [{ op: 'and', of: [a, b] }, c],
    });
    expect(parseCondition('((domain("a")))')).toEqual(a);
  });

  it('reads white space, either quote, and escapes', () => {
    expect(parseCondition(' domain(\n\t"a\\u0062\\n\\"" )')).toEqual({ op: 'domain', task: 'ab\n"' });
    expect(parseCondition("domain('it\\'s \"b\"')")).toEqual({ op: 'domain', task: 'it\'s "b"' });
  });

  it('loses nothing, for any condition', () => {
    fc.assert(
      fc.property(condition, (one) => {
        const text = writeCondition(one);
        try {
          readCondition(JSON.parse(JSON.stringify(one)));
        } catch {
          expect(() => parseCondition(text)).toThrow(GrantMalformed);
          return;
        }
        const read = parseCondition(text);
        expect(canonicalJson(read)).toBe(canonicalJson(one));
        expect(writeCondition(read)).toBe(text);
      }),
      { seed: 61, numRuns: 1_000 },
    );
  });

  it.each<[string, string, number]>([
    ['nothing', '', 0],
    ['half of it', 'domain("a") &&', 14],
    ['two side by side', 'domain("a") domain("b")', 12],
    ['a bracket that stays open', '(domain("a")', 12],
    ['a text that stays open', 'domain("a', 7],
    ['a line break in a text', 'domain("a\n")', 7],
    ['an unknown escape', 'domain("\\x41")', 9],
    ['an unknown function', 'matches("a", "(a+)+$")', 0],
    ['a comprehension', '[1, 2].all(x, x > 1)', 6],
    ['a variable', 'alarm == true', 6],
    ['an assignment', 'domain("a") = true', 12],
    ['a ternary', 'domain("a") ? domain("b") : domain("c")', 12],
    ['too few arguments', 'window("Europe/Berlin")', 0],
    ['too many arguments', 'confirm("a", "b")', 0],
    ['a peer where none can be', 'peerWindow("a", "b")', 0],
    ['a negated value', '!state("a", "b", duration("1s")) == true', 1],
    ['a state that is not compared', 'state("a", "b", duration("1s"))', 31],
    [
      'a state compared with a state',
      'state("a", "b", duration("1s")) == state("c", "d", duration("1s"))',
      35,
    ],
    ['an inequality', 'state("a", "b", duration("1s")) != 1', 33],
    ['a duration that is none', 'posture("warning", duration("1 day"))', 28],
    ['a time without its zone', 'now < timestamp("2026-11-24T10:00:00")', 16],
    ['a time after now', 'now > timestamp("2026-11-24T10:00:00Z")', 4],
    ['a number beyond all bounds', 'now < timestamp(1e999)', 16],
  ])('is refused for %s, at its place', (_, text, position) => {
    try {
      parseCondition(text);
    } catch (error) {
      expect(error).toBeInstanceOf(GrantText);
      expect((error as GrantText).position).toBe(position);
      return;
    }
    throw new Error('was not refused');
  });

  it('may say nothing that the JSON may not say', () => {
    for (const text of [
      'domain("a") || confirm("owner")',
      '!confirm("owner")',
      'window("Mars/Base", ["mon"], "07:00", "08:00")',
      'state("a", "b", duration("1s")) == null',
      'state("a", "b", duration("0s")) == 1',
      'near("a", 91, 0, 1, duration("1s"))',
      'window("UTC", "mon", "07:00", "08:00")',
      'confirm(["owner"])',
      'now < timestamp(1.5)',
    ])
      expect(() => parseCondition(text)).toThrow(GrantMalformed);
  });

  it('is bounded, and linear in whatever it is given', () => {
    expect(() => parseCondition('('.repeat(60_000))).toThrow(GrantText);
    expect(() => parseCondition('!'.repeat(60_000))).toThrow(GrantText);
    expect(() => parseCondition('['.repeat(60_000))).toThrow(GrantText);
    expect(() => parseCondition(`confirm(${'['.repeat(5_000)}`)).toThrow(GrantText);
    expect(() => parseCondition(`domain("${'\\\\'.repeat(30_000)}`)).toThrow(GrantText);
    expect(() => parseCondition(' '.repeat(70_000))).toThrow(/longer than/);
    expect(() => parseCondition('domain("a") && '.repeat(2_000))).toThrow(GrantText);
  });

  it('gives only its own errors for hostile text', () => {
    const words = fc.constantFrom(
      'state(',
      'now',
      '<',
      '"a"',
      ',',
      ')',
      '(',
      '!',
      '&&',
      '||',
      '==',
      'in',
      '[',
      ']',
      '1',
      '-',
      'duration("1s")',
      'all(',
      'timestamp(',
      '\\',
      '.',
      '\u0000',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ maxLength: 60 }),
          fc.array(words, { maxLength: 20 }).map((w) => w.join(' ')),
        ),
        (text) => {
          try {
            parseCondition(text);
          } catch (error) {
            if (!(error instanceof GrantText) && !(error instanceof GrantMalformed)) throw error;
          }
        },
      ),
      { seed: 62, numRuns: 3_000 },
    );
  });
});
