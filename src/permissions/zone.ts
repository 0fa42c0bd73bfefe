import type { Weekday, WindowCondition } from '../grants/index.ts';
import type { Truth } from './evaluation.ts';
import { FALSE, TRUE, UNKNOWN } from './evaluation.ts';

const MINUTE = 60_000;
const DAY_MIN = 1_440;
const days: readonly Weekday[] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const englishDays = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];

/** Local wall-clock fields of an instant. */
export interface Fields {
  /** 0 is Monday. */
  readonly weekday: number;
  /** Minutes since local midnight, 0 to 1,439. */
  readonly minute: number;
}

/** One time zone's wall clock. `Intl` is asked once a minute and zone, however many grants look. */
export interface ZoneClock {
  fields(at: number): Fields;
}

/** The wall clock of an IANA zone. */
export function zoneClock(zone: string): ZoneClock {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  // The two ends of the time interval may lie in two minutes, so two are remembered.
  const memo: { minute: number; fields: Fields }[] = [];
  let next = 0;
  return {
    fields: (at) => {
      const minute = Math.floor(at / MINUTE);
      for (const known of memo) if (known.minute === minute) return known.fields;
      let weekday = -1;
      let hours = Number.NaN;
      let minutes = Number.NaN;
      for (const { type, value } of format.formatToParts(minute * MINUTE)) {
        if (type === 'weekday') weekday = englishDays.indexOf(value);
        else if (type === 'hour') hours = Number(value);
        else if (type === 'minute') minutes = Number(value);
      }
      const fields = { weekday, minute: hours * 60 + minutes };
      memo[next] = { minute, fields };
      next = 1 - next;
      return fields;
    },
  };
}

/** A window, ready to be asked. */
export interface WindowClock {
  /** Whether [lo, hi] lies inside, outside, or neither for sure. */
  truth(lo: number, hi: number): Truth;
  /** A moment after `at`, in milliseconds since 1970, before which the window neither opens nor closes. */
  steadyUntil(at: number): number;
}

/**
 * A window by local wall-clock fields at decision time: half-open, and one over midnight belongs to the day on which
 * it starts. A window in the hour that spring skips is open for no time that day; one in the hour that autumn repeats
 * is open twice.
 */
export function windowClock(condition: WindowCondition, clock: ZoneClock): WindowClock {
  const from = minuteOf(condition.from);
  const to = minuteOf(condition.to);
  const on = days.map((day) => condition.days.includes(day));
  const open = ({ weekday, minute }: Fields): boolean =>
    from < to
      ? on[weekday] === true && minute >= from && minute < to
      : (on[weekday] === true && minute >= from) || (on[(weekday + 6) % 7] === true && minute < to);

  const steadyUntil = (at: number): number => {
    const start = Math.floor(at / MINUTE) * MINUTE;
    const here = clock.fields(at);
    const edges = [from, to, DAY_MIN].map((edge) => (edge - here.minute + DAY_MIN - 1) % DAY_MIN);
    const candidate = start + (Math.min(...edges) + 1) * MINUTE;
    // The zone's offset may change on the way; then the change itself is the next moment to look.
    const offset = (t: number) => {
      const { weekday, minute } = clock.fields(t);
      return (((weekday * DAY_MIN + minute - Math.floor(t / MINUTE)) % 10_080) + 10_080) % 10_080;
    };
    const before = offset(at);
    if (offset(candidate) === before) return candidate;
    let low = start;
    let high = candidate;
    while (high - low > MINUTE) {
      const middle = low + Math.floor((high - low) / 2 / MINUTE) * MINUTE;
      if (offset(middle) === before) low = middle;
      else high = middle;
    }
    return high;
  };

  return {
    steadyUntil,
    truth: (lo, hi) => {
      if (!Number.isFinite(hi)) return UNKNOWN;
      const here = open(clock.fields(lo));
      if (Math.floor(lo / MINUTE) !== Math.floor(hi / MINUTE)) {
        // No window is shorter than a minute, so within a minute both ends cannot miss one.
        if (hi - lo <= MINUTE ? open(clock.fields(hi)) !== here : hi >= steadyUntil(lo)) return UNKNOWN;
      }
      return here ? TRUE : FALSE;
    },
  };
}

function minuteOf(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
}
