import type { DeviceDescription } from 'fealty/device';

/** Blinds of one window. */
export const description: DeviceDescription = {
  name: 'blinds',
  title: 'Blinds',
  risk: 'comfort',
  properties: { open: { type: 'integer', unit: '%', minimum: 0, maximum: 100 } },
  actions: {
    'set-open': {
      description: 'Move to this position; 100 is open',
      input: { percent: { type: 'integer', unit: '%', minimum: 0, maximum: 100 } },
    },
  },
  events: {},
};
