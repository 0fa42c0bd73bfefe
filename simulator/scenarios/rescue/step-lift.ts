import type { Telling } from '../story.ts';
import type { Plot } from './plot.ts';
import { soon, until } from './plot.ts';
import { idOf, LIDAR_AGE_MS, SITE, TASK } from './words.ts';

interface Ended {
  readonly cause: string;
  readonly reason: string;
  readonly lines: readonly string[];
}

interface Denied {
  readonly reason: string;
  readonly lines: readonly string[];
}

const metresPerDegree = 111_320;

/** The dog, or who else, asks the vehicle for its arm. */
function askForArm({ cast }: Plot, height: number, txn: string, who: 'dog' | 'console' = 'dog') {
  return cast.robot(who).call('ask', {
    task: TASK,
    agentId: idOf('vehicle'),
    device: 'rescue-vehicle',
    action: 'lift-obstacle',
    arguments: { height },
    txn,
  });
}

/** Step 5: sealed lidar events; domain alive, inside the fence, lidar clear and fresh: the arm moves, and is done. */
export async function liftStep(plot: Plot, { tell, expect }: Telling): Promise<void> {
  const { cast, liftM } = plot;
  const vehicle = cast.robot('vehicle');
  await vehicle.call('listen', { task: TASK, stream: 'lidar' });
  await vehicle.next('heard', 5_000, (heard: { stream: string }) => heard.stream === 'lidar');
  tell('dog', 'streams what its lidar sees, sealed, ten times a second');
  const done = soon<Ended>(vehicle.next('ended', 10_000));
  const answer = await askForArm(plot, liftM, 'txn-lift');
  expect(
    'the dog may ask, the vehicle may act, and all three conditions are true: the arm moves',
    answer.permitted && answer.running,
    answer.reason,
  );
  const end = await done;
  expect(`the obstacle is lifted by ${liftM.toFixed(2)} m`, end?.cause === 'done', end?.cause);
}

/** Step 6: the lease ends when the dog reports an obstacle, or falls silent; outside the fence and stale: denied. */
export async function stopStep(plot: Plot, { tell, expect, explain, figure }: Telling): Promise<void> {
  const { cast, metresAway } = plot;
  const dog = cast.robot('dog');
  const vehicle = cast.robot('vehicle');
  const clear = async () => {
    await vehicle.call('resetSteps', {});
    await dog.call('sense', { property: 'lidar-clear', value: true });
    await until(cast, 3_000, async () => (await askForArm(plot, 0, 'txn-probe')).permitted);
    await until(cast, 3_000, async () => (await vehicle.call('holdings', { task: TASK })).running === 0);
  };
  const refusedBecause = async (what: string, reason: string, height: number, txn: string) => {
    const told = soon<Denied>(vehicle.next('denied', 5_000));
    const answer = await askForArm(plot, height, txn);
    expect(what, !answer.permitted && answer.reason === reason, answer.reason);
    explain((await told)?.lines ?? []);
  };

  await clear();
  const stranger = await askForArm(plot, 0.5, 'txn-console', 'console');
  expect(
    'asked by the console, to which no such right is assigned: denied',
    !stranger.permitted && stranger.reason === 'no-grant',
    stranger.reason,
  );
  await clear();
  let ended = soon<Ended>(vehicle.next('ended', 10_000));
  const running = await askForArm(plot, 1.5, 'txn-obstacle');
  await cast.clock.sleep(400);
  await dog.call('sense', { property: 'lidar-clear', value: false });
  await dog.call('happen', { event: 'obstacle-seen' });
  const stopped = await ended;
  // Long enough for some more control periods, if anybody still fed the arm.
  await cast.clock.sleep(400);
  const steps = (await vehicle.call('steps', {})) ?? Number.POSITIVE_INFINITY;
  expect(
    'the dog sees somebody under the arm: the lease ends, and the arm stops within one control period',
    running.running && stopped?.cause === 'withdrawn' && stopped.reason === 'condition' && steps <= 1,
    `${steps} steps of the arm after the report`,
  );
  figure('stepsAfterObstacle', steps);
  explain(stopped?.lines ?? []);

  await clear();
  ended = soon<Ended>(vehicle.next('ended', 10_000));
  const again = await askForArm(plot, 1.5, 'txn-silence');
  await cast.clock.sleep(300);
  await dog.call('mute', { silent: true });
  tell('dog', 'falls silent');
  const silence = await ended;
  expect(
    `silence is no permission: the arm stops when the last report is ${LIDAR_AGE_MS / 1000} s old`,
    again.running && silence?.cause === 'withdrawn' && silence.reason === 'unknown',
    silence?.reason,
  );
  await refusedBecause('and with a stale lidar it does not start: denied', 'unknown', 0.5, 'txn-stale');

  await dog.call('mute', { silent: false });
  await clear();
  ended = soon<Ended>(vehicle.next('ended', 10_000));
  const deaf = await askForArm(plot, 1.5, 'txn-deaf');
  await cast.clock.sleep(300);
  // No report of anybody comes now that could make the vehicle look again.
  await Promise.all([dog.call('mute', { silent: true }), vehicle.call('mute', { silent: true })]);
  const unheard = await ended;
  expect(
    'nor when every sensor is silent, its own too: the arm stops by the clock alone',
    // Its own load is as old as the dog's word: unknown makes a house rule fire, too.
    deaf.running &&
      unheard?.cause === 'withdrawn' &&
      (unheard.reason === 'unknown' || unheard.reason === 'prohibited'),
    unheard?.reason,
  );

  await Promise.all([dog.call('mute', { silent: false }), vehicle.call('mute', { silent: false })]);
  await clear();
  const position = {
    latitude: SITE.latitude + metresAway / metresPerDegree,
    longitude: SITE.longitude,
    accuracyM: 1,
  };
  await vehicle.call('sense', { property: 'position', value: position });
  await refusedBecause(
    `${metresAway} m away from the site, outside the fence: denied`,
    'condition',
    0.5,
    'txn-fence',
  );
  await vehicle.call('sense', { property: 'position', value: { ...position, latitude: SITE.latitude } });
  await refusedBecause('higher than the grant allows: denied', 'outside-grant', 1.8, 'txn-height');
  await vehicle.call('sense', { property: 'load', value: 300 });
  await refusedBecause(
    'with too much on the arm, the house rule forbids it: denied',
    'prohibited',
    0.5,
    'txn-load',
  );
  await vehicle.call('sense', { property: 'load', value: 0 });
  const unrecorded = await vehicle.call('unrecorded', {});
  expect(
    'whenever the arm began to move, its permit was on disk already',
    unrecorded === 0,
    `${unrecorded} times it was not`,
  );
}
