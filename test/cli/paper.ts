import type { Io } from '../../src/cli/command.ts';
import { commands } from '../../src/cli/commands.ts';
import { guarded, runCommand } from '../../src/cli/run.ts';

/** An Io that keeps what is written. */
export function paper(): { io: Io; out: string[]; err: string[] } {
  const out: string[] = [];
  const err: string[] = [];
  const log = { debug: () => {}, info: () => {}, warn: () => {} };
  const io: Io = {
    print: (line) => out.push(line),
    json: (value) => out.push(JSON.stringify(value)),
    note: (line) => err.push(line),
    draw: () => {},
    terminal: false,
    columns: 80,
    colours: false,
    log,
    signal: new AbortController().signal,
  };
  return { io, out, err };
}

/** Runs a command in this process. @returns its exit code and what it wrote. */
export async function runHere(
  name: string,
  ...args: readonly string[]
): Promise<{ code: number; out: string; err: string }> {
  const entry = commands[name];
  if (entry === undefined) throw new Error(`no ${name}`);
  const { io, out, err } = paper();
  const code = await guarded(io, async () => runCommand(name, await entry.load(), args, io));
  return { code, out: out.join('\n'), err: err.join('\n') };
}
