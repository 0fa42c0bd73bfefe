#!/usr/bin/env node
import type { Io } from './command.ts';
import { Misuse } from './command.ts';
import type { Entry } from './commands.ts';
import { commands } from './commands.ts';
import { overview } from './help.ts';
import { processIo } from './io.ts';
import { guarded, runCommand } from './run.ts';

process.exitCode = await main(process.argv.slice(2), processIo());

/** Runs the command that the arguments name. @returns the exit code. */
async function main(args: readonly string[], io: Io): Promise<number> {
  return await guarded(io, async () => {
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
  });
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
