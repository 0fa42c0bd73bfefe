import type { Command } from './command.ts';
import * as commands from './commands.ts';

let table: ReadonlyMap<number, Command> | undefined;

/** The declaration of the command with this TPM_CC, for whoever answers commands; clients import what they ask. */
export function commandByCode(code: number): Command | undefined {
  return byCode().get(code);
}

/** Every declared command, by ascending code. */
export function allCommands(): readonly Command[] {
  return [...byCode().values()].sort((a, b) => a.code - b.code);
}

function byCode(): ReadonlyMap<number, Command> {
  table ??= new Map(Object.values(commands).map((one) => [one.code, one as Command]));
  return table;
}
