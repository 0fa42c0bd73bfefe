import type { Position, Twin } from 'fealty/device';
import { defineTwin } from 'fealty/device';
import { description } from './device.ts';

const metresPerDegree = 111_320;

/** A dog that walks north at the speed it is told. */
export function twin(): Twin {
  return defineTwin({
    description,
    reportMs: 100,
    initial: {
      'lidar-clear': true,
      'lidar-distance': 8,
      position: { latitude: 52.52, longitude: 13.405, accuracyM: 1.5 },
      battery: 90,
    },
    actions: {
      walk: (body, { speed }) => {
        const step = (Number(speed) * (description.controlPeriodMs ?? 100)) / 1000;
        return () => {
          const at = body.get('position') as Position;
          body.set('position', { ...at, latitude: at.latitude + step / metresPerDegree });
          return false;
        };
      },
      stop: () => undefined,
    },
  });
}
