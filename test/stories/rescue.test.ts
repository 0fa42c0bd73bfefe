/**
 * The rescue (UC-S1b, OS-03, OS-04): what `npm start` tells, step by step. The parties are processes of their own over
 * real sockets; each expectation is made by the story itself, and here it is said which ones there must be.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runRescue } from '../../simulator/scenarios/rescue/index.ts';
import type { Audience, StoryResult } from '../../simulator/scenarios/story.ts';
import { needs } from '../peers/present.ts';

const silent: Audience = { stepBegan() {}, told() {}, expected() {}, explained() {}, stepEnded() {} };

/** What each step must have expected, in order. */
const steps: readonly (readonly [title: RegExp, ...expectations: RegExp[]])[] = [
  [
    /EK, an IAK and an IDevID/,
    /^dog: the IDevID of DOG-0001 says that its key is fixed in the TPM, the IAK also that it is restricted/,
    /^vehicle: the IDevID of VEH-0042/,
    /^console: the IDevID of CON-0007/,
  ],
  [
    /proves what it is and enrols/,
    /^dog is spiffe:\/\/rescue\.example\/agent\/dog$/,
    /^vehicle is spiffe:\/\/rescue\.example\/agent\/vehicle$/,
    /^console is spiffe:\/\/rescue\.example\/agent\/console$/,
    /^the registry takes no capability that was not signed/,
    /^the owner sees three enrolled agents$/,
  ],
  [
    /a token for itself, with conditions inside/,
    /as resource owner, gave its arm controller a token with the three conditions inside/,
    /^a token is not enough: while there is no task domain/,
    /^the dog has a token for itself/,
    /bound to a key of its own/,
    /refused a token that walks faster than its grant/,
  ],
  [
    /convenes a task domain of strangers/,
    /^(dog|vehicle) alone offers/,
    /invited and checked, is (dog|vehicle)$/,
    /^(dog|vehicle) alone offers/,
    /invited and checked, is (dog|vehicle)$/,
    /^dog sees the same roster of three, and may act/,
    /^vehicle sees the same roster of three, and may act/,
    /^console sees the same roster of three, and may act/,
    /^a second domain, of bridge-2, runs beside it/,
  ],
  [
    /The arm moves/,
    /the dog may ask, the vehicle may act, and all three conditions are true: the arm moves/,
    /^the obstacle is lifted by/,
  ],
  [
    /The arm stops, or never starts/,
    /^asked by the console, to which no such right is assigned: denied/,
    /the lease ends, and the arm stops within one control period/,
    /silence is no permission: the arm stops when the last report is 2 s old/,
    /with a stale lidar it does not start: denied/,
    /^nor when every sensor is silent, its own too: the arm stops by the clock alone/,
    /outside the fence: denied/,
    /higher than the grant allows: denied/,
    /the house rule forbids it: denied/,
    /its permit was on disk already/,
  ],
  [
    /An impostor/,
    /^at enrolment: his TPM cannot open the challenge/,
    /^at enrolment: the voucher is for another robot/,
    /^at enrolment: no maker says that this key is restricted, as an IAK is/,
    /^at the handshake: nothing of his TPM signs for the dog/,
    /^at the message: a session key that no member’s TPM delegated/,
    /^a message of the dog’s, sent again/,
    /^a message of the dog’s, moved to another topic/,
    /^the dog comes out of the tunnel and is a member as before/,
  ],
  [
    /thrown out; then everything ends at once/,
    /^the dog is thrown out: a new epoch without it/,
    /^it reads nothing further, and the broker delivers it nothing/,
    /^and what it could ask for is gone from the vehicle/,
    /^vehicle is no member, and holds nothing of the task/,
    /^console is no member, and holds nothing of the task/,
    /^dog is no member, and holds nothing of the task/,
    /^the issuer gives no token for the task any more/,
    /^the domain beside it is untouched: it speaks, and the vehicle drives for it/,
    /^its end stops the vehicle/,
  ],
  [
    /The audit logs verify/,
    /^dog: the log verifies, and its TPM's counter vouches for it to the end/,
    /^dog: byte \d+ flipped in a copy is found/,
    /^dog: the same with every hash after it made to fit is found/,
    /^dog: the end cut off a copy is missed/,
    /^vehicle: the log verifies/,
    /^vehicle: byte \d+ flipped/,
    /^vehicle: the same with every hash after it made to fit is found/,
    /^vehicle: the end cut off a copy is missed/,
    /^console: the log verifies/,
    /^console: byte \d+ flipped/,
    /^console: the same with every hash after it made to fit is found/,
    /^console: the end cut off a copy is missed/,
    /^authority: the log verifies, signed by its log key/,
    /^authority: byte \d+ flipped/,
    /^authority: the same with every hash after it made to fit is found/,
    /decided before it began, and how it ended/,
  ],
];

const variants = [
  { tpm: 'software', broker: 'embedded', here: true },
  { tpm: 'swtpm', broker: 'mosquitto', here: needs('swtpm') && needs('mosquitto') },
] as const;

describe.each(variants.filter(({ here }) => here))('a rescue with $tpm and $broker', ({ tpm, broker }) => {
  let directory: string;
  let result: StoryResult;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fealty-story-'));
    result = await runRescue({
      seed: 7,
      directory,
      tpm,
      broker,
      audience: silent,
      signal: new AbortController().signal,
    });
  }, 180_000);
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it.each(steps.map(([title, ...expectations], at) => ({ at, title, expectations })))(
    'step $at: $title',
    ({ at, title, expectations }) => {
      const step = result.steps[at];
      expect(step?.title).toMatch(title);
      expect(step?.expectations.filter(({ held }) => !held)).toEqual([]);
      expect(step?.result).toBe('held');
      expect(step?.expectations).toHaveLength(expectations.length);
      for (const [index, expectation] of expectations.entries())
        expect(step?.expectations[index]?.what).toMatch(expectation);
    },
  );

  it('holds as a whole, and says how', () => {
    expect(result).toMatchObject({ story: 'rescue', seed: 7, held: true });
    expect(result.steps).toHaveLength(steps.length);
    expect(result.figures['stepsAfterObstacle']).toBeLessThanOrEqual(1);
  });

  it('leaves what it kept where it was told to, and no secret readable by others', async () => {
    expect((await readdir(directory)).sort()).toEqual(
      expect.arrayContaining(['authority', 'console', 'dog', 'vehicle']),
    );
  });
});
