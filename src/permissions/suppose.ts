import type { Position, Source } from '../grants/index.ts';
import type { Dependency } from './evaluation.ts';
import type { Cell, Inputs } from './inputs.ts';
import { cellKey } from './inputs.ts';

/** One input as it might be: a property with a value, or an event that happened. */
export type Supposed = {
  readonly source: Source;
  /** Milliseconds since it was so. Default: 0. */
  readonly ageMs?: number;
} & (
  | { readonly property: string; readonly value: string | number | boolean | Position | null }
  | { readonly event: string }
);

/** Inputs for `simulate`: those supposed instead of what was reported, all others as they are. */
export function supposing(inputs: Inputs, supposed: readonly Supposed[]): ReadonlyMap<Dependency, Cell> {
  const now = inputs.elapsed();
  return new Map(
    supposed.map((one) => {
      const key =
        'property' in one
          ? cellKey(one.source, 'property', one.property)
          : cellKey(one.source, 'event', one.event);
      const cell: Cell = {
        key,
        source: { since: now },
        value: 'property' in one ? one.value : true,
        at: now - (one.ageMs ?? 0),
        greatestAgeMs: Number.POSITIVE_INFINITY,
        users: 0,
      };
      return [key, cell];
    }),
  );
}
