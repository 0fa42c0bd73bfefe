import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { wakefulness } from '../../simulator/tpm/wakefulness.ts';

describe('a server whose clients come back at once', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setImmediate'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('turns for a while, and then sleeps', () => {
    const stayAwake = wakefulness(2);
    stayAwake();
    expect(turnsUntilItSleeps()).toBe(80);
    stayAwake();
    expect(turnsUntilItSleeps()).toBe(80);
  });

  it('turns once a turn, however often it was needed, and from then on as long as ever', () => {
    const stayAwake = wakefulness(2);
    for (let i = 0; i < 5; i++) stayAwake();
    expect(vi.getTimerCount()).toBe(1);
    for (let i = 0; i < 30; i++) vi.runOnlyPendingTimers();
    stayAwake();
    expect(vi.getTimerCount()).toBe(1);
    expect(turnsUntilItSleeps()).toBe(80);
  });

  it('leaves a lone processor to its client', () => {
    wakefulness(1)();
    expect(vi.getTimerCount()).toBe(0);
  });
});

function turnsUntilItSleeps(): number {
  let turns = 0;
  for (; vi.getTimerCount() > 0; turns++) vi.runOnlyPendingTimers();
  return turns;
}
