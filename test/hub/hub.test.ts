import { afterEach, describe, expect, it } from 'vitest';
import { make, sell } from '../../simulator/scenarios/good-morning/factory.ts';
import { House } from '../../simulator/scenarios/good-morning/house.ts';
import { HUB_ID } from '../../simulator/scenarios/good-morning/words.ts';
import { showLog } from '../../src/audit/auditor.ts';
import { readWholeLog } from '../../src/audit/segments.ts';
import type { Grant } from '../../src/grants/index.ts';
import type { HubOptions, Routine, RoutineRun } from '../../src/hub/index.ts';
import { Hub } from '../../src/hub/index.ts';

const routines: readonly Routine[] = [
  {
    name: 'wake',
    trigger: { event: { device: 'thermostat', event: 'alarm-off' } },
    actions: [
      { device: 'bedroom-light', action: 'set-brightness', arguments: { level: 50 } },
      { device: 'coffee-maker', action: 'brew', arguments: { cups: 8 } },
      { device: 'blinds', action: 'set-open', arguments: { percent: 100 } },
    ],
  },
  { name: 'dark', actions: [{ device: 'bedroom-light', action: 'off' }] },
];

const grant = (device: string, action: string): Grant => ({
  type: 'fealty/action',
  locations: [HUB_ID],
  device,
  actions: [action],
});

let house: House;
afterEach(() => house.close());

/** A house that was moved into: its hub is enrolled, and nothing is granted yet. */
async function moveIn(): Promise<Hub> {
  const { signal } = new AbortController();
  house = new House({ seed: 5, start: Date.UTC(2026, 10, 24, 10), routines, signal });
  await house.openAuthority();
  const { line } = await make(house.platform, house.tpmStore);
  const buyer = { ...house.owner, certificate: house.authority.ca.certificate };
  await house.openHub(await sell(house.platform, line, buyer, await house.measurements()));
  await house.hub.enrol();
  return house.hub;
}

const summary = ({ results }: RoutineRun) =>
  results.map(({ device, result, reason }) => `${device} ${result} ${reason}`);

describe('a hub', () => {
  it('goes on with the next action when one is refused, and keeps why', async () => {
    const hub = await moveIn();
    await house.owner.client.addGrants(HUB_ID, [
      grant('bedroom-light', 'set-brightness'),
      { ...grant('coffee-maker', 'brew'), arguments: { brew: { cups: { max: 2 } } } },
      grant('blinds', 'set-open'),
    ]);
    await hub.entrust('wake');
    const run = await hub.run('wake', 'a test');
    expect(summary(run)).toEqual([
      'bedroom-light done permitted',
      'coffee-maker refused outside-grant',
      'blinds done permitted',
    ]);
    expect(hub.runs).toEqual([run]);
    const [, refused] = run.results;
    expect(refused?.why).toContain('coffee-maker.brew (cups=8)');
    expect(refused?.why).toContain('`cups` must be {"max":2}');
    expect(hub.why(refused?.decision?.id ?? '')).toBe(refused?.why);
  });

  it('tells a device that fails from one that is refused', async () => {
    const hub = await moveIn();
    await house.owner.client.addGrants(
      HUB_ID,
      routines.flatMap(({ actions }) => actions.map(({ device, action }) => grant(device, action))),
    );
    await hub.entrust('wake');
    house.twins.coffee.sense('water', 0.1);
    const [light, coffee, blinds] = (await hub.run('wake')).results;
    expect([light?.result, coffee?.result, blinds?.result]).toEqual(['done', 'failed', 'done']);
    expect(coffee?.reason).toContain('not enough water');
  });

  it('lets a routine use the grants of its own function, and no others that the hub holds', async () => {
    const hub = await moveIn();
    await house.owner.client.addGrants(
      HUB_ID,
      routines.flatMap(({ actions }) => actions.map(({ device, action }) => grant(device, action))),
    );
    await hub.agent.authorize();
    await hub.entrust('wake');
    expect((await hub.agent.act({ device: 'bedroom-light', action: 'off' })).decision.verdict).toBe('permit');
    expect(summary(await hub.run('dark'))).toEqual(['bedroom-light refused no-grant']);
    await hub.entrust('dark');
    expect(summary(await hub.run('dark'))).toEqual(['bedroom-light done permitted']);
    hub.withdraw('dark');
    expect(summary(await hub.run('dark'))).toEqual(['bedroom-light refused no-grant']);
  });

  it('records what started a routine and for which function before anything is decided', async () => {
    const hub = await moveIn();
    const { txn } = await hub.run('dark', 'a test');
    const records = showLog(await readWholeLog(house.platform.store), { txn });
    expect(records.map(({ kind, action, cause }) => [kind, action, cause])).toEqual([
      ['routine', 'dark', 'a test'],
      ['decision', 'off', undefined],
    ]);
    expect(records[0]?.detail).toEqual({ function: `${HUB_ID}#dark` });
  });

  it('starts without any grant, tells which routines are stuck, and does nothing for them', async () => {
    const hub = await moveIn();
    const stuck: string[] = [];
    hub.on('stuck', (routine) => stuck.push(routine));
    await hub.start();
    expect(stuck).toEqual(['wake', 'dark']);
    const runs: RoutineRun[] = [];
    hub.on('ran', (run) => runs.push(run));
    house.twins.thermostat.happen('alarm-off');
    await house.clock.advance(1_000);
    expect(runs.map(summary)).toEqual([
      ['bedroom-light refused no-grant', 'coffee-maker refused no-grant', 'blinds refused no-grant'],
    ]);
    expect(runs[0]?.cause).toBe('thermostat.alarm-off');
  });

  it('takes an event while the routine runs for the same start, and none after it is closed', async () => {
    const hub = await moveIn();
    hub.arm();
    hub.arm();
    let ran = 0;
    hub.on('ran', () => ran++);
    const going = hub.run('wake');
    house.twins.thermostat.happen('alarm-off');
    await going;
    await house.clock.advance(1_000);
    expect(ran).toBe(1);
    house.twins.thermostat.happen('alarm-off');
    await house.clock.advance(1_000);
    expect(ran).toBe(2);
    await hub.close();
    house.twins.thermostat.happen('alarm-off');
    await house.clock.advance(1_000);
    expect(ran).toBe(2);
  });

  it('brings a device into its safe state without any grant, and records it', async () => {
    const hub = await moveIn();
    house.twins.door.sense('locked', false);
    await hub.makeSafe('front-door', 'a test');
    expect(house.reported('front-door', 'locked')).toBe(true);
    const stops = showLog(await readWholeLog(house.platform.store), { kind: 'stop' });
    expect(stops.map(({ resource, cause }) => [resource, cause])).toEqual([['front-door', 'a test']]);
  });

  it('locks the door when nothing can be recorded any more, and runs no routine then', async () => {
    const hub = await moveIn();
    house.twins.door.sense('locked', false);
    house.platform.store.cutPower(true);
    await expect(hub.run('dark')).rejects.toThrow('audit');
    await hub.makeSafe('front-door');
    expect(house.reported('front-door', 'locked')).toBe(true);
    house.platform.store.cutPower(false);
  });

  it('does not know a routine that it does not have', async () => {
    const hub = await moveIn();
    await expect(hub.run('nonsense')).rejects.toThrow(TypeError);
    await expect(hub.entrust('nonsense')).rejects.toThrow(TypeError);
    expect(() => hub.withdraw('nonsense')).toThrow(TypeError);
  });

  it.each<[string, readonly Routine[]]>([
    [
      'two routines of one name',
      [...routines, { name: 'dark', actions: [{ device: 'blinds', action: 'set-open' }] }],
    ],
    ['an action of a device that is not there', [{ name: 'x', actions: [{ device: 'oven', action: 'on' }] }]],
    [
      'an event of a device that is not there',
      [
        {
          name: 'x',
          trigger: { event: { device: 'oven', event: 'hot' } },
          actions: [{ device: 'blinds', action: 'set-open' }],
        },
      ],
    ],
  ])('does not open with %s', async (_, wrong) => {
    const { signal } = new AbortController();
    house = new House({ seed: 5, start: 0, routines: wrong, signal });
    const options = { devices: Object.values(house.twins), routines: wrong } as unknown as HubOptions;
    await expect(Hub.open(options)).rejects.toThrow(TypeError);
  });
});
