import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import type { Mode } from '../../src/domains/index.ts';
import { MODES } from '../../src/domains/index.ts';
import { lowest, modeAtLeast, modeOfPapers } from '../../src/domains/modes.ts';
import { Rate, SeenOnce } from '../../src/domains/rate.ts';
import type { TenureState } from '../../src/domains/tenure.ts';
import { nextTenure, Tenure, tenureStates } from '../../src/domains/tenure.ts';
import { timesOf } from '../../src/domains/times.ts';

describe('a tenure', () => {
  it('ends once and for all', () => {
    expect(nextTenure('lost', 'renewed')).toBeUndefined();
    expect(Object.keys(tenureStates)).toEqual(['held', 'overdue', 'lost']);
  });

  it('is never longer than its length after the newest echoed nonce was sent', async () => {
    const step = fc.record({ wait: fc.nat(4_000), sends: fc.boolean(), echoes: fc.option(fc.nat(10)) });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const clock = virtualClock(0);
        const changes: TenureState[] = [];
        const tenure = new Tenure({
          clock,
          tenureMs: 10_000,
          observeMs: 5_000,
          changed: (state) => changes.push(state),
        });
        const sent: { nonce: string; at: number }[] = [];
        let newest = 0;
        let lost = false;
        for (const [at, { wait, sends, echoes }] of steps.entries()) {
          await clock.advance(wait);
          lost ||= clock.elapsed() - newest >= 10_000;
          if (sends) {
            tenure.sent(`n${at}`);
            sent.push({ nonce: `n${at}`, at: clock.elapsed() });
          }
          const echoed = echoes === null ? undefined : sent[echoes];
          if (echoed !== undefined) {
            const counted = tenure.echoed(echoed.nonce);
            if (counted && !lost) newest = Math.max(newest, echoed.at);
            expect(tenure.echoed(echoed.nonce)).toBe(false); // each once
          }
          const age = clock.elapsed() - newest;
          const expected = lost ? 'lost' : age >= 5_000 ? 'overdue' : 'held';
          expect(tenure.state).toBe(expected);
        }
        expect(changes.filter((state) => state === 'lost').length).toBeLessThanOrEqual(1);
        tenure.close();
      }),
      { seed: 21, numRuns: 150 },
    );
  });

  it('needs times that fit each other', () => {
    expect(() => timesOf({ tenureMs: 1_000 })).toThrow(TypeError);
    expect(() => timesOf({ heartbeatMs: 6_000 })).toThrow(TypeError);
    expect(() => timesOf({ graceMs: -1 })).toThrow(TypeError);
    expect(timesOf({ tenureMs: 60_000 })).toMatchObject({ observeMs: 30_000, heartbeatMs: 2_000 });
  });
});

describe('modes', () => {
  it('are ordered, and the lowest counts', () => {
    expect(lowest([])).toBe('actuate');
    fc.assert(
      fc.property(fc.array(fc.constantFrom<Mode>(...MODES), { minLength: 1 }), (modes) => {
        const least = lowest(modes);
        expect(modes).toContain(least);
        expect(modes.every((mode) => modeAtLeast(mode, least))).toBe(true);
      }),
      { seed: 2 },
    );
  });

  it('follow posture and age of the papers', () => {
    const papers = (status: 'affirming' | 'warning' | 'contraindicated' | 'none') =>
      ({ currentUntil: 100, ear: { status } }) as unknown as Parameters<typeof modeOfPapers>[0];
    expect(modeOfPapers(papers('affirming'), 'affirming', 99)).toBe('actuate');
    expect(modeOfPapers(papers('affirming'), 'affirming', 100)).toBe('observe');
    expect(modeOfPapers(papers('warning'), 'affirming', 0)).toBe('suggest');
    expect(modeOfPapers(papers('warning'), 'warning', 0)).toBe('actuate');
    expect(modeOfPapers(papers('contraindicated'), 'warning', 0)).toBe('observe');
  });
});

describe('what a lobby remembers', () => {
  it('is bounded by time, never by forgetting', async () => {
    const clock = virtualClock(0);
    const seen = new SeenOnce<string>(clock, 1_000, 2);
    expect([seen.admit('a'), seen.admit('a'), seen.admit('b'), seen.admit('c')]).toEqual([
      'new',
      'seen',
      'new',
      'full',
    ]);
    seen.keep('a', 'answer');
    expect(seen.valueOf('a')).toBe('answer');
    await clock.advance(1_000);
    expect([seen.admit('c'), seen.admit('a')]).toEqual(['new', 'new']);
  });

  it('lets through a burst, then a steady rate', async () => {
    const clock = virtualClock(0);
    const rate = new Rate(clock, 2, 3);
    const takes = () => [1, 2, 3, 4, 5].filter(() => rate.take()).length;
    expect(takes()).toBe(3);
    await clock.advance(1_000);
    expect(takes()).toBe(2);
    await clock.advance(60_000);
    expect(takes()).toBe(3);
  });
});
