import { Unreachable } from '../src/core/errors.ts';
import type { Network, Platform } from '../src/core/platform.ts';
import type { VirtualClock } from './clock.ts';
import { virtualClock } from './clock.ts';
import { seededRandom } from './random.ts';
import type { MemoryStore } from './store.ts';
import { memoryStore } from './store.ts';

/** A platform whose time, chance, storage and network are all made up, and repeat from a seed. */
export interface SimulatedPlatform extends Platform {
  readonly clock: VirtualClock;
  readonly store: MemoryStore;
  readonly simulated: true;
}

/** A network on which nobody answers. */
export const noNetwork: Network = {
  request: (asked) => Promise.reject(new Unreachable(`no network: \`${new URL(asked.url).host}\``)),
  connect: (to) => Promise.reject(new Unreachable(`no network: \`${to.host}:${to.port}\``)),
};

/**
 * A machine of which everything can be repeated: virtual time, chance from a seed, storage in memory with a power
 * switch. It says `simulated`, and whatever faces the real world refuses it.
 */
export function simulatedPlatform(options: {
  /** The same seed and name give the same bytes. */
  readonly seed: number | string;
  /** Distinguishes the machines of one simulation. */
  readonly name?: string;
  readonly clock?: VirtualClock;
  readonly network?: Network;
}): SimulatedPlatform {
  return {
    clock: options.clock ?? virtualClock(),
    random: seededRandom(options.seed, options.name),
    store: memoryStore(),
    network: options.network ?? noNetwork,
    log: { debug: () => {}, info: () => {}, warn: () => {} },
    simulated: true,
  };
}
