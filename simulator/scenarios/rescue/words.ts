import type { Condition, Grant } from '../../../src/grants/index.ts';

/** Names of the story, once. */
export const TRUST_DOMAIN = 'rescue.example';
/** The job that the story tells. */
export const TASK = 'rescue-7';
/** The job that runs beside it, and must not notice. */
export const OTHER_TASK = 'bridge-2';

/** Where the obstacle lies, and how far around it the vehicle may work. */
export const SITE = { latitude: 52.52, longitude: 13.405, radiusM: 150 };

/** Oldest lidar report that counts, in milliseconds. */
export const LIDAR_AGE_MS = 2_000;

/** What each robot is. */
export const ROBOTS = {
  dog: {
    serial: 'DOG-0001',
    model: 'Quadruped 3',
    device: 'robot-dog',
    capabilities: ['lidar', 'scout'],
  },
  vehicle: {
    serial: 'VEH-0042',
    model: 'Rescue truck 9',
    device: 'rescue-vehicle',
    capabilities: ['arm.lift', 'carry'],
  },
  console: {
    serial: 'CON-0007',
    model: 'Field console',
    device: undefined,
    capabilities: ['console'],
  },
} as const;

/** A robot of the story. */
export type RobotName = keyof typeof ROBOTS;

/** Identifier of a robot. */
export function idOf(robot: RobotName): string {
  return `spiffe://${TRUST_DOMAIN}/agent/${robot}`;
}

/** The arm may move while all of this holds. */
export function armCondition(task: string): Condition {
  return {
    op: 'and',
    of: [
      { op: 'domain', task, mode: 'actuate' },
      {
        op: 'geo',
        source: { device: 'rescue-vehicle' },
        latitude: SITE.latitude,
        longitude: SITE.longitude,
        radiusM: SITE.radiusM,
        maxAgeMs: 2_000,
      },
      {
        op: 'state',
        source: { peer: idOf('dog'), stream: 'lidar' },
        property: 'lidar-clear',
        is: true,
        maxAgeMs: LIDAR_AGE_MS,
      },
    ],
  };
}

/** What the vehicle is granted for itself (OBO-self): to lift, under conditions, up to 1.5 m. */
export function liftGrant(task: string): Grant {
  return {
    type: 'fealty/action',
    locations: [idOf('vehicle')],
    device: 'rescue-vehicle',
    actions: ['lift-obstacle'],
    arguments: { 'lift-obstacle': { height: { max: 1.5 } } },
    condition: armCondition(task),
    task,
  };
}

/** What the vehicle is granted for the job beside. */
export function driveGrant(task: string): Grant {
  return {
    type: 'fealty/action',
    locations: [idOf('vehicle')],
    device: 'rescue-vehicle',
    actions: ['drive'],
    arguments: { drive: { speed: { min: 0, max: 1 } } },
    condition: { op: 'domain', task, mode: 'actuate' },
    task,
  };
}

/** What the dog is granted for itself: to walk, slowly, while it is part of the task. */
export function walkGrant(task: string): Grant {
  return {
    type: 'fealty/action',
    locations: [idOf('dog')],
    device: 'robot-dog',
    actions: ['walk'],
    arguments: { walk: { speed: { max: 1 } } },
    condition: { op: 'domain', task },
    task,
  };
}

/** What a scout may ask of the vehicle, and a driver's mate of the job beside: the most its role may be assigned. */
export function askGrant(task: string, action: 'lift-obstacle' | 'drive'): Grant {
  return {
    type: 'fealty/action',
    locations: [idOf('vehicle')],
    device: 'rescue-vehicle',
    actions: [action],
    task,
  };
}
