import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { memoryStore } from '../../simulator/store.ts';
import type { Condition, Source } from '../../src/grants/index.ts';
import { compile } from '../../src/permissions/compile.ts';
import type { Moment, Truth } from '../../src/permissions/evaluation.ts';
import { Inputs, TimeTrust } from '../../src/permissions/index.ts';
import { zoneClock } from '../../src/permissions/zone.ts';
import { condition } from '../grants/arbitrary.ts';
import { Domains, Posture } from './helpers.ts';

async function world() {
  const clock = virtualClock();
  const inputs = new Inputs(clock);
  const time = await TimeTrust.open({ clock, store: memoryStore(), trustClock: true });
  const posture = new Posture();
  const domains = new Domains();
  const zones = new Map<string, ReturnType<typeof zoneClock>>();
  const zone = (name: string) => {
    const made = zones.get(name) ?? zoneClock(name);
    zones.set(name, made);
    return made;
  };
  const moment = (traced = false): Moment => {
    const made: Moment = {
      elapsed: 0,
      lo: 0,
      hi: 0,
      rate: 1,
      jumps: false,
      overlay: undefined,
      trace: traced ? [] : undefined,
      until: Number.POSITIVE_INFINITY,
    };
    time.fill(made);
    return made;
  };
  const ask = (one: Condition, traced = false): Truth =>
    compile(one, { inputs, time, posture, domains }, zone).evaluate(moment(traced));
  return { clock, inputs, time, posture, domains, zone, moment, ask };
}

const lamp: Source = { device: 'lamp' };
const state = (rest: object): Condition => ({
  op: 'state',
  source: lamp,
  property: 'level',
  maxAgeMs: 1_000,
  ...rest,
});
const not = (of: Condition): Condition => ({ op: 'not', of });

/** The questions of facts/permissions.md 1.2, at which other engines say yes. */
describe('a state condition', () => {
  const never = Symbol('never reported');
  it.each<[string, unknown, Condition, Truth]>([
    ['> 20 of a missing value', never, state({ gt: 20 }), 2],
    ['not true of a missing value', never, not(state({ is: true })), 2],
    ['<= 300 of a missing value', never, state({ le: 300 }), 2],
    ['<= 300 of null', null, state({ le: 300 }), 2],
    ['is null-ish 0 of null', null, state({ is: 0 }), 2],
    ['> 20 of a text', '50', state({ gt: 20 }), 2],
    ['1 of a text "1"', '1', state({ is: 1 }), 2],
    ['"1" of a number 1', 1, state({ is: '1' }), 2],
    ['< 20 of NaN', Number.NaN, state({ lt: 20 }), 2],
    ['in a list, of NaN', Number.NaN, state({ in: [1, 2] }), 2],
    ['not < 20 of NaN', Number.NaN, not(state({ lt: 20 })), 2],
    ['< 20 of minus infinity', Number.NEGATIVE_INFINITY, state({ lt: 20 }), 2],
    ['true of 1', 1, state({ is: true }), 2],
    ['true of "true"', 'true', state({ is: true }), 2],
    ['true of an object', { latitude: 1, longitude: 1, accuracyM: 1 }, state({ is: true }), 2],
    ['in texts, of a number', 1, state({ in: ['1', '2'] }), 2],
    ['in texts, of another text', '3', state({ in: ['1', '2'] }), 0],
    ['in numbers and texts, of one', 2, state({ in: ['1', 2] }), 1],
    ['true of true', true, state({ is: true }), 1],
    ['true of false', false, state({ is: true }), 0],
    ['< 20 of 20', 20, state({ lt: 20 }), 0],
    ['<= 20 of 20', 20, state({ le: 20 }), 1],
    ['> 20 of 20', 20, state({ gt: 20 }), 0],
    ['>= 20 of 20', 20, state({ ge: 20 }), 1],
  ])('asks %s', async (_, value, asked, expected) => {
    const { inputs, ask } = await world();
    if (value !== never) inputs.report(lamp, 'level', value as number);
    expect(ask(asked)).toBe(expected);
    expect(ask(asked, true)).toBe(expected);
  });

  it('absorbs what is unknown only where the other side settles it', async () => {
    const { inputs, ask } = await world();
    inputs.report({ device: 'lamp' }, 'on', true);
    const on: Condition = { op: 'state', source: lamp, property: 'on', is: true, maxAgeMs: 1 };
    const missing = state({ gt: 1 });
    for (const [op, first, expected] of [
      ['or', on, 1],
      ['and', on, 2],
      ['and', not(on), 0],
      ['or', not(on), 2],
    ] as const) {
      expect(ask({ op, of: [missing, first] })).toBe(expected);
      expect(ask({ op, of: [first, missing] })).toBe(expected);
    }
  });

  it('is unknown as soon as the value is older than the grant, or the adapter, tolerates', async () => {
    const { inputs, ask, clock } = await world();
    inputs.report(lamp, 'level', 5);
    await clock.advance(1_000);
    expect(ask(state({ is: 5 }))).toBe(1);
    await clock.advance(1);
    expect(ask(state({ is: 5 }))).toBe(2);
    expect(ask(not(state({ is: 5 })))).toBe(2);
    inputs.report(lamp, 'level', 5, { greatestAgeMs: 10 });
    await clock.advance(11);
    expect(ask(state({ is: 5 }))).toBe(2);
  });

  it('counts the age a report already has, and never takes one from the future or out of order', async () => {
    const { inputs, ask, clock } = await world();
    await clock.advance(5_000);
    inputs.report(lamp, 'level', 5, { ageMs: 1_001 });
    expect(ask(state({ is: 5 }))).toBe(2);
    expect(() => inputs.report(lamp, 'level', 5, { ageMs: -1 })).toThrow(TypeError);
    expect(() => inputs.report(lamp, 'level', 5, { ageMs: Number.NaN })).toThrow(TypeError);
    inputs.report(lamp, 'level', 1);
    inputs.report(lamp, 'level', 5, { ageMs: 500 });
    expect(ask(state({ is: 1 }))).toBe(1);
  });

  it('is not moved by the wall clock, which may be set at will', async () => {
    const { inputs, ask, clock } = await world();
    inputs.report(lamp, 'level', 5);
    await clock.advance(1_001);
    clock.setWall(clock.now() - 1_001);
    expect(ask(state({ is: 5 }))).toBe(2);
  });

  it('forgets a source that is lost, and takes null for an answer', async () => {
    const { inputs, ask } = await world();
    inputs.report(lamp, 'level', 5);
    inputs.forget(lamp);
    expect(ask(state({ is: 5 }))).toBe(2);
    inputs.report(lamp, 'level', 5);
    inputs.report(lamp, 'level', null);
    expect(ask(state({ is: 5 }))).toBe(2);
  });
});

describe('what a peer reports', () => {
  const peer: Source = { peer: 'spiffe://x/agent/dog', stream: 'lidar' };
  const asked: Condition = { op: 'state', source: peer, property: 'clear', is: true, maxAgeMs: 1_000 };

  it('is an input only where a grant names that peer and that stream', async () => {
    const { inputs, time, zone, moment } = await world();
    expect(inputs.report(peer, 'clear', true)).toBe(false);
    const compiled = compile(asked, { inputs, time }, zone);
    expect(inputs.report({ peer: 'spiffe://x/agent/cat', stream: 'lidar' }, 'clear', true)).toBe(false);
    expect(inputs.report({ peer: 'spiffe://x/agent/dog', stream: 'video' }, 'clear', true)).toBe(false);
    expect(compiled.evaluate(moment())).toBe(2);
    expect(inputs.report(peer, 'clear', true)).toBe(true);
    expect(compiled.evaluate(moment())).toBe(1);
    for (const cell of compiled.cells) inputs.release(cell);
    expect(inputs.report(peer, 'clear', true)).toBe(false);
  });

  it('cannot be a device, whatever the peer is called', async () => {
    const { inputs, ask } = await world();
    expect(inputs.report({ peer: 'lamp', stream: 'x' }, 'level', 5)).toBe(false);
    expect(inputs.report({ peer: 'a","b', stream: 'x' }, 'level', 5)).toBe(false);
    expect(ask(state({ is: 5 }))).toBe(2);
  });
});

describe('an event condition', () => {
  const off: Condition = { op: 'event', source: { device: 'alarm' }, event: 'off', withinMs: 300_000 };
  const alarm: Source = { device: 'alarm' };

  it('is true for as long as it says', async () => {
    const { inputs, ask, clock } = await world();
    inputs.happened(alarm, 'off');
    await clock.advance(300_000);
    expect(ask(off)).toBe(1);
    await clock.advance(1);
    expect(ask(off)).toBe(2);
  });

  it('is unknown when it never happened, unless somebody was watching all the time', async () => {
    const { inputs, ask, clock } = await world();
    expect(ask(off)).toBe(2);
    inputs.watching(alarm, true);
    await clock.advance(300_000);
    expect(ask(off)).toBe(2);
    await clock.advance(1);
    expect(ask(off)).toBe(0);
    inputs.watching(alarm, false);
    expect(ask(off)).toBe(2);
    inputs.watching(alarm, true);
    expect(ask(off)).toBe(2);
  });
});

describe('a geofence', () => {
  const fence: Condition = {
    op: 'geo',
    source: { device: 'dog' },
    latitude: 52.52,
    longitude: 13.405,
    radiusM: 50,
    maxAgeMs: 1_000,
  };
  const at = (latitude: number, longitude: number, accuracyM: number) => ({ latitude, longitude, accuracyM });

  it.each<[string, unknown, Truth]>([
    ['a good fix inside', at(52.52, 13.405, 5), 1],
    ['a fix whose circle cuts the fence', at(52.52, 13.405, 60), 2],
    ['a fix near the edge', at(52.5204, 13.405, 10), 2],
    ['a fix far away', at(52.53, 13.405, 5), 0],
    ['a fix without accuracy', { latitude: 52.52, longitude: 13.405 }, 2],
    ['a fix of negative accuracy', at(52.52, 13.405, -60), 2],
    ['a fix that is NaN', at(Number.NaN, 13.405, 5), 2],
    ['a fix of endless doubt', at(52.52, 13.405, Number.POSITIVE_INFINITY), 2],
    ['a fix out of this world', at(152.52, 13.405, 5), 2],
    ['a number', 5, 2],
    ['nothing', null, 2],
  ])('asks of %s', async (_, fix, expected) => {
    const { inputs, ask } = await world();
    inputs.report({ device: 'dog' }, 'position', fix as number);
    expect(ask(fence)).toBe(expected);
  });

  it('reaches over the antimeridian, and is unknown for an old fix', async () => {
    const { inputs, ask, clock } = await world();
    inputs.report({ device: 'dog' }, 'position', at(0, -179.9999, 1));
    const pacific: Condition = { ...fence, latitude: 0, longitude: 179.9999 } as Condition;
    expect(ask(pacific)).toBe(1);
    await clock.advance(1_001);
    expect(ask(pacific)).toBe(2);
  });
});

describe('posture and domain', () => {
  it.each<[string, 'affirming' | 'warning' | 'contraindicated' | 'none' | undefined, number, Truth]>([
    ['affirmed', 'affirming', 0, 1],
    ['affirmed, but long ago', 'affirming', 60_001, 2],
    ['affirmed in the future', 'affirming', -1, 2],
    ['warned', 'warning', 0, 0],
    ['contraindicated', 'contraindicated', 0, 0],
    ['not appraised', 'none', 0, 2],
    ['absent', undefined, 0, 2],
  ])('ask a result that is %s', async (_, status, ageMs, expected) => {
    const { posture, ask, clock } = await world();
    await clock.advance(100_000);
    posture.set(status && { status, at: clock.elapsed() - ageMs });
    expect(ask({ op: 'posture', atLeast: 'affirming', maxAgeMs: 60_000 })).toBe(expected);
    if (status === 'warning') expect(ask({ op: 'posture', atLeast: 'warning', maxAgeMs: 60_000 })).toBe(1);
  });

  it('ask for live membership in a mode', async () => {
    const { domains, ask } = await world();
    const actuate: Condition = { op: 'domain', task: 'rescue-7' };
    expect(ask(actuate)).toBe(2);
    domains.set('rescue-7', 'suggest');
    expect(ask(actuate)).toBe(0);
    expect(ask({ ...actuate, mode: 'observe' })).toBe(1);
    domains.set('rescue-7', 'actuate');
    expect(ask(actuate)).toBe(1);
    domains.set('rescue-7', 'none');
    expect(ask({ ...actuate, mode: 'observe' })).toBe(0);
  });
});

/** Naive three-valued logic with `undefined` for unknown, over leaves whose values were asked one by one. */
function reference(one: Condition, leaf: (leaf: Condition) => boolean | undefined): boolean | undefined {
  if (one.op === 'not') {
    const value = reference(one.of, leaf);
    return value === undefined ? undefined : !value;
  }
  if (one.op !== 'and' && one.op !== 'or') return leaf(one);
  const values = one.of.map((part) => reference(part, leaf));
  const decisive = one.op === 'or';
  if (values.includes(decisive)) return decisive;
  return values.includes(undefined) ? undefined : !decisive;
}

const anyInput = fc.record({
  source: fc.constantFrom<Source[]>({ device: 'alarm' }, { device: 'dog' }),
  property: fc.constantFrom('clear', 'level', 'position'),
  value: fc.constantFrom<unknown[]>(true, false, 5, 0, '5', null, Number.NaN, {
    latitude: 52.5,
    longitude: 13.4,
    accuracyM: 3,
  }),
  ageMs: fc.constantFrom(0, 500, 30_000, 90_000),
});

describe('any condition', () => {
  it('comes out as in naive three-valued logic, with and without its explanation', async () => {
    const seen = new Set<Truth>();
    await fc.assert(
      fc.asyncProperty(condition, fc.array(anyInput, { maxLength: 6 }), async (one, reports) => {
        const { inputs, ask, clock, domains, posture } = await world();
        await clock.advance(100_000);
        domains.set('rescue-7', 'suggest');
        posture.set({ status: 'warning', at: clock.elapsed() });
        for (const { source, property, value, ageMs } of reports)
          inputs.report(source, property, value as number, { ageMs });
        inputs.happened({ device: 'dog' }, 'seen', { ageMs: 2_000 });
        const leaf = (part: Condition) => ([false, true, undefined] as const)[ask(part)];
        const expected = reference(one, leaf);
        const truth = ask(one);
        seen.add(truth);
        expect(([false, true, undefined] as const)[truth]).toBe(expected);
        expect(ask(one, true)).toBe(truth);
      }),
      { seed: 31, numRuns: 400 },
    );
    expect(seen.size).toBe(3);
  });

  it('does not change by time alone before the instant it names', async () => {
    let changes = 0;
    await fc.assert(
      fc.asyncProperty(
        condition,
        fc.array(anyInput, { maxLength: 6 }),
        fc.integer({ min: 1, max: 4_000_000 }),
        async (one, reports, stepMs) => {
          const { inputs, time, clock, posture, domains, zone, moment } = await world();
          await clock.advance(100_000);
          posture.set({ status: 'affirming', at: clock.elapsed() - 100 });
          for (const { source, property, value, ageMs } of reports)
            inputs.report(source, property, value as number, { ageMs });
          inputs.happened({ device: 'alarm' }, 'off');
          const compiled = compile(one, { inputs, time, posture, domains }, zone);
          const now = moment(true);
          const truth = compiled.evaluate(now);
          expect(now.until).toBeGreaterThan(clock.elapsed());
          const later = Math.min(stepMs, Math.ceil(now.until - clock.elapsed()) - 1);
          if (later > 0 && Number.isFinite(later)) {
            await clock.advance(later);
            expect(compiled.evaluate(moment())).toBe(truth);
          }
          await clock.advance(5_000_000);
          if (compiled.evaluate(moment()) !== truth) {
            changes++;
            expect(now.until).toBeLessThan(Number.POSITIVE_INFINITY);
          }
        },
      ),
      { seed: 32, numRuns: 300 },
    );
    expect(changes).toBeGreaterThan(20);
  });
});
