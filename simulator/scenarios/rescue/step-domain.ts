import { slugOf } from '../../../src/core/names.ts';
import type { GroupBounds } from '../../../src/tokens/index.ts';
import type { Telling } from '../story.ts';
import type { Plot } from './plot.ts';
import { until } from './plot.ts';
import { askGrant, idOf, OTHER_TASK, ROBOTS, TASK, TRUST_DOMAIN } from './words.ts';

/** Who may take part, in which role, and what each role may ask for at most. */
export function boundsOf(task: string, action: 'lift-obstacle' | 'drive'): GroupBounds {
  return {
    trustDomains: [TRUST_DOMAIN],
    roles: {
      scout: { capabilities: ['lidar'], authorization_details: [askGrant(task, action)], max: 1 },
      carrier: { capabilities: ['arm.lift'], authorization_details: [], max: 2 },
    },
    maxMembers: 4,
    posture: 'warning',
    assignLate: true,
    statusBoundS: 600,
  };
}

/** Step 4: one group grant, found by capability, invited, checked by each other; keys, roster, log. And one beside it. */
export async function domainStep(plot: Plot, { tell, expect, figure }: Telling): Promise<void> {
  const { cast } = plot;
  const console = cast.robot('console');
  await console.call('connect', {});
  if (cast.options.broker === 'mosquitto')
    await console.call('enrolAtBroker', { slugs: [slugOf(idOf('dog')), slugOf(idOf('vehicle'))] });
  await cast.robot('dog').call('connect', {});
  await cast.robot('vehicle').call('connect', {});
  tell('broker', 'three connections, each with the certificate of its robot');

  const began = cast.clock.elapsed();
  const { domain } = await console.call('convene', {
    task: TASK,
    mission: 'Clear the way to the house at the corner',
    bounds: boundsOf(TASK, 'lift-obstacle'),
  });
  plot.domains.set(TASK, domain);
  tell('console', `convened the domain of ${TASK} under one group grant`);
  const roles = { dog: 'scout', vehicle: 'carrier' } as const;
  for (const robot of plot.order) {
    if (robot === 'console') continue;
    const [capability = ''] = robot === 'dog' ? ROBOTS.dog.capabilities : ROBOTS.vehicle.capabilities;
    const [offers, ...others] = await console.call('seek', { capabilities: [capability] });
    expect(`${robot} alone offers \`${capability}\``, offers === idOf(robot) && others.length === 0, offers);
    const found = await console.call('invite', {
      task: TASK,
      capabilities: [capability],
      role: roles[robot],
    });
    expect(`the one found for \`${capability}\`, invited and checked, is ${robot}`, found === idOf(robot));
  }
  figure('formMs', Math.round(cast.clock.elapsed() - began));
  for (const robot of ['dog', 'vehicle', 'console'] as const)
    expect(
      `${robot} sees the same roster of three, and may act`,
      await until(cast, 5_000, async () => {
        const { members, mode } = await cast.robot(robot).call('holdings', { task: TASK });
        return members.length === 3 && mode === 'actuate';
      }),
    );

  const beside = await console.call('convene', {
    task: OTHER_TASK,
    mission: 'Carry planks to the bridge',
    bounds: boundsOf(OTHER_TASK, 'drive'),
  });
  plot.domains.set(OTHER_TASK, beside.domain);
  await console.call('invite', { task: OTHER_TASK, capabilities: ['arm.lift'], role: 'carrier' });
  await console.call('invite', { task: OTHER_TASK, capabilities: ['lidar'], role: 'scout' });
  await cast.robot('vehicle').call('listen', { task: OTHER_TASK, stream: 'notes' });
  await console.call('say', { task: OTHER_TASK, stream: 'notes', text: 'planks are at the gate' });
  expect(
    `a second domain, of ${OTHER_TASK}, runs beside it`,
    await until(
      cast,
      5_000,
      async () => (await cast.robot('vehicle').call('heard', { task: OTHER_TASK, stream: 'notes' })) === 1,
    ),
  );
}
