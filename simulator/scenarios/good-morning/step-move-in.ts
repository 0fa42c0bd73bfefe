import { peekPayload } from '../../../src/core/jws.ts';
import { sameKey } from '../../../src/core/signer.ts';
import { jwkOfSpki, OID, parseCertificate } from '../../../src/identity/index.ts';
import type { Telling } from '../story.ts';
import { make, sell } from './factory.ts';
import type { Plot } from './plot.ts';
import { HUB_ID, OWNERS_GRANTS, PRODUCT, TRUST_DOMAIN } from './words.ts';

/** Step 1: from the maker's line to an enrolled hub. */
export async function enrolStep({ house, renewed }: Plot, { tell, expect }: Telling): Promise<void> {
  const { platform, tpmStore } = house;
  await house.openAuthority();
  tell('authority', `answers for ${TRUST_DOMAIN}, inside the hub (SQLite in memory, for simulation)`);
  const { line, made } = await make(platform, tpmStore);
  const idevid = parseCertificate(made.idevidCertificate);
  expect(
    `the maker's certificate says that ${PRODUCT.serial} has its key in its TPM for good`,
    idevid.subject.serialNumber === PRODUCT.serial && (idevid.policies ?? []).includes(OID.verifiedTpmFixed),
  );
  const { client, key } = house.owner;
  const { certificate } = house.authority.ca;
  const papers = await sell(platform, line, { client, key, certificate }, await house.measurements());
  tell('maker', 'sold it: voucher, endorsement of its software; the owner bound the serial number to a name');
  await house.openHub(papers);
  const { agent } = house.hub;
  agent.on('enrolled', () => {
    renewed.credentials++;
  });
  agent.on('authorized', () => {
    renewed.tokens++;
  });
  const credentials = await house.hub.enrol();
  expect(`the hub is ${HUB_ID}`, credentials.agentId === HUB_ID, agent.state);
  const [ldevid] = credentials.ldevidChain.map(parseCertificate);
  expect(
    'the owner certified a second key in the same TPM',
    ldevid !== undefined &&
      sameKey(jwkOfSpki(ldevid.spki), agent.enrolled.keys.ldevid.publicJwk) &&
      (ldevid.policies ?? []).includes(OID.verifiedTpmResidency),
  );
  const status = agent.books.posture.current()?.status;
  expect('what runs in it is what the owner knows', status === 'affirming' || status === 'warning', status);
  const agents = await client.agents();
  expect(
    'the owner sees one enrolled agent',
    agents.length === 1 && agents[0]?.status === 'active' && agents[0].serial === PRODUCT.serial,
  );
}

/** Step 2: one grant of the owner; the hub, as resource owner, hands a narrowed part to a function of its own. */
export async function grantStep({ house }: Plot, { tell, expect, refused }: Telling): Promise<void> {
  const { hub } = house;
  await refused('before the owner grants anything, the routine gets no token', 'owner-policy', () =>
    hub.entrust('good-morning'),
  );
  await house.owner.client.addGrants(HUB_ID, OWNERS_GRANTS);
  tell('owner', 'workdays 07:00 to 07:30, within 5 minutes of the alarm, while somebody is at home:');
  tell('owner', 'light to 80 %, heating to 22 °C, two cups, the blinds');
  const token = await hub.entrust('good-morning');
  const claims = peekPayload(token.accessToken);
  const { act } = claims as { act?: { sub?: string } };
  expect(
    'the hub gives its own function `good-morning` a token, and that function alone may use it',
    act?.sub === `${HUB_ID}#good-morning` && token.key.kid !== hub.agent.enrolled.keys.credential.kid,
    act?.sub,
  );
  const devices = token.authorizationDetails.map(({ device }) => device).sort();
  expect(
    'it is for four devices, and the front door is not one of them',
    devices.join(' ') === 'bedroom-light blinds coffee-maker thermostat',
    devices.join(', '),
  );
  expect(
    'the owner’s conditions are inside: window, alarm, somebody at home',
    token.authorizationDetails.every(
      ({ condition }) =>
        condition?.op === 'and' && condition.of.map(({ op }) => op).join(' ') === 'window event state',
    ),
  );
  const [light] = OWNERS_GRANTS;
  if (light === undefined) throw new Error('no grant for the light');
  await refused('the hub cannot give a function more than it has: not brighter', 'owner-policy', () =>
    hub.agent.authorize({
      function: 'greedy',
      authorizationDetails: [{ ...light, arguments: { 'set-brightness': { level: { max: 100 } } } }],
    }),
  );
  await refused('nor at any other time', 'owner-policy', () =>
    hub.agent.authorize({
      function: 'greedy',
      authorizationDetails: [
        { ...light, condition: { op: 'expires', at: Math.floor(house.clock.now() / 1000) + 86_400 } },
      ],
    }),
  );
  hub.arm();
  tell('hub', 'waits for the alarm clock');
}
