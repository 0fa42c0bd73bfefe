import type { Twin } from 'fealty/device';
import { defineTwin } from 'fealty/device';
import { description } from './device.ts';

const litresPerCup = 0.15;

/** A machine that turns water into coffee while there is water. */
export function twin(): Twin {
  return defineTwin({
    description,
    reportMs: 60_000,
    initial: { brewing: false, water: 1.5 },
    actions: {
      brew: (body, { cups }) => {
        const left = Number(body.get('water')) - Number(cups) * litresPerCup;
        if (left < 0) throw new Error('not enough water');
        body.set('water', Math.round(left * 100) / 100);
        body.set('brewing', true);
        return undefined;
      },
      off: (body) => {
        body.set('brewing', false);
        return undefined;
      },
    },
  });
}
