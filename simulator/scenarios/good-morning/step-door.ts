import type { Telling } from '../story.ts';
import type { Plot } from './plot.ts';
import { HOUSE_RULE, HUB_ID, UNLOCK_GRANT } from './words.ts';

/** Step 5: no routine and no grant opens the front door; locking it always works. */
export async function doorStep({ house }: Plot, { tell, expect, explain, refused }: Telling): Promise<void> {
  const { hub, twins } = house;
  await refused('a routine that would open the door gets no token', 'owner-policy', () =>
    hub.entrust('open-house'),
  );
  const [bare] = (await hub.run('open-house')).results;
  expect(
    'and when it runs, the house rule refuses it',
    bare?.reason === 'prohibited' && bare.decision?.rule === HOUSE_RULE.id,
    `${bare?.reason}: ${bare?.decision?.rule}`,
  );
  await house.owner.client.addGrants(HUB_ID, [UNLOCK_GRANT]);
  tell('owner', 'grants it after all, at any time and without a condition');
  const token = await hub.entrust('open-house');
  expect(
    'the issuer may issue that: the owner asked for it',
    token.authorizationDetails[0]?.actions.join() === 'unlock',
  );
  const [granted] = (await hub.run('open-house')).results;
  const grant = granted?.decision?.explanation.of?.find(({ op }) => op === 'grant');
  expect(
    'the hub refuses it all the same, and names the rule: no grant widens a house rule',
    granted?.reason === 'prohibited' && granted.decision?.rule === HOUSE_RULE.id && grant?.value === true,
    `${granted?.reason}: ${granted?.decision?.rule}`,
  );
  explain(granted?.why.split('\n') ?? []);
  hub.withdraw('open-house');
  expect(
    'the lock was never told to open',
    !twins.door.journal.some(({ action }) => action === 'unlock') &&
      house.reported('front-door', 'locked') === true,
  );
  twins.door.sense('locked', false);
  tell('house', 'somebody left the door unlocked, by hand');
  await hub.makeSafe('front-door');
  expect(
    'locking is the safe state: it needs no grant, and works',
    house.reported('front-door', 'locked') === true && twins.door.journal.at(-1)?.action === 'lock',
  );
}
