import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { World } from './world.ts';

describe('a domain over a bad broker', () => {
  it('forms, tells, evicts and ends although messages are lost, repeated and reordered', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          seed: fc.nat(10_000),
          drop: fc.constantFrom(0, 0.1, 0.25),
          duplicate: fc.constantFrom(0, 0.3),
          delay: fc.constantFrom(0, 300),
        }),
        async ({ seed, drop, duplicate, delay }) => {
          const world = await World.make({ drop, duplicate, delayMs: [0, delay] }, seed);
          const console = await world.machine('console');
          const dog = await world.machine('dog');
          const truck = await world.machine('truck');
          const domain = await world.convene(console, { options: { handshakeMs: 60_000, tenureMs: 60_000 } });
          const times = { options: { handshakeMs: 60_000, tenureMs: 60_000, perSecond: 100 } };
          const dogs = await world.lobby(dog, times);
          const trucks = await world.lobby(truck, times);
          await world.settle(
            Promise.all([domain.invite(dog.candidate, 'scout'), domain.invite(truck.candidate, 'carrier')]),
            120_000,
          );
          await world.clock.advance(20_000);
          const [dogIn] = dogs.joined;
          const [truckIn] = trucks.joined;
          expect(truckIn?.roster()).toEqual(domain.roster());
          expect(dogIn?.epoch).toBe(domain.membership.epoch);
          expect(truckIn?.epoch).toBe(domain.membership.epoch);
          const heard: unknown[] = [];
          truckIn?.answer((body) => heard.push(body));
          await world.settle(
            dogIn?.ask(truckIn?.agentId ?? '', 'lift', { timeoutMs: 60_000 }) ?? Promise.reject(),
            60_000,
          );
          expect(heard).toEqual(['lift']);
          await world.settle(domain.evict(dog.candidate.agentId, 'barks'));
          await world.clock.advance(20_000);
          expect(truckIn?.roster().map(({ role }) => role)).toEqual(['coordinator', 'carrier']);
          expect(truckIn?.epoch).toBe(domain.membership.epoch);
          await world.settle(domain.end('done'));
          await world.clock.advance(61_000);
          expect([truckIn?.mode, dogIn?.mode]).toEqual(['ended', 'ended']);
          expect(world.warnings).toEqual([]);
          world.broker.close();
        },
      ),
      { seed: 11, numRuns: 12 },
    );
  }, 120_000);

  it('does not lose control that is sent in the moment in which keys change', async () => {
    const world = await World.make({ delayMs: [0, 200] }, 2);
    const { domain, dogIn, truckIn, truck } = await world.rescue();
    const cat = await world.machine('cat');
    await world.lobby(cat);
    const heard: unknown[] = [];
    await truckIn.subscribe('stop', (body) => heard.push(body));
    const sent: number[] = [];
    dogIn.on('rekeyed', (epoch) => {
      sent.push(epoch);
      void dogIn.publish('stop', epoch, { control: true });
    });
    await world.settle(domain.invite(cat.candidate, 'scout'));
    await world.clock.advance(3_000);
    expect(sent).toHaveLength(1);
    expect(heard).toEqual(sent);
    expect(truck.refused.filter(([check]) => check !== 'replay')).toEqual([]);
  });

  it('keeps several members under one epoch when they come together', async () => {
    const world = await World.make();
    const console = await world.machine('console');
    const domain = await world.convene(console);
    const names = ['dog', 'truck', 'cat', 'owl'];
    const machines = await Promise.all(names.map((name) => world.machine(name)));
    for (const machine of machines) await world.lobby(machine);
    await world.settle(
      Promise.all(
        machines.map((machine, at) => domain.invite(machine.candidate, at < 2 ? 'scout' : 'carrier')),
      ),
    );
    expect(domain.roster()).toHaveLength(5);
    expect(domain.membership.epoch).toBeLessThanOrEqual(3);
  });
});
