import { seededRandom } from '../../simulator/random.ts';
import { sha256 } from '../../src/core/hash.ts';
import { slugOf } from '../../src/core/names.ts';
import { generateKey } from '../../src/core/signer.ts';
import type { OpenOptions } from '../../src/messaging/index.ts';
import { EpochKeys, OwnSession, Peer } from '../../src/messaging/index.ts';

/** Everybody in these tests, from one seed. */
export const now = Date.UTC(2026, 10, 24, 10);
export const domain = 'rescue-7';
export const dogSlug = slugOf('spiffe://fleet.example/agent/dog-03');
export const truckSlug = slugOf('spiffe://fleet.example/agent/truck-01');

export function cast(seed = 1) {
  const random = seededRandom(seed, 'messaging');
  const dog = new OwnSession(dogSlug, generateKey(random));
  const truck = new OwnSession(truckSlug, generateKey(random));
  const secret = random.bytes(32);
  const confirmation = sha256(random.bytes(8)).subarray(0, 16);
  const epochAt = (
    epoch: number,
    extra: { secret?: Uint8Array; confirmation?: Uint8Array; domain?: string } = {},
  ) => EpochKeys.group({ domain, epoch, secret, confirmation, ...extra });
  const pair = EpochKeys.pairwise({ domain, secret: random.bytes(32), confirmation });
  return { random, dog, truck, secret, confirmation, epochAt, pair };
}

/** A receiver's own state: members it knows, epochs it holds. */
export function receiver(members: readonly OwnSession[], held: readonly EpochKeys[]) {
  const peers = new Map(members.map((each) => [each.keyId, new Peer(each.slug, each.publicJwk)]));
  const options = (topic: string, at = now): OpenOptions => ({
    topic,
    now: at,
    sender: (keyId) => peers.get(keyId),
    epoch: (epoch) => held.find((keys) => keys.epoch === epoch),
  });
  return { peers, options };
}
