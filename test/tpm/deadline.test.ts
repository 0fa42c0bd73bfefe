import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { Deadline } from '../../src/tpm/client/deadline.ts';

describe('a deadline', () => {
  it('is over when the time is, counted from the start of what is under way, and only once', async () => {
    const clock = virtualClock();
    const deadline = new Deadline(clock, 1000);
    const late: string[] = [];
    deadline.start(() => late.push('first'));
    await clock.advance(900);
    deadline.done();
    deadline.start(() => late.push('second'));
    await clock.advance(999);
    expect(late).toEqual([]);
    await clock.advance(1);
    expect(late).toEqual(['second']);
    await clock.advance(5000);
    expect(late).toEqual(['second']);
  });

  it('does not mind what ended in time, and serves what begins long after', async () => {
    const clock = virtualClock();
    const deadline = new Deadline(clock, 1000);
    const late: string[] = [];
    deadline.start(() => late.push('first'));
    deadline.done();
    await clock.advance(10_000);
    deadline.start(() => late.push('second'));
    await clock.advance(1000);
    expect(late).toEqual(['second']);
  });

  it('leaves no timer behind when it is closed', () => {
    let waiting = 0;
    const clock = virtualClock();
    const counting = {
      ...clock,
      schedule: (ms: number, run: () => void) => {
        waiting++;
        const cancel = clock.schedule(ms, run);
        return () => {
          waiting--;
          cancel();
        };
      },
    };
    const deadline = new Deadline(counting, 1000);
    for (let i = 0; i < 5; i++) {
      deadline.start(() => {});
      deadline.done();
    }
    expect(waiting).toBe(1);
    deadline.close();
    expect(waiting).toBe(0);
  });
});
