import type { Log } from '../core/platform.ts';

/** One option of a command, as `util.parseArgs` takes it, and what `--help` says of it. */
export interface OptionDescription {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly multiple?: boolean;
  /** Stands for the value in help, for example `DIR`. */
  readonly value?: string;
  readonly describe: string;
}

/** What the command was given. */
export interface Input {
  readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;
  readonly positionals: readonly string[];
}

/** Where a command reads and writes; data on stdout, words to a person on stderr. */
export interface Io {
  /** A line of the result, on stdout. */
  print(line: string): void;
  /** The result as one JSON text on stdout. */
  json(value: unknown): void;
  /** A word to the person, on stderr. */
  note(line: string): void;
  /** Raw text on stderr, for what is redrawn. */
  draw(text: string): void;
  /** Whether the person looks at a terminal. */
  readonly terminal: boolean;
  readonly columns: number;
  /** Whether colours are welcome (a terminal, and no NO_COLOR). */
  readonly colours: boolean;
  readonly log: Log;
  /** Aborted by Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
}

/** One command of `fealty`. */
export interface Command {
  /** The positional arguments in the usage line, for example `ID`. Default: none. */
  readonly arguments?: string;
  /** Fewest and most positional arguments. Default: `[0, 0]`. */
  readonly count?: readonly [number, number];
  /** What it does, in a paragraph. */
  readonly about: string;
  readonly options: Readonly<Record<string, OptionDescription>>;
  /** Command lines without the leading `fealty`, each with a comment. */
  readonly examples: readonly (readonly [line: string, comment: string])[];
  /** 0 done, 1 failed. Misuse is a {@link Misuse}. */
  run(input: Input, io: Io): Promise<number>;
}

/** The command line is wrong: exit code 2. */
export class Misuse extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'Misuse';
  }
}

/** The text given for `name`, if any. */
export function text(input: Input, name: string): string | undefined {
  const value = input.values[name];
  return typeof value === 'string' ? value : undefined;
}

/** The text given for `name`. @throws {Misuse} when it is missing. */
export function need(input: Input, name: string): string {
  const value = text(input, name);
  if (value === undefined || value === '') throw new Misuse(`--${name} is needed`);
  return value;
}

/** Every text given for a repeatable option. */
export function list(input: Input, name: string): readonly string[] {
  const value = input.values[name];
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

/** Whether the flag was given. */
export function flag(input: Input, name: string): boolean {
  return input.values[name] === true;
}

/** A whole number in a range. @throws {Misuse} for anything else. */
export function whole(
  input: Input,
  name: string,
  range: { readonly min: number; readonly max: number },
): number | undefined {
  const value = text(input, name);
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!/^\d+$/.test(value) || number < range.min || number > range.max)
    throw new Misuse(`--${name} is a whole number from ${range.min} to ${range.max}, not \`${value}\``);
  return number;
}

/** One of a few words. @throws {Misuse} for any other. */
export function oneOf<const W extends string>(
  input: Input,
  name: string,
  words: readonly W[],
  otherwise: W,
): W {
  const value = text(input, name);
  if (value === undefined) return otherwise;
  const found = words.find((word) => word === value);
  if (found === undefined) throw new Misuse(`--${name} is one of ${words.join(', ')}, not \`${value}\``);
  return found;
}
