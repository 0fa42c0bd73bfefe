import { describe, expect, it } from 'vitest';
import type { EnrolmentEvent, EnrolmentState } from '../../src/provisioning/state.ts';
import { ENROLMENT_STATES, enrolment, next } from '../../src/provisioning/state.ts';
import type { TestDevice } from './world.ts';
import { World } from './world.ts';

describe('the table of enrolment', () => {
  it('leads from every state to `enrolled`', () => {
    for (const start of ENROLMENT_STATES) {
      const reached = new Set<EnrolmentState>([start]);
      for (const state of reached)
        for (const event of Object.keys(enrolment[state]) as EnrolmentEvent[]) {
          const to = next(state, event);
          if (to !== undefined) reached.add(to);
        }
      expect([start, reached.has('enrolled')]).toEqual([start, true]);
    }
  });

  it('knows no event that means the same everywhere', () => {
    expect(next('shipped', 'issued')).toBeUndefined();
    expect(next('lapsed', 'issued')).toBeUndefined();
    expect(next('enrolled', 'toString' as EnrolmentEvent)).toBeUndefined();
  });
});

/** Runs `work` with the power cut at the `count`-th write of the pledge's store; true when it got that far. */
async function cut(device: TestDevice, count: number, work: () => Promise<unknown>): Promise<boolean> {
  const { store } = device.platform;
  const { write } = store;
  let writes = 0;
  let failed = false;
  store.write = async (name, data) => {
    if (name === 'provisioning/pledge.json' && ++writes === count) {
      store.cutPower(true);
      failed = true;
    }
    await write(name, data);
  };
  await work().catch(() => undefined);
  store.write = write;
  store.cutPower(false);
  return failed;
}

/** The same with the wire cut before the `count`-th message, or after its answer was made. */
async function unplugged(
  world: World,
  count: number,
  answered: boolean,
  work: () => Promise<unknown>,
): Promise<boolean> {
  const honest = world.registrar;
  let messages = 0;
  let failed = false;
  world.registrar = {
    ...honest,
    handle: async (request) => {
      if (++messages < count) return await honest.handle(request);
      failed = true;
      if (answered) await honest.handle(request);
      return new Response(null, { status: 502 });
    },
  };
  await work().catch(() => undefined);
  world.registrar = honest;
  return failed;
}

describe('a power cut (PV-01: never a bricked device)', () => {
  it('at any write of an enrolment leaves a device that goes on', async () => {
    const states = new Set<string>();
    for (let count = 1; count <= 3; count++) {
      const world = await World.create(`write ${count}`);
      const device = await world.device('DOG-0001');
      expect(await cut(device, count, async () => (await device.pledge()).obtain())).toBe(true);
      const restarted = await device.pledge();
      states.add(restarted.state);
      const { credentials } = await restarted.obtain();
      expect(credentials.agentId).toBe('spiffe://home.test/agent/dog-0001');
      expect(restarted.state).toBe('enrolled');
    }
    expect([...states]).toEqual(['shipped', 'vouched', 'proving']);
  });

  it('at any write of a renewal leaves a device that goes on', async () => {
    const states = new Set<string>();
    for (let count = 1; count <= 2; count++) {
      const world = await World.create(`renewal write ${count}`);
      const device = await world.device('DOG-0001');
      await (await device.pledge()).obtain();
      expect(await cut(device, count, async () => (await device.pledge()).obtain())).toBe(true);
      const restarted = await device.pledge();
      states.add(restarted.state);
      await expect(restarted.obtain()).resolves.toBeDefined();
    }
    expect([...states]).toEqual(['enrolled', 'renewing']);
  });

  it.each([
    ['before it arrives', false],
    ['after the registrar has acted on it', true],
  ])('that loses any message %s leaves a device that goes on', async (_, answered) => {
    for (let count = 1; count <= 5; count++) {
      const world = await World.create(`message ${count} ${answered}`);
      const device = await world.device('DOG-0001');
      const both = async () => {
        const pledge = await device.pledge();
        await pledge.obtain();
        await pledge.renew();
      };
      expect(await unplugged(world, count, answered, both)).toBe(true);
      const restarted = await device.pledge();
      await expect(restarted.obtain()).resolves.toBeDefined();
      expect(await world.store.devices()).toHaveLength(1);
    }
  });

  it('of the whole machine keeps a lapsed device lapsed', async () => {
    const world = await World.create('lapsed');
    const device = await world.device('DOG-0001');
    const pledge = await device.pledge();
    await pledge.obtain();
    await world.registrar.revoke(pledge.agentId ?? '', 'lost');
    // The write that says so is lost: it asks once more, and is told once more.
    await cut(device, 2, () => pledge.renew());
    const restarted = await device.pledge();
    expect(restarted.state).toBe('renewing');
    await expect(restarted.obtain()).rejects.toMatchObject({ check: 'revoked' });
    expect((await device.pledge()).state).toBe('lapsed');
  });
});

describe('stored state that was damaged', () => {
  it('is reported, and nothing is guessed', async () => {
    const world = await World.create('damaged');
    const device = await world.device('DOG-0001');
    await (await device.pledge()).obtain();
    const bytes = await device.platform.store.read('provisioning/pledge.json');
    await device.platform.store.write('provisioning/pledge.json', (bytes ?? new Uint8Array()).slice(0, -9));
    await expect(device.pledge()).rejects.toMatchObject({ code: 'core.store-failed' });
  });
});
