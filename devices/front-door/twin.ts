import type { Twin } from 'fealty/device';
import { defineTwin } from 'fealty/device';
import { description } from './device.ts';

/** A lock that does as it is told, which is why it is told so rarely. */
export function twin(): Twin {
  return defineTwin({
    description,
    reportMs: 60_000,
    initial: { locked: true },
    actions: {
      lock: (body) => {
        body.set('locked', true);
        return undefined;
      },
      unlock: (body) => {
        body.set('locked', false);
        return undefined;
      },
    },
  });
}
