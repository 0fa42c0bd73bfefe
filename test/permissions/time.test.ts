import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { memoryStore } from '../../simulator/store.ts';
import type { SunCondition, WindowCondition } from '../../src/grants/index.ts';
import { TimeTrust } from '../../src/permissions/index.ts';
import { sunClock } from '../../src/permissions/sun.ts';
import { windowClock, zoneClock } from '../../src/permissions/zone.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const every = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

function window(rest: Partial<WindowCondition>) {
  const condition: WindowCondition = {
    op: 'window',
    zone: 'Europe/Berlin',
    days: every,
    from: '07:00',
    to: '08:00',
    ...rest,
  };
  const clock = windowClock(condition, zoneClock(condition.zone));
  const open = (at: string | number) => {
    const ms = typeof at === 'number' ? at : Date.parse(at);
    return clock.truth(ms, ms) === 1;
  };
  /** Minutes for which it is open in [from, to). */
  const minutes = (from: string, to: string) => {
    let count = 0;
    for (let at = Date.parse(from); at < Date.parse(to); at += MINUTE) if (open(at)) count++;
    return count;
  };
  return { clock, open, minutes };
}

describe('a window', () => {
  it('is half-open, to the second', () => {
    const { open } = window({});
    expect(open('2026-11-24T05:59:59.999Z')).toBe(false);
    expect(open('2026-11-24T06:00:00Z')).toBe(true);
    expect(open('2026-11-24T06:59:59.999Z')).toBe(true);
    expect(open('2026-11-24T07:00:00Z')).toBe(false);
  });

  it('follows the local wall clock over both changes of summer time', () => {
    const { open } = window({ days: ['mon', 'fri'] });
    expect(open('2026-10-23T05:00:00Z')).toBe(true);
    expect(open('2026-10-26T05:00:00Z')).toBe(false);
    expect(open('2026-10-26T06:00:00Z')).toBe(true);
    expect(open('2027-03-26T06:00:00Z')).toBe(true);
    expect(open('2027-03-29T05:00:00Z')).toBe(true);
  });

  it('in the hour that changes is open twice in autumn, never in spring', () => {
    const { minutes } = window({ days: ['sun'], from: '02:00', to: '03:00' });
    expect(minutes('2026-10-24T22:00:00Z', '2026-10-25T23:00:00Z')).toBe(120);
    expect(minutes('2027-03-27T23:00:00Z', '2027-03-28T22:00:00Z')).toBe(0);
    expect(minutes('2026-11-07T23:00:00Z', '2026-11-08T23:00:00Z')).toBe(60);
  });

  it('over midnight belongs to the day on which it starts', () => {
    const { open } = window({ days: ['fri'], from: '22:00', to: '06:00' });
    expect(open('2026-11-27T20:59:00Z')).toBe(false);
    expect(open('2026-11-27T21:00:00Z')).toBe(true);
    expect(open('2026-11-28T04:59:00Z')).toBe(true);
    expect(open('2026-11-28T05:00:00Z')).toBe(false);
    expect(open('2026-11-27T04:00:00Z')).toBe(false);
    const sunday = window({ days: ['sun'], from: '22:00', to: '06:00' });
    expect(sunday.open('2026-11-30T04:00:00Z')).toBe(true);
  });

  it('until 24:00 ends at midnight, and from 00:00 to 24:00 is the whole day', () => {
    const { minutes } = window({ days: ['tue'], from: '23:00', to: '24:00' });
    expect(minutes('2026-11-23T00:00:00Z', '2026-11-30T00:00:00Z')).toBe(60);
    const whole = window({ days: ['sun'], from: '00:00', to: '24:00' });
    expect(whole.minutes('2026-10-24T00:00:00Z', '2026-10-27T00:00:00Z')).toBe(25 * 60);
    expect(whole.minutes('2027-03-27T00:00:00Z', '2027-03-30T00:00:00Z')).toBe(23 * 60);
  });

  it('knows the half-hour change of Lord Howe and the quarters of Kathmandu', () => {
    const howe = window({ zone: 'Australia/Lord_Howe', days: ['sun'], from: '01:30', to: '02:30' });
    // 2027-04-04: at 02:00 back to 01:30. 2026-10-04: at 02:00 on to 02:30.
    expect(howe.minutes('2027-04-03T12:00:00Z', '2027-04-04T12:00:00Z')).toBe(90);
    expect(howe.minutes('2026-10-03T12:00:00Z', '2026-10-04T12:00:00Z')).toBe(30);
    const nepal = window({ zone: 'Asia/Kathmandu', from: '00:00', to: '00:01' });
    expect(nepal.open('2026-11-23T18:15:00Z')).toBe(true);
    expect(nepal.open('2026-11-23T18:16:00Z')).toBe(false);
  });

  it('is unknown when its edge lies within what is not known of the time', () => {
    const { clock } = window({});
    const open = Date.parse('2026-11-24T06:00:00Z');
    expect(clock.truth(open - 1, open)).toBe(2);
    expect(clock.truth(open, open + HOUR - 1)).toBe(1);
    expect(clock.truth(open, open + HOUR)).toBe(2);
    expect(clock.truth(open + HOUR, open + 10 * HOUR)).toBe(0);
    expect(clock.truth(open + HOUR, open + 24 * HOUR)).toBe(2);
    // The whole window lies within the doubt: both ends say no, and yet it may be open.
    expect(clock.truth(open - HOUR, open + 2 * HOUR)).toBe(2);
    expect(clock.truth(open, Number.POSITIVE_INFINITY)).toBe(2);
  });

  it.each([
    'Europe/Berlin',
    'Australia/Lord_Howe',
    'America/New_York',
    'Asia/Kathmandu',
    'Africa/Casablanca',
  ])('neither opens nor closes before the moment it names, in %s', (zone) => {
    for (const times of [
      { from: '07:00', to: '08:00' },
      { from: '22:00', to: '06:00' },
      { from: '01:45', to: '02:15' },
    ]) {
      const { clock, open } = window({ zone, days: ['mon', 'sat', 'sun'], ...times });
      for (const day of ['2026-10-24', '2027-03-27', '2026-10-03', '2027-04-03', '2026-10-31', '2027-03-13'])
        for (let at = Date.parse(`${day}T00:07:30Z`); at < Date.parse(`${day}T00:00Z`) + 48 * HOUR; ) {
          const until = clock.steadyUntil(at);
          expect(until).toBeGreaterThan(at);
          expect(until - at).toBeLessThanOrEqual(26 * HOUR);
          const here = open(at);
          for (let t = at; t < until; t += 7 * MINUTE) expect(open(t)).toBe(here);
          expect(open(until - 1)).toBe(here);
          at = until;
        }
    }
  });
});

describe('the sun', () => {
  const berlin: SunCondition = {
    op: 'sun',
    latitude: 52.52,
    longitude: 13.405,
    from: 'sunset',
    to: 'sunrise',
  };
  const up = (condition: SunCondition, at: string) => {
    const ms = Date.parse(at);
    return sunClock(condition).truth(ms, ms);
  };

  it('is down at night and up at noon', () => {
    expect(up(berlin, '2026-11-24T11:00:00Z')).toBe(0);
    expect(up(berlin, '2026-11-24T20:00:00Z')).toBe(1);
    expect(up(berlin, '2026-11-25T04:00:00Z')).toBe(1);
    expect(up({ ...berlin, from: 'sunrise', to: 'sunset' }, '2026-11-24T11:00:00Z')).toBe(1);
  });

  it('rises within a few minutes of the almanac (Berlin, 2026-06-21: 04:43 and 21:33 local)', () => {
    expect(up(berlin, '2026-06-21T02:38:00Z')).toBe(1);
    expect(up(berlin, '2026-06-21T02:48:00Z')).toBe(0);
    expect(up(berlin, '2026-06-21T19:28:00Z')).toBe(0);
    expect(up(berlin, '2026-06-21T19:38:00Z')).toBe(1);
  });

  it('moves with its offsets, and may start and end with the same instant', () => {
    const dusk: SunCondition = { ...berlin, to: 'sunset', fromOffsetMin: -30, toOffsetMin: 30 };
    expect(up(dusk, '2026-06-21T19:00:00Z')).toBe(0);
    expect(up(dusk, '2026-06-21T19:20:00Z')).toBe(1);
    expect(up(dusk, '2026-06-21T20:20:00Z')).toBe(0);
  });

  it('is unknown where it neither rises nor sets, and where the time is not known', () => {
    expect(up({ ...berlin, latitude: 78.2, longitude: 15.6 }, '2026-06-21T12:00:00Z')).toBe(2);
    expect(up({ ...berlin, latitude: 78.2, longitude: 15.6 }, '2026-12-21T12:00:00Z')).toBe(2);
    const noon = Date.parse('2026-11-24T11:00:00Z');
    expect(sunClock(berlin).truth(noon, Number.POSITIVE_INFINITY)).toBe(2);
    expect(sunClock(berlin).truth(noon, noon + 10 * HOUR)).toBe(2);
  });

  it('on the other side of the world belongs to its own day', () => {
    const auckland: SunCondition = { ...berlin, latitude: -36.85, longitude: 174.76 };
    expect(up(auckland, '2026-11-24T00:00:00Z')).toBe(0);
    expect(up(auckland, '2026-11-24T10:00:00Z')).toBe(1);
    expect(up(auckland, '2026-11-23T20:00:00Z')).toBe(0);
  });

  it('does not change before the moment it names', () => {
    const clock = sunClock(berlin);
    for (let at = Date.parse('2026-11-20T00:00:00Z'); at < Date.parse('2026-11-24T00:00:00Z'); ) {
      const until = clock.steadyUntil(at);
      expect(clock.truth(until - 1, until - 1)).toBe(clock.truth(at, at));
      at = until;
    }
  });
});

describe('trusted time', () => {
  const now = Date.UTC(2026, 10, 24, 10);

  it('is not bounded from above before the authority answered, whatever the wall clock says', async () => {
    const clock = virtualClock(now);
    const time = await TimeTrust.open({ clock, store: memoryStore() });
    expect(time.interval()).toEqual({ lo: 0, hi: Number.POSITIVE_INFINITY });
    expect(time.before(now + HOUR)).toBe(2);
    time.observed(now);
    expect(time.before(now)).toBe(0);
    expect(time.before(now + HOUR)).toBe(2);
  });

  it('lies within the round trip, and grows by the drift', async () => {
    const clock = virtualClock(now);
    const time = await TimeTrust.open({ clock, store: memoryStore(), driftPpm: 100 });
    const sentAt = clock.elapsed();
    await clock.advance(400);
    time.synchronised({ at: now + 100, sentAt });
    expect(time.interval()).toEqual({ lo: now + 100, hi: now + 500 });
    await clock.advance(10_000_000);
    const { lo, hi } = time.interval();
    expect(lo).toBeCloseTo(now + 100 + 9_999_000, 3);
    expect(hi).toBeCloseTo(now + 500 + 10_001_000, 3);
    expect(time.before(Math.ceil(hi) + 1)).toBe(1);
    expect(time.before(Math.floor(lo))).toBe(0);
    expect(time.before((lo + hi) / 2)).toBe(2);
  });

  it('is not contradicted by an authority that says whole seconds, whatever the fraction at which it is asked', async () => {
    const clock = virtualClock(now);
    const time = await TimeTrust.open({ clock, store: memoryStore() });
    for (const fraction of [0, 990, 10, 500, 999, 1]) {
      await clock.advance(30_000 + ((fraction - (clock.now() % 1_000)) % 1_000));
      const iat = Math.floor(clock.now() / 1_000);
      time.synchronised({ at: iat * 1_000, withinMs: 1_000, sentAt: clock.elapsed() });
      const { lo, hi } = time.interval();
      expect(lo).toBeLessThanOrEqual(clock.now());
      expect(hi).toBeGreaterThanOrEqual(clock.now());
      expect(hi - lo).toBeLessThanOrEqual(1_000);
    }
  });

  it('never goes back, also over a restart with the clock set back', async () => {
    const clock = virtualClock(now);
    const store = memoryStore();
    const first = await TimeTrust.open({ clock, store });
    first.observed(now + HOUR);
    await first.close();
    clock.setWall(0);
    const second = await TimeTrust.open({ clock, store });
    expect(second.before(now + HOUR)).toBe(0);
    const trusting = await TimeTrust.open({ clock, store, trustClock: true });
    expect(trusting.before(now + HOUR)).toBe(0);
    expect(trusting.before(now + 2 * HOUR)).toBe(2);
  });

  it('is no longer believed when the authority contradicts what is known', async () => {
    const clock = virtualClock(now);
    const time = await TimeTrust.open({ clock, store: memoryStore() });
    time.observed(now + HOUR);
    time.synchronised({ at: now, sentAt: clock.elapsed() });
    expect(time.interval()).toEqual({ lo: now + HOUR, hi: Number.POSITIVE_INFINITY });
    const other = await TimeTrust.open({ clock, store: memoryStore() });
    other.synchronised({ at: now, sentAt: clock.elapsed() });
    other.observed(now + HOUR);
    expect(other.interval().hi).toBe(Number.POSITIVE_INFINITY);
  });

  it('stands still for a small step back of a trusted clock, and is lost after a large one', async () => {
    const clock = virtualClock(now);
    const time = await TimeTrust.open({ clock, store: memoryStore(), trustClock: true });
    expect(time.interval()).toEqual({ lo: now, hi: now });
    clock.setWall(now - 4_000);
    expect(time.interval()).toEqual({ lo: now, hi: now });
    clock.setWall(now - 6_000);
    expect(time.interval()).toEqual({ lo: now, hi: Number.POSITIVE_INFINITY });
    clock.setWall(now + 1);
    expect(time.interval()).toEqual({ lo: now + 1, hi: now + 1 });
  });

  it('refuses an answer to a question from the future, and a mark that is none counts as none', async () => {
    const clock = virtualClock(now);
    const store = memoryStore();
    await store.write('permissions/time', new TextEncoder().encode('-Infinity'));
    const time = await TimeTrust.open({ clock, store });
    expect(time.interval().lo).toBe(0);
    expect(() => time.synchronised({ at: now, sentAt: clock.elapsed() + 1 })).toThrow(TypeError);
    expect(() => time.synchronised({ at: Number.NaN, sentAt: 0 })).toThrow(TypeError);
    expect(() => time.observed(Number.POSITIVE_INFINITY)).toThrow(TypeError);
  });
});
