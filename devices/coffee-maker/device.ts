import type { DeviceDescription } from 'fealty/device';

/** A machine that makes coffee, and must not run dry. */
export const description: DeviceDescription = {
  name: 'coffee-maker',
  title: 'Coffee maker',
  risk: 'comfort',
  properties: {
    brewing: { type: 'boolean' },
    water: { type: 'number', unit: 'l', minimum: 0, maximum: 2 },
  },
  actions: {
    brew: {
      description: 'Make this many cups',
      input: { cups: { type: 'integer', minimum: 1, maximum: 8 } },
    },
    off: { description: 'Switch off', safe: true },
  },
  events: { done: { description: 'The coffee is ready' } },
};
