import type { DeviceDescription } from 'fealty/device';

/** The lock of the front door. */
export const description: DeviceDescription = {
  name: 'front-door',
  title: 'Front door lock',
  risk: 'access',
  properties: { locked: { type: 'boolean' } },
  actions: {
    lock: { description: 'Lock', safe: true },
    unlock: { description: 'Unlock' },
  },
  events: { opened: { description: 'Somebody opened the door' } },
};
