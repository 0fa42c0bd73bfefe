import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { nodePlatform } from '../core/node.ts';
import type { Command, Input, Io } from './command.ts';
import { flag, oneOf, text, whole } from './command.ts';
import { Display } from './display.ts';

const seed = {
  type: 'string',
  value: 'N',
  describe: 'repeat the choices made by chance (default: 1)',
} as const;

/** Listeners of a story that say nothing, for `--json`. */
const silent = { stepBegan() {}, told() {}, expected() {}, explained() {}, stepEnded() {} };

/** `fealty simulate rescue`. */
export const rescue: Command = {
  about:
    'A robot dog and a rescue vehicle that never met prove what they are from their TPMs, get tokens for themselves, and work together\n' +
    'in a task domain that a console opens and ends; an impostor, a copier and a silent lidar get what they deserve. Each party is a\n' +
    'process of its own, over HTTPS and MQTT on loopback. Exits 0 only if every expectation held.',
  options: {
    seed,
    tpm: {
      type: 'string',
      value: 'KIND',
      describe: 'software (default), or swtpm: one real swtpm process for each robot',
    },
    broker: {
      type: 'string',
      value: 'KIND',
      describe: 'embedded (default), or mosquitto: a real Mosquitto, started here',
    },
    keep: { type: 'string', value: 'DIR', describe: 'leave the state of every party in DIR, to look at' },
  },
  examples: [
    ['simulate rescue', 'the whole story, in about ten seconds'],
    [
      'simulate rescue --tpm swtpm --broker mosquitto',
      'the same with a real TPM simulator and a real broker',
    ],
    ['simulate rescue --keep /tmp/rescue', 'and then: fealty audit verify /tmp/rescue/vehicle'],
    ['simulate rescue --json | jq .steps', 'the same as data'],
  ],
  run: async (input, io) => {
    const options = {
      tpm: oneOf(input, 'tpm', ['software', 'swtpm'], 'software'),
      broker: oneOf(input, 'broker', ['embedded', 'mosquitto'], 'embedded'),
    };
    return await play(input, io, async (given) => {
      const { runRescue } = await import('../../simulator/scenarios/rescue/index.ts');
      return await runRescue({ ...given, ...options });
    });
  },
};

/** `fealty simulate good-morning`. */
export const goodMorning: Command = {
  about:
    'A home hub with a virtual clock in Europe/Berlin. On weekdays at 07:00, once the alarm went off, the routine may raise the bedroom\n' +
    'light, set the thermostat, start the coffee and open the blinds; not on Saturday, not at 07:31, not when nobody is home, and never\n' +
    'the front door. Then the owner sells the house, and one call takes everything back.',
  options: { seed },
  examples: [
    ['simulate good-morning', 'the whole year in a few seconds'],
    ['simulate good-morning --json', 'the same as data'],
  ],
  run: async (input, io) =>
    await play(input, io, async (given) => {
      const { runGoodMorning } = await import('../../simulator/scenarios/good-morning/index.ts');
      return await runGoodMorning(given);
    }),
};

interface Given {
  readonly seed: number;
  readonly directory: string;
  readonly audience: Display | typeof silent;
  readonly signal: AbortSignal;
}

async function play(
  input: Input,
  io: Io,
  run: (given: Given) => Promise<Parameters<Display['table']>[0]>,
): Promise<number> {
  const kept = text(input, 'keep');
  const directory = kept ? resolve(kept) : await mkdtemp(join(tmpdir(), 'fealty-'));
  const { clock } = nodePlatform({ directory });
  const json = flag(input, 'json');
  const display = new Display(io, clock);
  try {
    const result = await run({
      seed: whole(input, 'seed', { min: 0, max: 2 ** 31 }) ?? 1,
      directory,
      audience: json ? silent : display,
      signal: io.signal,
    });
    if (json) io.json(result);
    else display.table(result);
    if (kept && !json) io.print(`The state of every party is in ${directory}.`);
    return result.held ? 0 : 1;
  } finally {
    display.close();
    if (!kept) await rm(directory, { recursive: true, force: true });
  }
}
