import type { Random } from '../../src/core/platform.ts';

const poolSize = 1024;

/** Chance drawn in larger pieces: asking the system costs more than most commands do otherwise. */
export function pooled(source: Random): Random {
  let pool: Uint8Array = new Uint8Array();
  let at = 0;
  return {
    bytes(count) {
      if (count > poolSize / 4) return source.bytes(count);
      if (count > pool.length - at) {
        pool = source.bytes(poolSize);
        at = 0;
      }
      const out = pool.slice(at, at + count);
      // What was given out is nowhere else.
      pool.fill(0, at, at + count);
      at += count;
      return out;
    },
  };
}
