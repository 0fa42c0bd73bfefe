#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { FealtyError, messageOf } from '../core/errors.ts';
import type { Command, Io } from './command.ts';
import { Misuse } from './command.ts';
import type { Entry } from './commands.ts';
import { commands } from './commands.ts';
import { common, overview, page } from './help.ts';
import { processIo } from './io.ts';

process.exitCode = await main(process.argv.slice(2), processIo());

/** Runs the command that the arguments name. @returns the exit code. */
async function main(args: readonly string[], io: Io): Promise<number> {
  try {
    const words = args.filter((word) => !word.startsWith('-'));
    if (words.length === 0 || words[0] === 'help') {
      io.print(overview(commands));
      return args.length === 0 ||
        words[0] === 'help' ||
        args.some((word) => word === '--help' || word === '-h')
        ? 0
        : 2;
    }
    const found = find(args);
    const command = await found.entry.load();
    return await runCommand(found.name, command, found.rest, io);
  } catch (error) {
    if (error instanceof Misuse) {
      io.note(`fealty: ${error.message}`);
      return 2;
    }
    if (io.signal.aborted) {
      io.note('fealty: stopped');
      return 1;
    }
    io.note(`fealty: ${describe(error)}`);
    return 1;
  }
}

async function runCommand(name: string, command: Command, args: readonly string[], io: Io): Promise<number> {
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

/** The longest command that the first words name. */
function find(args: readonly string[]): { name: string; entry: Entry; rest: readonly string[] } {
  for (const count of [2, 1]) {
    const name = args.slice(0, count).join(' ');
    const entry = commands[name];
    if (entry) return { name, entry, rest: args.slice(count) };
  }
  const [first = ''] = args;
  const family = Object.keys(commands).filter((name) => name.startsWith(`${first} `));
  if (family.length > 0)
    throw new Misuse(`fealty ${first} what? ${family.map((name) => `\`${name}\``).join(', ')}`);
  throw new Misuse(`there is no command \`${first}\`; fealty --help lists them`);
}

/** An error and what led to it, in one line; the code first, so that it can be looked up. */
function describe(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error, depth = 0; at !== undefined && depth < 4; depth++) {
    parts.push(at instanceof FealtyError ? `${at.message} [${at.code}]` : messageOf(at));
    at = at instanceof Error ? at.cause : undefined;
  }
  return [...new Set(parts)].join(': ');
}
