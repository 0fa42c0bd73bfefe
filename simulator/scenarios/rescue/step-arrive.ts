import { OID, parseCertificate } from '../../../src/identity/index.ts';
import type { Telling } from '../story.ts';
import { make, openLine, sell } from './factory.ts';
import type { Plot } from './plot.ts';
import { clockTime } from './plot.ts';
import type { RobotName } from './words.ts';
import {
  askGrant,
  driveGrant,
  idOf,
  liftGrant,
  OTHER_TASK,
  ROBOTS,
  TASK,
  TRUST_DOMAIN,
  walkGrant,
} from './words.ts';

const robots: readonly RobotName[] = ['dog', 'vehicle', 'console'];

/** Step 1: authority, broker, maker; three TPMs leave the line with certificates (TCG profile) in their NV. */
export async function arriveStep({ cast }: Plot, { tell, expect }: Telling): Promise<void> {
  await cast.startAuthority();
  tell('authority', `serves ${cast.url} (SQLite, for simulation)`);
  await cast.startBroker();
  tell('broker', `${cast.options.broker} at ${cast.broker}`);
  const line = await openLine(cast);
  for (const robot of robots) {
    const made = await make(cast, line, robot);
    const idevid = parseCertificate(made.idevidCertificate);
    const iak = parseCertificate(made.iakCertificate);
    const policies = idevid.policies ?? [];
    expect(
      `${robot}: the IDevID of ${made.serial} says that its key is fixed in the TPM, the IAK also that it is restricted`,
      idevid.subject.serialNumber === made.serial &&
        iak.subject.serialNumber === made.serial &&
        policies.includes(OID.verifiedTpmFixed) &&
        !policies.includes(OID.verifiedTpmRestricted) &&
        (iak.policies ?? []).includes(OID.verifiedTpmRestricted),
    );
    await cast.startRobot(robot, await sell(cast, line, robot));
    tell(robot, `sold to the owner of ${TRUST_DOMAIN}: voucher, binding, endorsement of its software`);
  }
}

/** Step 2: voucher, IDevID, certify, activation, quote → LDevID, WIT, WIC; then each registers what it can do. */
export async function enrolStep({ cast }: Plot, { tell, expect, refused }: Telling): Promise<void> {
  for (const robot of robots) {
    const actor = cast.robot(robot);
    const { agentId, notAfter } = await actor.call('enrol', {});
    expect(`${robot} is ${agentId}`, agentId === idOf(robot), `credentials until ${clockTime(notAfter)}`);
    await actor.call('register', {});
    tell(robot, `registered: ${ROBOTS[robot].capabilities.join(', ')}`);
  }
  await refused(
    'the registry takes no capability that was not signed: `arm.lift` for the dog',
    'capabilities',
    () => cast.robot('dog').call('boast', { capabilities: ['arm.lift', ...ROBOTS.dog.capabilities] }),
  );
  const listed = await cast.owner.client.agents();
  expect(
    'the owner sees three enrolled agents',
    listed.filter(({ status }) => status === 'active').length === 3,
  );
}

/** Step 3: the owner grants; each gets a DPoP-bound token in its own name, the vehicle for its arm's own function. */
export async function tokenStep({ cast }: Plot, { tell, expect, refused }: Telling): Promise<void> {
  const { client } = cast.owner;
  await client.addGrants(idOf('vehicle'), [liftGrant(TASK), driveGrant(OTHER_TASK)]);
  await client.addGrants(idOf('dog'), [walkGrant(TASK)]);
  await client.addGrants(idOf('console'), [
    {
      type: 'fealty/convene',
      trustDomains: [TRUST_DOMAIN],
      authorization_details: [askGrant(TASK, 'lift-obstacle'), askGrant(OTHER_TASK, 'drive')],
      maxMembers: 8,
    },
  ]);
  const vehicle = await cast.robot('vehicle').call('authorize', {
    function: 'arm-controller',
    details: [liftGrant(TASK)],
  });
  const lift = vehicle.details[0];
  expect(
    'the vehicle, as resource owner, gave its arm controller a token with the three conditions inside',
    lift?.condition?.op === 'and' && lift.condition.of.map(({ op }) => op).join(' ') === 'domain geo state',
    `until ${clockTime(vehicle.expiresAt)}`,
  );
  const own = await cast.robot('vehicle').call('authorize', { details: [driveGrant(OTHER_TASK)] });
  const early = await cast.robot('vehicle').call('act', {
    task: OTHER_TASK,
    device: 'rescue-vehicle',
    action: 'drive',
    arguments: { speed: 0.5 },
    txn: 'txn-early',
  });
  expect(
    'a token is not enough: while there is no task domain, the vehicle does not drive for it',
    !early.permitted && early.reason === 'condition',
    early.reason,
  );
  const dog = await cast.robot('dog').call('authorize', { details: [walkGrant(TASK)] });
  expect('the dog has a token for itself', dog.details[0]?.device === 'robot-dog');
  expect(
    'each token is bound to a key of its own, that of the arm controller too',
    new Set([dog.key, own.key, vehicle.key]).size === 3,
  );
  tell('issuer', 'tokens for five minutes, bound by DPoP');
  await refused('the dog is refused a token that walks faster than its grant', 'owner-policy', () =>
    cast.robot('dog').call('authorize', {
      details: [{ ...walkGrant(TASK), arguments: { walk: { speed: { max: 2 } } } }],
    }),
  );
}
