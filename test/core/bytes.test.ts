import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, u32, u32At } from '../../src/core/bytes.ts';

const seed = 7;

describe('a number of 32 bits', () => {
  it('is read where it was written, whatever stands around it', () => {
    fc.assert(
      fc.property(
        fc.nat(0xffff_ffff),
        fc.uint8Array({ maxLength: 9 }),
        fc.uint8Array({ maxLength: 9 }),
        (value, before, after) => {
          expect(u32At(concat(before, u32(value), after), before.length)).toBe(value);
        },
      ),
      { seed },
    );
  });

  it('is not made up where the bytes end', () => {
    for (const at of [-1, 1, 4, 5]) expect(() => u32At(u32(1), at)).toThrow(RangeError);
  });
});
