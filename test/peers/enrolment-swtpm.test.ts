import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodePlatform } from '../../src/core/node.ts';
import { createRegistrar } from '../../src/provisioning/registrar.ts';
import { openTransport } from '../../src/tpm/index.ts';
import { activationBody, beginBody, enrolByHand } from '../provisioning/by-hand.ts';
import type { TestDevice } from '../provisioning/world.ts';
import { World } from '../provisioning/world.ts';
import { present } from './present.ts';
import type { Swtpm } from './swtpm.ts';
import { startSwtpm } from './swtpm.ts';

describe.skipIf(!present('swtpm'))('enrolment with real swtpm', () => {
  const { clock: patience } = nodePlatform({ directory: tmpdir() });
  const running: Swtpm[] = [];
  let world: World;
  let dog: TestDevice;

  const device = async (serial: string) => {
    const swtpm = await startSwtpm();
    running.push(swtpm);
    return await world.device(serial, { transport: openTransport(swtpm.spec), patience });
  };

  beforeAll(async () => {
    world = await World.create('swtpm');
    dog = await device('DOG-0001');
  });
  afterAll(async () => {
    await dog.tpm.close();
    for (const swtpm of running) await swtpm.close();
  });

  it('is manufactured, enrols and renews', async () => {
    const pledge = await dog.pledge();
    const first = await pledge.obtain();
    expect(first.credentials.agentId).toBe('spiffe://home.test/agent/dog-0001');
    const second = await pledge.renew();
    expect(second.keys.ldevid.kid).toBe(first.keys.ldevid.kid);
    const [record] = await world.store.devices();
    expect(record?.hwSerialNum).toMatch(/^49424d00:[0-9a-f]{40}:[0-9a-f]{32}$/); // "IBM\0", as swtpm says
  });

  it('is recognised as a simulator by an authority that is not for simulation', async () => {
    world.registrar = createRegistrar({
      ...world.registrarOptions,
      simulation: false,
      platform: { ...world.platform, simulated: false },
    });
    await expect(enrolByHand(world, dog)).rejects.toMatchObject({ check: 'simulated-tpm' });
    world.registrar = createRegistrar(world.registrarOptions);
  });

  it('refuses an impostor with the certificates of the dog and another swtpm', async () => {
    const impostor = await device('CAT-0001');
    const { body, identity, csr } = await beginBody(world, dog, {});
    const challenge = await world.registrar.begin(body);
    // Its TPM does not open what was made for another EK …
    const own = await beginBody(world, impostor, {});
    await expect(activationBody(impostor, challenge, own.identity, csr)).rejects.toMatchObject({
      code: 'tpm.refused',
    });
    // … and an invented secret is found out.
    const invented = await activationBody(
      impostor,
      await world.registrar.begin(own.body),
      own.identity,
      csr,
      {
        activate: (sent) => {
          sent.challenge = challenge.challenge;
        },
      },
    );
    await expect(world.registrar.activate(invented)).rejects.toMatchObject({
      check: 'credential-activation',
    });
    expect(identity.serial).toBe('DOG-0001');
    await impostor.tpm.close();
  });
});
