import type { Command, OptionDescription } from './command.ts';
import type { Entry } from './commands.ts';

/** Options that every command has. */
export const common: Readonly<Record<string, OptionDescription>> = {
  json: { type: 'boolean', describe: 'the result as JSON on stdout' },
  help: { type: 'boolean', short: 'h', describe: 'this page' },
};

/** The overview: every command with one line. */
export function overview(commands: Readonly<Record<string, Entry>>): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length));
  return [
    'fealty: an agent runtime for robots, vehicles and home hubs',
    '',
    'Usage: fealty COMMAND [options]        fealty COMMAND --help',
    '',
    ...Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'Exit codes: 0 done, 1 failed, 2 misused.',
  ].join('\n');
}

/** The page of one command. */
export function page(name: string, command: Command): string {
  const options = Object.entries({ ...command.options, ...common }).map(([option, description]) => {
    const short = description.short ? `-${description.short}, ` : '';
    const value = description.type === 'string' ? ` ${description.value ?? 'TEXT'}` : '';
    return [`${short}--${option}${value}`, description.describe] as const;
  });
  const width = Math.max(...options.map(([left]) => left.length));
  return [
    `Usage: fealty ${name}${command.arguments ? ` ${command.arguments}` : ''} [options]`,
    '',
    command.about,
    '',
    'Options:',
    ...options.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`),
    '',
    'Examples:',
    ...command.examples.flatMap(([line, comment]) => [`  # ${comment}`, `  fealty ${line}`]),
  ].join('\n');
}
