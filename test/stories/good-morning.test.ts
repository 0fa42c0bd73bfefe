import { beforeAll, describe, expect, it } from 'vitest';
import { runGoodMorning } from '../../simulator/scenarios/good-morning/index.ts';
import type { StoryResult } from '../../simulator/scenarios/story.ts';

const silent = { stepBegan() {}, told() {}, expected() {}, explained() {}, stepEnded() {} };

function play(seed: number): Promise<StoryResult> {
  const { signal } = new AbortController();
  return runGoodMorning({ seed, directory: 'nowhere', audience: silent, signal });
}

/** What each step has to show; one that is missing is a failure, as is one that does not hold. */
const steps: Readonly<Record<string, readonly string[]>> = {
  'The hub proves what it is and is enrolled': [
    "the maker's certificate says that HUB-0023 has its key in its TPM for good",
    'the hub is spiffe://home.example/agent/hub',
    'the owner certified a second key in the same TPM',
    'what runs in it is what the owner knows',
    'the owner sees one enrolled agent',
  ],
  'The owner grants the morning, once': [
    'before the owner grants anything, the routine gets no token',
    'the hub gives its own function `good-morning` a token, and that function alone may use it',
    'it is for four devices, and the front door is not one of them',
    'the owner’s conditions are inside: window, alarm, somebody at home',
    'the hub cannot give a function more than it has: not brighter',
    'nor at any other time',
  ],
  'Friday, 07:00: light, heating, coffee, blinds': [
    'bedroom-light: set-brightness',
    'thermostat: set-temperature',
    'coffee-maker: brew',
    'blinds: set-open',
    'the light is at 77 %, it gets 20 °C, 2 cups brew, the blinds are open',
  ],
  'And not otherwise': [
    'not at 07:31',
    'not on Saturday',
    'not without the alarm',
    'not when nobody is at home',
    'silence is no permission: what was right at 07:00 …',
    '… is refused at 07:04',
    'not more than granted: bedroom-light with level 100',
    'not more than granted: thermostat with target 26',
    'not more than granted: coffee-maker with cups 6',
  ],
  'Never the front door': [
    'a routine that would open the door gets no token',
    'and when it runs, the house rule refuses it',
    'the issuer may issue that: the owner asked for it',
    'the hub refuses it all the same, and names the rule: no grant widens a house rule',
    'the lock was never told to open',
    'locking is the safe state: it needs no grant, and works',
  ],
  'Across both clock changes, and a winter': [
    'October: Friday’s 07:05 is 05:05 UTC, Monday’s is 06:05 UTC',
    '2026-10-23, 07:05 in the house: done',
    '2026-10-26, 05:05 UTC, 06:05 in the house: refused',
    '2026-10-26, 06:05 UTC, 07:05 in the house: done',
    'March: Friday’s 07:05 is 06:05 UTC, Monday’s is 05:05 UTC',
    '2027-03-26, 07:05 in the house: done',
    '2027-03-29, 05:05 UTC, 07:05 in the house: done',
    '2027-03-29, 06:05 UTC, 08:05 in the house: refused',
    'credentials and tokens renewed themselves all winter',
  ],
  'The house is sold: one call': [
    'until now the hub holds grants for five devices',
    'the hub asked what was revoked, and holds nothing',
    'light, heating, coffee, blinds: each refused',
    'the door: refused, and no grant is left to overrule',
    'the routine gets no new token',
    'nor does the hub itself',
    'not even with fresh credentials',
    'and the door can still be locked',
  ],
  'The audit logs verify, and a flipped byte is found': [
    'hub: the log verifies to its end, and its TPM vouches for it',
    'hub: a byte flipped in a copy is found',
    'authority: the log verifies to its end, and its log key signed it',
    'authority: a byte flipped in a copy is found',
    'hub: a refusal rewritten as a permit is found',
    'Friday can be followed: the alarm, then for each device the decision before the action, and its outcome',
  ],
};

/** The good morning (UC-S4-2; CP-01 to CP-03, OU-09): what `npm run good-morning` tells, step by step. */
describe('the good morning', () => {
  let story: StoryResult;
  beforeAll(async () => {
    story = await play(1);
  }, 120_000);

  it('has these steps, and held', () => {
    expect(story.steps.map(({ title }) => title)).toEqual(Object.keys(steps));
    expect(story.held).toBe(true);
  });

  it.each(Object.keys(steps))('%s', (title) => {
    const step = story.steps.find((one) => one.title === title);
    expect(step?.expectations.filter(({ held }) => !held)).toEqual([]);
    expect(step?.expectations.map(({ what }) => what)).toEqual(steps[title]);
    expect(step?.result).toBe('held');
  });

  it('is the same for the same seed, but for how long it took', async () => {
    const timeless = (result: StoryResult) => ({
      ...result,
      ms: 0,
      steps: result.steps.map((step) => ({ ...step, ms: 0 })),
    });
    expect(timeless(await play(1))).toEqual(timeless(story));
  }, 120_000);

  it('ends when it is interrupted', async () => {
    const ended = new AbortController();
    ended.abort(new Error('interrupted'));
    const audience = silent;
    await expect(
      runGoodMorning({ seed: 1, directory: 'nowhere', audience, signal: ended.signal }),
    ).rejects.toThrow('interrupted');
  });
});
