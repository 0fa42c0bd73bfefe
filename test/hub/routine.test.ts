import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { checkRoutine } from '../../src/hub/index.ts';
import type { Routine, TimeOfDay } from '../../src/hub/routine.ts';
import { causeOf, grantsFor } from '../../src/hub/routine.ts';
import { arm } from '../../src/hub/triggers.ts';
import { Inputs } from '../../src/permissions/index.ts';

const hub = 'spiffe://home.example/agent/hub';
const actions = [
  { device: 'lamp', action: 'on' },
  { device: 'blinds', action: 'set-open', arguments: { percent: 100 } },
  { device: 'lamp', action: 'dim' },
];
const at: TimeOfDay = { zone: 'Europe/Berlin', days: ['mon', 'tue', 'wed', 'thu', 'fri'], time: '07:00' };

describe('a routine', () => {
  it.each<[string, Routine]>([
    ['a name with blanks', { name: 'good morning', actions }],
    ['a name that is a path', { name: '../x', actions }],
    ['no actions', { name: 'idle', actions: [] }],
    ['an unknown time zone', { name: 'x', actions, trigger: { at: { ...at, zone: 'Europe/Nowhere' } } }],
    ['the zone of the machine', { name: 'x', actions, trigger: { at: { ...at, zone: '' } } }],
    ['no days', { name: 'x', actions, trigger: { at: { ...at, days: [] } } }],
    ['no time of day', { name: 'x', actions, trigger: { at: { ...at, time: '24:00' } } }],
  ])('with %s is a mistake of the programmer', (_, routine) => {
    expect(() => checkRoutine(routine)).toThrow(TypeError);
  });

  it('asks for its own actions on its own devices and no more, unless it says what', () => {
    expect(grantsFor({ name: 'x', actions }, hub)).toEqual([
      { type: 'fealty/action', locations: [hub], device: 'lamp', actions: ['on', 'dim'] },
      { type: 'fealty/action', locations: [hub], device: 'blinds', actions: ['set-open'] },
    ]);
    const grants = [{ type: 'fealty/action', locations: [hub], device: 'lamp', actions: ['on'] }] as const;
    expect(grantsFor({ name: 'x', actions, grants }, hub)).toBe(grants);
  });

  it('says what started it', () => {
    expect(causeOf({ at })).toBe('07:00 Europe/Berlin');
    expect(causeOf({ event: { device: 'clock', event: 'alarm-off' } })).toBe('clock.alarm-off');
  });
});

/** When a routine starts between two instants of UTC, as local times of UTC. */
async function starts(from: string, to: string, when: TimeOfDay): Promise<readonly string[]> {
  const clock = virtualClock(Date.parse(from));
  const started: string[] = [];
  const stop = arm({ at: when }, { clock, inputs: new Inputs(clock) }, () => {
    started.push(new Date(clock.now()).toISOString().slice(0, 16));
  });
  await clock.advance(Date.parse(to) - Date.parse(from));
  stop();
  return started;
}

describe('a time of day', () => {
  it('is a local time, right across both clock changes, on its days alone', async () => {
    expect(await starts('2026-10-22T12:00Z', '2026-10-27T12:00Z', at)).toEqual([
      '2026-10-23T05:00',
      '2026-10-26T06:00',
      '2026-10-27T06:00',
    ]);
    expect(await starts('2027-03-25T12:00Z', '2027-03-30T12:00Z', at)).toEqual([
      '2027-03-26T06:00',
      '2027-03-29T05:00',
      '2027-03-30T05:00',
    ]);
  });

  it('does not come on a day that skips it, and comes once on one that repeats it', async () => {
    const night = { ...at, days: ['sat', 'sun', 'mon'], time: '02:30' } as const;
    expect(await starts('2027-03-26T22:00Z', '2027-03-29T12:00Z', night)).toEqual([
      '2027-03-27T01:30',
      '2027-03-29T00:30',
    ]);
    expect(await starts('2026-10-23T22:00Z', '2026-10-26T12:00Z', night)).toEqual([
      '2026-10-24T00:30',
      '2026-10-25T00:30',
      '2026-10-26T01:30',
    ]);
  });

  it('comes in the last minute of the day, too', async () => {
    const late = { ...at, zone: 'UTC', time: '23:59' };
    expect(await starts('2026-10-22T12:00Z', '2026-10-23T12:00Z', late)).toEqual(['2026-10-22T23:59']);
  });

  it('is not made up for when it has passed, nor when the hub starts in that very minute', async () => {
    expect(await starts('2026-10-23T05:00:10Z', '2026-10-23T20:00Z', at)).toEqual([]);
    const clock = virtualClock(Date.parse('2026-10-23T04:30Z'));
    let started = 0;
    arm({ at }, { clock, inputs: new Inputs(clock) }, () => started++);
    await clock.leap(3 * 3_600_000);
    expect(started).toBe(0);
  });

  it('follows a wall clock that is set', async () => {
    const clock = virtualClock(Date.parse('2026-10-23T12:00Z'));
    let started = 0;
    arm({ at }, { clock, inputs: new Inputs(clock) }, () => started++);
    clock.setWall(Date.parse('2026-10-23T03:00Z'));
    await clock.advance(2 * 3_600_000 + 60_000);
    expect(started).toBe(1);
  });
});

describe('an event', () => {
  const trigger = { event: { device: 'clock', event: 'alarm-off' } } as const;
  const source = { device: 'clock' };

  it('starts a routine each time it happens, from now on, and no longer than it is armed', async () => {
    const clock = virtualClock();
    const inputs = new Inputs(clock);
    let started = 0;
    inputs.happened(source, 'alarm-off');
    await clock.advance(10);
    const stop = arm(trigger, { clock, inputs }, () => started++);
    expect(started).toBe(0);
    inputs.happened(source, 'alarm-off');
    await clock.advance(10);
    inputs.happened(source, 'alarm-off');
    expect(started).toBe(2);
    stop();
    await clock.advance(10);
    inputs.happened(source, 'alarm-off');
    expect(started).toBe(2);
  });

  it('is none when the device is watched anew, is lost, or when something else happens', async () => {
    const clock = virtualClock();
    const inputs = new Inputs(clock);
    let started = 0;
    arm(trigger, { clock, inputs }, () => started++);
    inputs.watching(source, true);
    inputs.report(source, 'occupied', true);
    inputs.happened(source, 'snooze');
    inputs.happened({ device: 'other' }, 'alarm-off');
    inputs.happened(source, 'alarm-off', { ageMs: 5 });
    expect(started).toBe(1);
    inputs.happened(source, 'alarm-off', { ageMs: 60_000 });
    inputs.forget(source);
    inputs.watching(source, false);
    expect(started).toBe(1);
  });
});
