import type { Twin } from 'fealty/device';
import { defineTwin } from 'fealty/device';
import { description } from './device.ts';

/** A room that is as warm as it was told, at once. */
export function twin(): Twin {
  return defineTwin({
    description,
    reportMs: 60_000,
    initial: { temperature: 17, target: 17, occupied: true },
    actions: {
      'set-temperature': (body, { target }) => {
        body.set('target', Number(target));
        body.set('temperature', Number(target));
        return undefined;
      },
    },
  });
}
