import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { VERSION } from '../agent/index.ts';
import { agentCheck, agentMeasure, agentRun } from './agent-run.ts';
import type { Command } from './command.ts';
import { processIo } from './io.ts';
import { guarded, runCommand } from './run.ts';

export { readyAgent } from './ready.ts';

/** What the bundled agent can do: what a robot needs, and nothing of a server. */
const programs: Readonly<Record<string, Command>> = {
  run: agentRun,
  check: agentCheck,
  measure: agentMeasure,
};

if (isProgram()) process.exitCode = await main(process.argv.slice(2));

/** `node agent.mjs [run|check|measure] --config fealty.json`; `run` is what is meant when nothing is said. */
async function main(args: readonly string[]): Promise<number> {
  const io = processIo();
  if (args.includes('--version')) {
    io.print(VERSION);
    return 0;
  }
  const [first = ''] = args;
  const command = programs[first];
  return await guarded(io, () =>
    command === undefined
      ? runCommand('agent run', agentRun, args, io)
      : runCommand(`agent ${first}`, command, args.slice(1), io),
  );
}

/** Whether this file is what was started, and not imported by another. */
function isProgram(): boolean {
  const [, started] = process.argv;
  return started !== undefined && realpathSync(started) === fileURLToPath(import.meta.url);
}
