import { describe, expect, it } from 'vitest';
import { World } from './world.ts';

describe('a task domain of a console, a dog and a truck (AR-03, XD-05)', () => {
  it('forms: everybody holds one epoch, one roster and its assignment', async () => {
    const world = await World.make();
    const { console, dog, domain, dogIn, truckIn } = await world.rescue();
    expect(dogIn.roster().map(({ role, mode }) => [role, mode])).toEqual([
      ['coordinator', 'actuate'],
      ['scout', 'actuate'],
      ['carrier', 'actuate'],
    ]);
    expect(truckIn.roster()).toEqual(dogIn.roster());
    expect(domain.roster()).toEqual(dogIn.roster());
    expect([dogIn.epoch, truckIn.epoch]).toEqual([domain.membership.epoch, domain.membership.epoch]);
    expect(dogIn.mode).toBe('actuate');
    expect(dogIn.assignment?.role).toBe('scout');
    expect(truckIn.grantsOf(dogIn.agentId).map(({ grant }) => [grant.device, grant.locations])).toEqual([
      ['arm', [truckIn.agentId]],
    ]);
    expect(console.events).toEqual(['admitted dog scout', 'admitted truck carrier']);
    expect(dog.audit.entries.map(({ action }) => action)).toEqual(['joined']);
    expect(world.warnings).toEqual([]);
    expect([...console.refused, ...dog.refused]).toEqual([]);
  });

  it('a newcomer waits for no period: it has the log and its epoch as fast as messages travel', async () => {
    const world = await World.make({ delayMs: [5, 5] });
    const console = await world.machine('console');
    const domain = await world.convene(console);
    const took: number[] = [];
    for (const [name, role] of [
      ['dog', 'scout'],
      ['truck', 'carrier'],
    ] as const) {
      const machine = await world.machine(name);
      await world.lobby(machine);
      const began = world.clock.elapsed();
      await world.settle(domain.invite(machine.candidate, role));
      took.push(world.clock.elapsed() - began);
    }
    // Some ten messages of 5 ms, one after the other; looked at every 50 ms. A heartbeat is 2,000.
    expect(took.every((ms) => ms <= 100)).toBe(true);
    expect(console.refused).toEqual([]);
  });
});
