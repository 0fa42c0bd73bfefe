import type { Telling } from '../story.ts';
import type { Plot } from './plot.ts';
import { alarmAt, expectRefused } from './plot.ts';
import { berlin } from './words.ts';

/** Step 7: one call of the owner, and nothing the hub holds counts any more, on any device. */
export async function saleStep(plot: Plot, telling: Telling): Promise<void> {
  const { house } = plot;
  const { tell, expect, explain, refused, figure } = telling;
  const { hub, twins } = house;
  const { pdp } = hub.agent.books.permissions;
  await house.until(berlin('2027-03-29', '12:00'));
  await hub.entrust('open-house');
  const held = pdp.size;
  expect('until now the hub holds grants for five devices', held === 5, `${held} grants`);
  await house.owner.client.revokeAll({ format: 'fealty/owner' }, 'the house is sold');
  tell('owner', 'sells the house: one call');
  await hub.agent.sync();
  expect('the hub asked what was revoked, and holds nothing', pdp.size === 0, `${pdp.size} grants`);
  figure('grantsRevoked', held);

  const tuesday = await alarmAt(plot, berlin('2027-03-30', '07:05'));
  tell('house', 'Tuesday, 07:05, the alarm, somebody at home: all as it should be');
  expectRefused(telling, 'light, heating, coffee, blinds: each refused', tuesday, 'no-grant');
  const [door] = (await hub.run('open-house')).results;
  const grant = door?.decision?.explanation.of?.find(({ op }) => op === 'grant');
  expect(
    'the door: refused, and no grant is left to overrule',
    door?.result === 'refused' && grant?.value === false,
    door?.reason,
  );
  for (const routine of hub.runs.at(-1)?.results ?? []) explain(routine.why.split('\n'));
  await refused('the routine gets no new token', 'revoked', () => hub.entrust('good-morning'));
  await refused('nor does the hub itself', 'revoked', () => hub.agent.authorize());
  await hub.agent.renew();
  await refused('not even with fresh credentials', 'revoked', () => hub.agent.authorize());

  twins.door.sense('locked', false);
  await hub.makeSafe('front-door');
  expect('and the door can still be locked', house.reported('front-door', 'locked') === true);
}
