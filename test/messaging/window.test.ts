import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Window, windowSize } from '../../src/messaging/window.ts';

/** The same in the simplest words. */
class Model {
  readonly seen = new Set<bigint>();
  newest = 0n;

  accept(seq: bigint): boolean {
    if (seq <= 0n || seq <= this.newest - BigInt(windowSize) || this.seen.has(seq)) return false;
    this.seen.add(seq);
    if (seq > this.newest) this.newest = seq;
    return true;
  }
}

describe('an anti-replay window', () => {
  it('accepts what a set of all numbers would, within 1,024 of the newest', () => {
    const step = fc.oneof(
      fc.bigInt({ min: 1n, max: 40n }),
      fc.bigInt({ min: 1n, max: 5000n }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.constantFrom(1023n, 1024n, 1025n, 1026n, 2047n, 2048n, 2049n),
    );
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 120 }),
        fc.bigInt({ min: 0n, max: 2n ** 40n }),
        (steps, from) => {
          const [window, model] = [new Window(), new Model()];
          for (const each of [...steps, ...steps.map((other) => other + from), ...steps]) {
            const looked = window.look(each);
            expect(window.accept(each)).toBe(model.accept(each));
            expect(looked === 'new').toBe(window.look(each) === 'seen' && looked !== 'seen');
            expect(window.newest).toBe(model.newest);
          }
        },
      ),
      { seed: 5, numRuns: 300 },
    );
  });

  it('does not move by looking', () => {
    const window = new Window();
    expect(window.look(2n ** 60n)).toBe('new');
    expect(window.newest).toBe(0n);
    expect(window.accept(1n)).toBe(true);
  });

  it('has no number 0, and ends at the last', () => {
    const window = new Window();
    expect(window.accept(0n)).toBe(false);
    expect(window.accept(2n ** 64n - 1n)).toBe(true);
    expect(window.accept(2n ** 64n - 1n)).toBe(false);
    expect(window.accept(2n ** 64n - 1024n)).toBe(true);
    expect(window.accept(2n ** 64n - 1025n)).toBe(false);
  });
});
