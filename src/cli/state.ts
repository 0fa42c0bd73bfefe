import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { askControl } from '../agent/control.ts';
import { BadConfiguration } from '../agent/index.ts';
import { Unreachable } from '../core/errors.ts';
import type { Json } from '../core/json.ts';
import type { Input, OptionDescription } from './command.ts';
import { Misuse, text } from './command.ts';
import { readConfigFile } from './config.ts';

/** Options of every command that looks at an agent of this machine. */
export const stateOptions = {
  state: { type: 'string', value: 'DIR', describe: 'state folder of the agent (default: that of --config)' },
  config: { type: 'string', value: 'FILE', describe: 'its configuration (default: ./fealty.json)' },
} as const satisfies Readonly<Record<string, OptionDescription>>;

/** The state folder that is meant. @throws {Misuse} when it is not said and there is no fealty.json here. */
export async function stateFolder(input: Input): Promise<string> {
  const given = text(input, 'state');
  if (given !== undefined) return resolve(given);
  const config = text(input, 'config') ?? 'fealty.json';
  if (text(input, 'config') === undefined && !existsSync(config))
    throw new Misuse('which agent? --state DIR or --config FILE, or be where its fealty.json is');
  return (await readConfigFile(config)).state;
}

/** The control socket of the agent in `state`. @throws {BadConfiguration} when no socket can have that name. */
export function socketOf(state: string): string {
  const path = join(state, 'control.sock');
  // Unix sockets have short names (107 bytes); from here the way may be shorter.
  const short = relative(process.cwd(), path);
  const best = Buffer.byteLength(short) < Buffer.byteLength(path) ? short : path;
  if (Buffer.byteLength(best) > 100)
    throw new BadConfiguration(
      `\`${state}\` is too long a name for a state folder: sockets have at most 107 bytes`,
    );
  return best;
}

/** Asks the agent in `state`; `undefined` when none runs there. @throws {ControlRefused} */
export async function askAgent(
  state: string,
  name: string,
  argument: Json = null,
): Promise<Json | undefined> {
  try {
    return await askControl(socketOf(state), name, argument);
  } catch (error) {
    if (error instanceof Unreachable) return undefined;
    throw error;
  }
}
