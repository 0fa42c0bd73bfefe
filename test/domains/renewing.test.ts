import { describe, expect, it } from 'vitest';
import { thumbprint } from '../../src/core/signer.ts';
import type { DomainIdentity } from '../../src/domains/index.ts';
import { logHeadTopic, logTopic } from '../../src/messaging/index.ts';
import { flipped } from './pair.ts';
import { HOUR, NOW, World } from './world.ts';

describe('papers that end during a job', () => {
  it('leave a member observing, at both ends, until it shows renewed ones', async () => {
    const world = await World.make();
    const { dog, dogIn, truckIn, domain } = await world.rescue();
    const { truck, console } = { truck: truckIn, console: domain.membership };
    expect(truck.grantsOf(dogIn.agentId)).toHaveLength(1);
    const fresh = (name: string, old: DomainIdentity) =>
      world.owner.enrol(name, [world.owner.bundle], {
        from: NOW + HOUR - 240_000,
        ldevid: old.keys.ldevid as never,
      });
    await world.clock.advance(HOUR - 180_000);
    const renewed = await fresh('dog', dog.identity);
    await world.settle(dogIn.renew(renewed));
    await world.clock.advance(130_000);
    // The dog renewed in time; the others did not.
    expect(truck.roster().map(({ role, mode }) => [role, mode])).toEqual([
      ['coordinator', 'observe'],
      ['scout', 'actuate'],
      ['carrier', 'observe'],
    ]);
    expect([dogIn.mode, truck.mode, console.mode]).toEqual(['actuate', 'observe', 'observe']);
    expect(truck.grantsOf(dogIn.agentId)).toHaveLength(1);
    expect(dogIn.grantsOf(truck.agentId)).toEqual([]);
  });

  it('are renewed through the lobby in every domain', async () => {
    const world = await World.make();
    const { dog, dogIn, dogLobby, truckIn, domain } = await world.rescue();
    const { ldevid } = dog.identity.keys;
    const renewed = await world.owner.enrol('dog', [world.owner.bundle], {
      from: NOW,
      lifeMs: 2 * HOUR,
      ldevid: ldevid as never,
    });
    const before = domain.membership.epoch;
    await world.settle(dogLobby.renew(renewed));
    expect(thumbprint(renewed.keys.ldevid.publicJwk)).toBe(thumbprint(ldevid.publicJwk));
    await world.clock.advance(HOUR);
    expect(truckIn.roster().find(({ role }) => role === 'scout')?.mode).toBe('actuate');
    expect(dogIn.epoch).toBe(before);
    expect(world.warnings).toEqual([]);
  });
});

describe('a log that is not what its coordinator wrote', () => {
  it('hurts nobody while the coordinator’s signature is missing', async () => {
    const world = await World.make();
    const { dogIn, dog, domain } = await world.rescue();
    const log = world.broker.seen.find(({ topic }) => topic === logTopic(domain.domain));
    const head = world.broker.seen.find(({ topic }) => topic === logHeadTopic(domain.domain));
    for (const [topic, payload] of [
      [logTopic(domain.domain), flipped(log?.payload ?? new Uint8Array(), 30)],
      [logHeadTopic(domain.domain), flipped(head?.payload ?? new Uint8Array(), 30)],
      [logTopic(domain.domain), new Uint8Array([1, 2, 3])],
    ] as const)
      world.broker.lie(topic, payload, dog.candidate.slug);
    await world.clock.advance(10);
    expect(dog.refused).toHaveLength(3);
    expect(dog.refused.every(([check]) => ['log.form', 'log.signature', 'log.domain'].includes(check))).toBe(
      true,
    );
    expect(dogIn.mode).toBe('actuate');
  });
});
