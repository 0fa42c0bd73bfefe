import { slugOf } from '../../../src/core/names.ts';
import type { Telling } from '../story.ts';
import type { Plot } from './plot.ts';
import { soon, until } from './plot.ts';
import { idOf, liftGrant, OTHER_TASK, TASK } from './words.ts';

/** Step 8: the dog is thrown out and reads nothing further; the end takes everything of the task, and nothing else. */
export async function endStep(plot: Plot, { tell, expect, refused }: Telling): Promise<void> {
  const { cast } = plot;
  const dog = cast.robot('dog');
  const vehicle = cast.robot('vehicle');
  const console = cast.robot('console');
  const heard = (robot: 'dog' | 'vehicle') =>
    cast.robot(robot).call('heard', { task: TASK, stream: 'orders' });
  await dog.call('listen', { task: TASK, stream: 'orders' });
  await vehicle.call('listen', { task: TASK, stream: 'orders' });
  await console.call('say', { task: TASK, stream: 'orders', text: 'first' });
  await until(cast, 5_000, async () => (await heard('dog')) === 1 && (await heard('vehicle')) === 1);
  const before = await vehicle.call('holdings', { task: TASK });

  const orders = { domain: plot.domains.get(TASK) ?? '', slug: slugOf(idOf('console')), stream: 'orders' };
  await dog.call('tap', orders);
  await console.call('say', { task: TASK, stream: 'orders', text: 'again' });
  await until(cast, 5_000, async () => (await dog.call('tapped', orders)) === 1);
  const thrown = soon(dog.next('left', 10_000, ({ task }: { task: string }) => task === TASK));
  await console.call('evict', { task: TASK, agentId: idOf('dog'), reason: 'it did not watch its step' });
  await thrown;
  await console.call('say', { task: TASK, stream: 'orders', text: 'second' });
  const vehicleHears = await until(cast, 5_000, async () => (await heard('vehicle')) === 3);
  const after = await vehicle.call('holdings', { task: TASK });
  expect('the dog is thrown out: a new epoch without it', vehicleHears && after.epoch > before.epoch);
  const tapped = await dog.call('tapped', orders);
  expect(
    'it reads nothing further, and the broker delivers it nothing',
    (await heard('dog')) === 2 && tapped === 1,
    `heard ${await heard('dog')} of 3, was delivered ${tapped} of 2`,
  );
  expect(
    'and what it could ask for is gone from the vehicle',
    after.grants < before.grants && !after.members.some((member) => member.startsWith(idOf('dog'))),
  );

  const over = soon(vehicle.next('left', 10_000, ({ task }: { task: string }) => task === TASK));
  await console.call('end', { task: TASK, reason: 'the way is clear' });
  await over;
  tell('console', `ended the domain of ${TASK}`);
  for (const robot of ['vehicle', 'console', 'dog'] as const) {
    const held = await cast.robot(robot).call('holdings', { task: TASK });
    expect(
      `${robot} is no member, and holds nothing of the task`,
      held.mode === 'ended' && held.grants === 0,
    );
  }
  await refused('the issuer gives no token for the task any more', 'revoked', () =>
    vehicle.call('authorize', { function: 'arm-controller', details: [liftGrant(TASK)] }),
  );

  // Mosquitto breaks the connections of a group that it deletes; they come back by themselves, and memberships outlive that.
  const untouched = await until(cast, 8_000, async () => {
    await console.call('say', { task: OTHER_TASK, stream: 'notes', text: 'the planks are dry' });
    return (await vehicle.call('heard', { task: OTHER_TASK, stream: 'notes' })) >= 2;
  });
  await until(cast, 8_000, async () => await dog.call('online', {}));
  const beside = await vehicle.call('holdings', { task: OTHER_TASK });
  const drive = await dog.call('ask', {
    task: OTHER_TASK,
    agentId: idOf('vehicle'),
    device: 'rescue-vehicle',
    action: 'drive',
    arguments: { speed: 0.5 },
    txn: 'txn-drive',
  });
  expect(
    'the domain beside it is untouched: it speaks, and the vehicle drives for it',
    untouched && beside.mode === 'actuate' && drive.permitted && drive.running,
    drive.reason,
  );
  const parked = soon(vehicle.next('left', 10_000, ({ task }: { task: string }) => task === OTHER_TASK));
  await console.call('end', { task: OTHER_TASK, reason: 'enough planks' });
  await parked;
  expect('its end stops the vehicle', (await vehicle.call('holdings', { task: OTHER_TASK })).running === 0);
}
