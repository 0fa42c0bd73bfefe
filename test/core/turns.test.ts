import { describe, expect, it } from 'vitest';
import { oneAfterTheOther } from '../../src/core/turns.ts';

describe('work one after the other', () => {
  it('waits for all that was given before it, whether that ended well or badly', async () => {
    const inTurn = oneAfterTheOther();
    const seen: string[] = [];
    let end: (error: Error) => void = () => {};
    const first = inTurn(() => {
      seen.push('first');
      return new Promise<never>((_, reject) => (end = reject));
    });
    const second = inTurn(async () => {
      seen.push('second');
      return 2;
    });
    const third = inTurn(async () => {
      seen.push('third');
      return 3;
    });
    const ended = expect(first).rejects.toThrow('it broke');
    await Promise.resolve();
    expect(seen).toEqual(['first']);
    end(new Error('it broke'));
    await ended;
    expect(await Promise.all([second, third])).toEqual([2, 3]);
    expect(seen).toEqual(['first', 'second', 'third']);
  });
});
