import type { Fields } from '../../src/tpm/codec.ts';
import type { ArgumentsOf, Command, HandleFields, ResponseOf } from '../../src/tpm/command.ts';
import type { Machine } from './machine.ts';

/** A command of this TPM: its declaration, and what it does. */
export interface Handler {
  readonly command: Command;
  run(chip: Machine, request: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>>;
}

/** Says what a command does. It runs after all authorizations were checked; it throws a Refusal, or answers. */
/* @__NO_SIDE_EFFECTS__ */
export function handler<H extends HandleFields, P extends Fields, RH extends HandleFields, RP extends Fields>(
  command: Command<H, P, RH, RP>,
  run: (
    chip: Machine,
    request: ArgumentsOf<Command<H, P, RH, RP>>,
  ) => NoInfer<ResponseOf<Command<H, P, RH, RP>>>,
): Handler {
  return { command: command as unknown as Command, run: run as Handler['run'] };
}
