import type { DeviceDescription } from 'fealty/device';

/** A vehicle with an arm that lifts what lies in the way. */
export const description: DeviceDescription = {
  name: 'rescue-vehicle',
  title: 'Rescue vehicle with an arm',
  risk: 'motion',
  deadMan: true,
  controlPeriodMs: 100,
  properties: {
    position: { type: 'position' },
    'arm-height': { type: 'number', unit: 'm', minimum: 0, maximum: 2 },
    load: { type: 'number', unit: 'kg', minimum: 0, maximum: 500 },
  },
  actions: {
    'lift-obstacle': {
      description: 'Raise the arm with what is in front of it',
      continuous: true,
      input: { height: { type: 'number', unit: 'm', minimum: 0, maximum: 2 } },
    },
    drive: {
      description: 'Drive straight on',
      continuous: true,
      input: { speed: { type: 'number', unit: 'm/s', minimum: -1, maximum: 3 } },
    },
    stop: { description: 'Stop wheels and arm', safe: true },
  },
  events: {
    overload: { description: 'The arm carries more than it may' },
  },
};
