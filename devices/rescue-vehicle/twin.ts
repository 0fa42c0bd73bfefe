import type { Position, Twin } from 'fealty/device';
import { defineTwin } from 'fealty/device';
import { description } from './device.ts';

const metresPerDegree = 111_320;
const period = (description.controlPeriodMs ?? 100) / 1000;
/** Metres a second. */
const armSpeed = 0.2;

/** A vehicle whose arm rises at 0.2 m/s until it is where it should be. */
export function twin(): Twin {
  return defineTwin({
    description,
    initial: {
      position: { latitude: 52.5201, longitude: 13.405, accuracyM: 1 },
      'arm-height': 0,
      load: 0,
    },
    actions: {
      'lift-obstacle': (body, { height }) => {
        const target = Number(height);
        return () => {
          const now = Number(body.get('arm-height'));
          const next = Math.min(target, now + armSpeed * period);
          body.set('arm-height', Math.round(next * 1000) / 1000);
          return next >= target;
        };
      },
      drive:
        (body, { speed }) =>
        () => {
          const at = body.get('position') as Position;
          body.set('position', { ...at, latitude: at.latitude + (Number(speed) * period) / metresPerDegree });
          return false;
        },
      stop: () => undefined,
    },
  });
}
