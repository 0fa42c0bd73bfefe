import type { Twin } from 'fealty/device';
import { defineTwin } from 'fealty/device';
import { description } from './device.ts';

/** A lamp that is as bright as it was told. */
export function twin(): Twin {
  return defineTwin({
    description,
    reportMs: 60_000,
    initial: { on: false, brightness: 0 },
    actions: {
      'set-brightness': (body, { level }) => {
        body.set('brightness', Number(level));
        body.set('on', Number(level) > 0);
        return undefined;
      },
      off: (body) => {
        body.set('brightness', 0);
        body.set('on', false);
        return undefined;
      },
    },
  });
}
