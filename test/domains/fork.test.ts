import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../simulator/random.ts';
import { hex } from '../../src/core/bytes.ts';
import { generateKey } from '../../src/core/signer.ts';
import { headOf, writeEntry } from '../../src/domains/log-entry.ts';
import { lifeTopic, logTopic } from '../../src/messaging/index.ts';
import { World } from './world.ts';

describe('a coordinator that tells two stories', () => {
  it('is found out by whoever sees both: two signed heads with one index end the domain', async () => {
    const world = await World.make();
    const { dog, dogIn, truck, truckIn, domain } = await world.rescue();
    // The console's chance repeats, so its session key can be made again: this is the coordinator itself, lying.
    const random = seededRandom(1, 'console');
    expect(hex(random.bytes(12))).toBe(domain.domain);
    const session = generateKey(random);
    const other = writeEntry(
      {
        v: 1,
        domain: domain.domain,
        index: 1,
        previous: random.bytes(32),
        kind: 'epoch',
        at: world.clock.now(),
        key: 1,
        term: 1,
      },
      { kind: 'epoch', epoch: 1, roster: random.bytes(32) },
      random.bytes(32),
      session.signSync,
    );
    const held = dogIn.assignment?.held[0]?.tags ?? {};
    // Another member shows the head it was given; the broker cannot make one up.
    world.broker.lie(lifeTopic(domain.domain, truck.candidate.slug), headOf(other).bytes, dog.candidate.slug);
    await world.clock.advance(10);
    expect(dog.refused.map(([check]) => check)).toEqual(['log.fork']);
    expect(dogIn.mode).toBe('ended');
    expect(dog.events.at(-1)).toBe('ended: the log is refused at fork');
    expect(dog.generations.revoked(held)).toBeDefined();
    world.broker.lie(logTopic(domain.domain), other.bytes, truck.candidate.slug);
    await world.clock.advance(10);
    expect(truckIn.mode).toBe('ended');
  });
});
