import { nodePlatform } from 'fealty';
import { pick, seededRandom } from '../../random.ts';
import type { Audience, StoryResult } from '../story.ts';
import { Story } from '../story.ts';
import { House } from './house.ts';
import type { Plot } from './plot.ts';
import { auditStep } from './step-audit.ts';
import { doorStep } from './step-door.ts';
import { fridayStep, refusalStep } from './step-morning.ts';
import { enrolStep, grantStep } from './step-move-in.ts';
import { saleStep } from './step-sale.ts';
import { seasonStep } from './step-seasons.ts';
import { berlin, routinesOf } from './words.ts';

/** How the story is played. */
export interface GoodMorningOptions {
  readonly seed: number;
  /** Nothing is written there: all state is in memory. */
  readonly directory: string;
  readonly audience: Audience;
  readonly signal: AbortSignal;
}

/**
 * The good morning (UC-S4-2; CP-01 to CP-03, OU-09): a home hub through half a year of virtual time, in one process.
 * The same seed gives the same story.
 */
export async function runGoodMorning(options: GoodMorningOptions): Promise<StoryResult> {
  const { seed, audience, signal } = options;
  const { clock } = nodePlatform({ directory: options.directory });
  const story = new Story({ name: 'good-morning', seed, clock, audience });
  const chance = seededRandom(seed, 'good-morning');
  const taste = { level: 40 + pick(chance, 41), target: 19 + pick(chance, 4), cups: 1 + pick(chance, 2) };
  const house = new House({
    seed,
    start: berlin('2026-10-14', '18:00'),
    routines: routinesOf(taste),
    signal,
  });
  const plot: Plot = {
    house,
    ...taste,
    alarmS: 5 + pick(chance, 50),
    flippedAt: pick(chance, 1_000_000) / 1_000_000,
    friday: undefined,
    renewed: { credentials: 0, tokens: 0 },
  };
  try {
    await story.step('The hub proves what it is and is enrolled', (telling) => enrolStep(plot, telling));
    await story.step('The owner grants the morning, once', (telling) => grantStep(plot, telling));
    await story.step('Friday, 07:00: light, heating, coffee, blinds', (telling) => fridayStep(plot, telling));
    await story.step('And not otherwise', (telling) => refusalStep(plot, telling));
    await story.step('Never the front door', (telling) => doorStep(plot, telling));
    await story.step('Across both clock changes, and a winter', (telling) => seasonStep(plot, telling));
    await story.step('The house is sold: one call', (telling) => saleStep(plot, telling));
    await story.step('The audit logs verify, and a flipped byte is found', (telling) =>
      auditStep(plot, telling),
    );
  } finally {
    await house.close();
  }
  signal.throwIfAborted();
  return story.result();
}
