import { describe, expect, it } from 'vitest';
import { twin as vehicleTwin } from '../../devices/rescue-vehicle/twin.ts';
import { twin as dogTwin } from '../../devices/robot-dog/twin.ts';
import { simulatedPlatform } from '../../simulator/platform.ts';
import type { Condition, HeldGrant } from '../../src/grants/index.ts';
import { checkAgainst, readGrant } from '../../src/grants/index.ts';
import { DeviceHost, Inputs } from '../../src/permissions/index.ts';
import { Domains, opened, self, start } from './helpers.ts';

const dog = 'spiffe://x/agent/dog';
const console_ = 'spiffe://x/agent/console';
const peer = { peer: dog, stream: 'lidar' };
const clear: Condition = { op: 'state', source: peer, property: 'lidar-clear', is: true, maxAgeMs: 500 };

const lift: HeldGrant = {
  id: 'assignment-7#0',
  subject: console_,
  family: 'group-7',
  ancestors: [],
  tags: { 'task:rescue-7': 1, 'group:group-7': 1 },
  exp: start + 600,
  grant: readGrant({
    type: 'fealty/action',
    locations: [self],
    device: 'rescue-vehicle',
    actions: ['lift-obstacle', 'stop'],
    arguments: { 'lift-obstacle': { height: { max: 1.5 } } },
    condition: { op: 'and', of: [{ op: 'domain', task: 'rescue-7' }, clear] },
    task: 'rescue-7',
  }),
};
const request = {
  device: 'rescue-vehicle',
  action: 'lift-obstacle',
  arguments: { height: 1.5 },
  subjects: [console_],
  task: 'rescue-7',
};

async function rescue() {
  const vehicle = vehicleTwin();
  const domains = new Domains();
  const made = await opened({ devices: [vehicle, dogTwin()], domains });
  checkAgainst(lift.grant, made.devices.descriptions);
  made.pdp.add(lift);
  domains.set('rescue-7', 'actuate');
  const lidar = (value: boolean) => made.inputs.report(peer, 'lidar-clear', value);
  const stops = () => vehicle.journal.filter(({ at }) => at === 'stop').length;
  return { ...made, vehicle, domains, lidar, stops };
}

describe('a vehicle that lifts while the dog sees that the way is clear (OS-04)', () => {
  it('lifts, and stops in the instant the dog sees somebody', async () => {
    const { pep, clock, vehicle, lidar, stops } = await rescue();
    await expect(pep.act(request)).rejects.toMatchObject({ decision: { reason: 'unknown' } });
    lidar(true);
    await pep.act(request);
    expect(vehicle.journal).toMatchObject([{ at: 'start', action: 'lift-obstacle' }]);
    await clock.advance(200);
    lidar(true);
    expect(stops()).toBe(0);
    lidar(false);
    await clock.advance(0);
    expect(stops()).toBe(1);
  });

  it('stops when the dog falls silent', async () => {
    const { pep, clock, lidar, stops } = await rescue();
    lidar(true);
    await pep.act(request);
    await clock.advance(500);
    expect(stops()).toBe(0);
    await clock.advance(1);
    expect(stops()).toBe(1);
  });

  it('stops when the task ends, is refused afterwards, and the end is acknowledged then', async () => {
    const { pep, lidar, stops } = await rescue();
    lidar(true);
    await pep.act(request);
    expect(await pep.end('rescue-7', 'task over')).toBe(1);
    expect(stops()).toBe(1);
    await expect(pep.act(request)).rejects.toMatchObject({ decision: { reason: 'no-grant' } });
  });

  it('stops by its own dead man when nobody feeds it any more', async () => {
    const platform = simulatedPlatform({ seed: 1 });
    const vehicle = vehicleTwin();
    const host = await DeviceHost.open([vehicle], { ...platform, inputs: new Inputs(platform.clock) });
    await host.perform('rescue-vehicle', 'lift-obstacle', { height: 1.5 });
    await platform.clock.advance(1_000);
    expect(vehicle.journal.at(-1)).toMatchObject({ at: 'stop', action: 'lift-obstacle' });
  });
});

describe('the devices of an agent', () => {
  it('become inputs: what they report, and nothing their description does not name', async () => {
    const { inputs, clock } = await rescue();
    await clock.advance(1_000);
    const keys = inputs.snapshot().map(({ key }) => key);
    expect(keys).toContain('device:robot-dog/property/lidar-clear');
    expect(keys).toContain('device:rescue-vehicle/property/position');
    expect(keys.filter((key) => key.startsWith('peer:'))).toEqual([]);
  });
});
