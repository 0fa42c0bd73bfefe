import { parseArgs } from 'node:util';
import { FealtyError, messageOf } from '../core/errors.ts';
import type { Command, Io } from './command.ts';
import { Misuse } from './command.ts';
import { common, page } from './help.ts';

/** Does `work` and turns what it throws into words and an exit code: 2 misused, 1 failed. */
export async function guarded(io: Io, work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Misuse) {
      io.note(`fealty: ${error.message}`);
      return 2;
    }
    io.note(io.signal.aborted ? 'fealty: stopped' : `fealty: ${describe(error)}`);
    return 1;
  }
}

/** Runs one command with its own arguments. @returns the exit code. @throws {Misuse} */
export async function runCommand(
  name: string,
  command: Command,
  args: readonly string[],
  io: Io,
): Promise<number> {
  const parsed = parse(name, command, args);
  if (parsed.values['help'] === true) {
    io.print(page(name, command));
    return 0;
  }
  const [fewest, most] = command.count ?? [0, 0];
  if (parsed.positionals.length < fewest || parsed.positionals.length > most)
    throw new Misuse(
      `usage: fealty ${[name, command.arguments].filter(Boolean).join(' ')}; see fealty ${name} --help`,
    );
  return await command.run(parsed, io);
}

/** An error and what led to it, in one line; the code at its side, so that it can be looked up. */
export function describe(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error, depth = 0; at !== undefined && depth < 4; depth++) {
    parts.push(at instanceof FealtyError ? `${at.message} [${at.code}]` : messageOf(at));
    at = at instanceof Error ? at.cause : undefined;
  }
  return [...new Set(parts)].join(': ');
}

function parse(name: string, command: Command, args: readonly string[]) {
  const options = Object.fromEntries(
    Object.entries({ ...command.options, ...common }).map(([option, { type, short, multiple }]) => [
      option,
      { type, ...(short ? { short } : {}), ...(multiple ? { multiple } : {}) },
    ]),
  );
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (cause) {
    throw new Misuse(`${messageOf(cause).split('. ')[0]}; see fealty ${name} --help`, { cause });
  }
}
