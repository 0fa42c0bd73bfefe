import { pick, seededRandom } from '../../simulator/random.ts';
import type { Random } from '../../src/core/platform.ts';

/** Choices that repeat from a seed. */
export interface Dice {
  readonly random: Random;
  /** A whole number from 0 to `count` - 1. */
  below(count: number): number;
  /** True once in `sides` throws. */
  oneIn(sides: number): boolean;
  /** One of these. */
  of<const T>(choices: readonly T[]): T;
  /** Up to `max` bytes, often few. */
  bytes(max: number): Uint8Array;
}

/** Dice of this seed. */
export function dice(seed: number | string): Dice {
  const random = seededRandom(seed, 'dice');
  const below = (count: number) => pick(random, count);
  return {
    random,
    below,
    oneIn: (sides) => below(sides) === 0,
    of: (choices) => {
      const chosen = choices[below(choices.length)];
      if (chosen === undefined) throw new TypeError('`choices` must not be empty');
      return chosen;
    },
    bytes: (max) => random.bytes(below((below(3) === 0 ? max : Math.min(max, 20)) + 1)),
  };
}
