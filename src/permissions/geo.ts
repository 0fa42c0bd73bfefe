import type { GeoCondition } from '../grants/index.ts';
import type { Truth } from './evaluation.ts';
import { FALSE, TRUE, UNKNOWN } from './evaluation.ts';

/** Mean radius of the Earth, in metres (IUGG). */
const EARTH_M = 6_371_008.8;

/** Where a fix lies relative to a fence. */
export interface Fenced {
  /** True when the whole error circle is inside, false when it is wholly outside, unknown when it cuts the fence. */
  readonly truth: Truth;
  readonly distanceM?: number;
  readonly accuracyM?: number;
}

/** Judges a reported position; anything that is not a plausible fix is unknown. */
export function fenced(
  value: unknown,
  fence: Pick<GeoCondition, 'latitude' | 'longitude' | 'radiusM'>,
): Fenced {
  if (typeof value !== 'object' || value === null) return { truth: UNKNOWN };
  const { latitude, longitude, accuracyM } = value as Readonly<Record<string, unknown>>;
  if (
    typeof latitude !== 'number' ||
    typeof longitude !== 'number' ||
    typeof accuracyM !== 'number' ||
    !(Math.abs(latitude) <= 90) ||
    !(Math.abs(longitude) <= 180) ||
    !(accuracyM >= 0 && accuracyM < Number.POSITIVE_INFINITY)
  )
    return { truth: UNKNOWN };
  const distanceM = distance(latitude, longitude, fence.latitude, fence.longitude);
  const truth =
    distanceM + accuracyM <= fence.radiusM ? TRUE : distanceM - accuracyM > fence.radiusM ? FALSE : UNKNOWN;
  return { truth, distanceM, accuracyM };
}

/** Great-circle distance in metres (haversine), also across the antimeridian and the poles. */
export function distance(lat1: number, lon1: number, lat2: number, lon2: number): number {
  const radians = Math.PI / 180;
  const a =
    Math.sin(((lat2 - lat1) * radians) / 2) ** 2 +
    Math.cos(lat1 * radians) * Math.cos(lat2 * radians) * Math.sin(((lon2 - lon1) * radians) / 2) ** 2;
  return 2 * EARTH_M * Math.asin(Math.min(1, Math.sqrt(a)));
}
