import { getTimes } from 'suncalc';
import type { SunCondition } from '../grants/index.ts';
import type { Truth } from './evaluation.ts';
import { FALSE, TRUE, UNKNOWN } from './evaluation.ts';
import type { WindowClock } from './zone.ts';

const DAY = 86_400_000;

/**
 * Between two solar instants at a place. Where the sun does not rise or set on one of the days around, the answer is
 * unknown.
 */
export function sunClock(condition: SunCondition): WindowClock {
  // Instants of yesterday to tomorrow serve all decisions of a day.
  let around: { readonly day: number; readonly edges: readonly Edge[] | undefined } | undefined;
  const edgesAt = (at: number): readonly Edge[] | undefined => {
    const day = Math.floor(at / DAY);
    if (around?.day !== day) around = { day, edges: edgesOf(condition, day) };
    return around.edges;
  };
  const steadyUntil = (at: number): number => {
    const next = edgesAt(at)?.find((edge) => edge.at > at)?.at ?? Number.POSITIVE_INFINITY;
    return Math.min(next, (Math.floor(at / DAY) + 1) * DAY);
  };
  return {
    steadyUntil,
    truth: (lo, hi): Truth => {
      const edges = Number.isFinite(hi) ? edgesAt(lo) : undefined;
      const last = edges?.findLast((edge) => edge.at <= lo);
      if (edges === undefined || last === undefined) return UNKNOWN;
      if (edges.some((edge) => edge.at > lo && edge.at <= hi) || hi - lo > DAY / 2) return UNKNOWN;
      return last.opens ? TRUE : FALSE;
    },
  };
}

interface Edge {
  readonly at: number;
  readonly opens: boolean;
}

function edgesOf(condition: SunCondition, day: number): readonly Edge[] | undefined {
  const edges: Edge[] = [];
  for (let offset = -2; offset <= 2; offset++) {
    const times = getTimes(new Date((day + offset) * DAY + DAY / 2), condition.latitude, condition.longitude);
    const opens = times[condition.from]?.getTime();
    const closes = times[condition.to]?.getTime();
    if (opens === undefined || closes === undefined || Number.isNaN(opens + closes)) return undefined;
    edges.push({ at: opens + (condition.fromOffsetMin ?? 0) * 60_000, opens: true });
    edges.push({ at: closes + (condition.toOffsetMin ?? 0) * 60_000, opens: false });
  }
  return edges.sort((a, b) => a.at - b.at);
}
