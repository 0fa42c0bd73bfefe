import type { Twin } from 'fealty/device';
import { defineTwin } from 'fealty/device';
import { description } from './device.ts';

/** Blinds that are where they were told. */
export function twin(): Twin {
  return defineTwin({
    description,
    reportMs: 60_000,
    initial: { open: 0 },
    actions: {
      'set-open': (body, { percent }) => {
        body.set('open', Number(percent));
        return undefined;
      },
    },
  });
}
