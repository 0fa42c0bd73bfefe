import type { Clock, Store } from '../core/platform.ts';
import { trustDomainOf } from '../identity/agent-id.ts';
import { Generations } from '../tokens/status.ts';

/** A book of revocations that knows of none and is not stored: what an end of a domain uses when it is given no other. */
export function emptyGenerations(clock: Clock, agentId: string): Promise<Generations> {
  const refuse = () => Promise.reject(new TypeError('nothing is stored here'));
  const store: Store = {
    read: () => Promise.resolve(undefined),
    write: () => Promise.resolve(),
    remove: () => Promise.resolve(),
    list: () => Promise.resolve([]),
    journal: refuse,
  };
  return Generations.open({ clock, store, trustDomain: trustDomainOf(agentId) });
}
