import type { DeviceDescription } from 'fealty/device';

/** A four-legged robot that goes ahead, looks, and tells. */
export const description: DeviceDescription = {
  name: 'robot-dog',
  title: 'Robot dog',
  risk: 'motion',
  deadMan: true,
  controlPeriodMs: 100,
  properties: {
    'lidar-clear': {
      type: 'boolean',
      description: 'Nothing but the obstacle itself is within reach of the arm',
    },
    'lidar-distance': { type: 'number', unit: 'm', minimum: 0, maximum: 40 },
    position: { type: 'position' },
    battery: { type: 'integer', unit: '%', minimum: 0, maximum: 100 },
  },
  actions: {
    walk: {
      description: 'Walk straight on',
      continuous: true,
      input: { speed: { type: 'number', unit: 'm/s', minimum: 0, maximum: 2 } },
    },
    stop: { description: 'Stand still', safe: true },
  },
  events: {
    'obstacle-seen': {
      description: 'Something lies in the way',
      data: { distance: { type: 'number', unit: 'm' } },
    },
  },
};
