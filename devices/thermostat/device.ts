import type { DeviceDescription } from 'fealty/device';

/** A thermostat, which also knows whether somebody is at home. */
export const description: DeviceDescription = {
  name: 'thermostat',
  title: 'Thermostat',
  risk: 'comfort',
  properties: {
    temperature: { type: 'number', unit: 'Cel', minimum: -20, maximum: 50 },
    target: { type: 'number', unit: 'Cel', minimum: 5, maximum: 30 },
    occupied: { type: 'boolean', description: 'Somebody is at home' },
  },
  actions: {
    'set-temperature': {
      description: 'Heat to this temperature',
      input: { target: { type: 'number', unit: 'Cel', minimum: 5, maximum: 30 } },
    },
  },
  events: {
    'alarm-off': { description: 'The alarm clock of the house went off' },
  },
};
