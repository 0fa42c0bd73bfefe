import { slugOf } from '../../../src/core/names.ts';
import type { Telling } from '../story.ts';
import type { Plot } from './plot.ts';
import { soon, until } from './plot.ts';
import { boundsOf } from './step-domain.ts';
import { idOf, TASK } from './words.ts';

const TRAP = 'trap-1';

/** Step 7: certificates and short-lived keys of the dog, but not its TPM: refused at enrolment, handshake, message. */
export async function impostorStep(plot: Plot, { tell, expect, refused }: Telling): Promise<void> {
  const { cast } = plot;
  const dog = cast.robot('dog');
  const vehicle = cast.robot('vehicle');
  const console = cast.robot('console');
  const domain = plot.domains.get(TASK) ?? '';
  const slug = slugOf(idOf('dog'));
  // One that the vehicle has heard, and one that it has not: on that stream only the console listens in.
  const heardBefore = await vehicle.call('capture', { domain, slug, stream: 'lidar' });
  const neverHeard = await console.call('capture', { domain, slug, stream: 'odometry' });
  const loot = await dog.call('loot', {});
  const impostor = await cast.startImpostor();
  tell(
    'impostor',
    'has the dog’s certificates, tokens, short-lived keys and enrolment request; and a TPM of his own',
  );

  await refused('at enrolment: his TPM cannot open the challenge', 'credential-activation', () =>
    impostor.call('enrol', { loot, authority: cast.url }),
  );

  const other = await vehicle.call('loot', {});
  await refused('at enrolment: the voucher is for another robot', 'voucher', () =>
    impostor.call('borrow', { loot, of: other, authority: cast.url }),
  );
  await refused('at enrolment: no maker says that this key is restricted, as an IAK is', 'iak-policy', () =>
    impostor.call('swap', { loot, authority: cast.url }),
  );

  await dog.call('radio', { on: false });
  tell('dog', 'is in a tunnel, out of reach');
  await impostor.call('connect', { loot, broker: cast.broker });
  tell(
    'broker',
    'lets the copied certificate in: it is good for another while, and nobody trusts the broker',
  );
  await impostor.call('lurk', { loot });
  await console.call('convene', {
    task: TRAP,
    mission: 'Who comes?',
    bounds: boundsOf(TASK, 'lift-obstacle'),
  });
  await refused('at the handshake: nothing of his TPM signs for the dog', 'ldevid-signature', () =>
    console.call('invite', { task: TRAP, capabilities: ['lidar'], role: 'scout' }),
  );
  await console.call('end', { task: TRAP, reason: 'the trap is closed' });

  const heard = async (what: string, check: string, send: () => Promise<unknown>) => {
    const refusal = soon<{ check: string; from: string }>(vehicle.next('refused', 5_000));
    await send();
    const seen = await refusal;
    expect(
      what,
      seen?.check === check && seen.from.includes(slug),
      seen === undefined ? 'nothing was refused' : `refused by ${seen.check}`,
    );
  };
  await heard('at the message: a session key that no member’s TPM delegated', 'unknown-sender', () =>
    impostor.call('forge', { loot, domain, stream: 'lidar' }),
  );
  await heard('a message of the dog’s, sent again', 'replay', () =>
    impostor.call('replay', { loot, domain, stream: 'lidar', message: heardBefore }),
  );
  await heard('a message of the dog’s, moved to another topic', 'seal', () =>
    impostor.call('replay', { loot, domain, stream: 'lidar', message: neverHeard }),
  );
  await impostor.stop();
  await dog.call('radio', { on: true });
  expect(
    'the dog comes out of the tunnel and is a member as before',
    (await until(cast, 15_000, async () => await dog.call('online', {}))) &&
      (await until(cast, 5_000, async () => (await dog.call('holdings', { task: TASK })).mode === 'actuate')),
  );
}
