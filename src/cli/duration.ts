import { Misuse } from './command.ts';

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Milliseconds of a duration as people write it: `20 min`, `500 ms`, `2 h`; `undefined` when it is none. */
export function millisecondsOf(text: string): number | undefined {
  const [, amount = '', unit = ''] = /^(\d{1,12}(?:\.\d{1,3})?) ?(ms|s|min|h|d)$/.exec(text) ?? [];
  const ms = Number(amount) * (UNITS[unit] ?? Number.NaN);
  return amount !== '' && Number.isSafeInteger(ms) && ms >= 1 ? ms : undefined;
}

/** Milliseconds of an option's duration. @throws {Misuse} */
export function durationOption(name: string, value: string): number {
  const ms = millisecondsOf(value);
  if (ms === undefined) throw new Misuse(`--${name} is a duration such as \`20 min\`, not \`${value}\``);
  return ms;
}
