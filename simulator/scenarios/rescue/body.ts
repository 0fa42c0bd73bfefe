import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Twin } from 'fealty/device';
import { twin as rescueVehicle } from '../../../devices/rescue-vehicle/twin.ts';
import { twin as robotDog } from '../../../devices/robot-dog/twin.ts';
import type { StreamOptions } from '../../../src/agent/index.ts';
import type { Measurement } from '../../../src/attestation/index.ts';
import { measure } from '../../../src/attestation/index.ts';
import { canonicalBytes } from '../../../src/core/json.ts';
import type { Prohibition } from '../../../src/grants/index.ts';
import type { RobotName } from './words.ts';
import { ROBOTS } from './words.ts';

/** What is special about each robot: its body, what it tells the others, its house rules. */
export interface Body {
  readonly twin: Twin | undefined;
  readonly streams: Readonly<Record<string, StreamOptions>>;
  readonly houseRules: readonly Prohibition[];
}

/** The body of a robot. */
export function bodyOf(robot: RobotName): Body {
  switch (robot) {
    case 'dog':
      return {
        twin: robotDog(),
        streams: {
          lidar: {
            device: 'robot-dog',
            properties: ['lidar-clear', 'lidar-distance'],
            events: ['obstacle-seen'],
          },
          odometry: { device: 'robot-dog', properties: ['position', 'battery'] },
        },
        houseRules: [],
      };
    case 'vehicle':
      return {
        twin: rescueVehicle(),
        streams: { arm: { device: 'rescue-vehicle', properties: ['arm-height', 'load'] } },
        houseRules: [
          {
            id: 'no-lift-when-loaded',
            device: 'rescue-vehicle',
            actions: ['lift-obstacle'],
            condition: {
              op: 'state',
              source: { device: 'rescue-vehicle' },
              property: 'load',
              gt: 250,
              maxAgeMs: 2_000,
            },
            reason: 'the arm carries no more than 250 kg',
          },
        ],
      };
    case 'console':
      return { twin: undefined, streams: {}, houseRules: [] };
    default:
      return robot satisfies never;
  }
}

const measured = [
  './robot.ts',
  './robot-domains.ts',
  './robot-streams.ts',
  './robot-senses.ts',
  './robot-loot.ts',
  './body.ts',
] as const;

/** What runs in a robot's process, as it is measured into the TPM and as the owner's reference values know it. */
export async function measurementsOf(robot: RobotName): Promise<readonly Measurement[]> {
  const { streams, houseRules } = bodyOf(robot);
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const parts = await Promise.all(
    measured.map((file) => readFile(fileURLToPath(new URL(file.replace('.ts', extension), import.meta.url)))),
  );
  return [
    measure('bundle', 'robot', new Uint8Array(Buffer.concat(parts))),
    measure('configuration', robot, canonicalBytes({ streams, houseRules, ...ROBOTS[robot] })),
  ];
}
