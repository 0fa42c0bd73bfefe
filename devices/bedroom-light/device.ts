import type { DeviceDescription } from 'fealty/device';

/** A lamp that can be dimmed. */
export const description: DeviceDescription = {
  name: 'bedroom-light',
  title: 'Bedroom light',
  risk: 'comfort',
  properties: {
    on: { type: 'boolean' },
    brightness: { type: 'integer', unit: '%', minimum: 0, maximum: 100 },
  },
  actions: {
    'set-brightness': {
      description: 'Dim to this level; 0 is off',
      input: { level: { type: 'integer', unit: '%', minimum: 0, maximum: 100 } },
    },
    off: { description: 'Switch off' },
  },
  events: {},
};
