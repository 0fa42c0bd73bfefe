import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Command, Input } from '../../src/cli/command.ts';
import { Misuse } from '../../src/cli/command.ts';
import { commands } from '../../src/cli/commands.ts';
import { page } from '../../src/cli/help.ts';
import { guarded, runCommand } from '../../src/cli/run.ts';
import { root } from '../house/sources.ts';
import { paper } from './paper.ts';
import { fealty } from './program.ts';

const names = Object.keys(commands);
const reference = readFileSync(join(root, 'docs/reference/cli.md'), 'utf8');
const load = (name: string): Promise<Command> => {
  const entry = commands[name];
  if (entry === undefined) throw new Error(`no ${name}`);
  return entry.load();
};

describe.each(names)('fealty %s', (name) => {
  it('has a page with its options, --json and examples that begin with its name', async () => {
    const command = await load(name);
    const shown = page(name, command);
    expect(shown).toContain(`Usage: fealty ${name}`);
    expect(shown).toContain('--json');
    for (const option of Object.keys(command.options)) expect(shown).toContain(`--${option}`);
    expect(command.examples.length).toBeGreaterThan(0);
    for (const [line] of command.examples) expect(line.startsWith(name)).toBe(true);
    expect(commands[name]?.summary).toMatch(/^[^A-Z].*[^.]$/);
  });

  it('has the same page in docs/reference/cli.md', async () => {
    expect(reference).toContain(`## ${name}\n\n\`\`\`text\n${page(name, await load(name))}\n\`\`\``);
  });

  it('prints it for --help and does nothing else', async () => {
    const { io, out, err } = paper();
    expect(await runCommand(name, await load(name), ['--help'], io)).toBe(0);
    expect(out.join('\n')).toBe(page(name, await load(name)));
    expect(err).toEqual([]);
  });

  it('is misused with an option nobody knows, and with one argument too many', async () => {
    const command = await load(name);
    const { io, err } = paper();
    expect(await guarded(io, () => runCommand(name, command, ['--no-such-option'], io))).toBe(2);
    expect(err.join()).toContain('--no-such-option');
    const [, most] = command.count ?? [0, 0];
    const many = Array.from({ length: most + 1 }, (_, at) => `x${at}`);
    expect(await guarded(io, () => runCommand(name, command, many, io))).toBe(2);
  });
});

/** Command lines that say too little or nonsense, and a word of what is answered. */
const misuses: readonly (readonly [line: string[], says: RegExp])[] = [
  [['maker', 'init', 'x'], /--name/],
  [['maker', 'manufacture', '/nowhere'], /maker init makes one/],
  [['authority', 'init', 'x', '--trust-domain', 'a.example', '--url', 'http://a'], /--url/],
  [['authority', 'serve', 'x', '--broker', 'mqtt://a:1'], /--broker/],
  [['grant', 'add', '--client', 'dog'], /--client is an identifier/],
  [['grant', 'revoke'], /say what/],
  [['grant', 'revoke', '--owner', '--task', 'a'], /say what/],
  [['grant', 'revoke', '--device', 'dog#arm'], /--device is an identifier/],
  [['domain', 'convene', 'a', '--state', 'x'], /--role or --file/],
  [['domain', 'convene', 'a', '--state', 'x', '--role', 'scout'], /--mission|role/],
  [['audit', 'trace', 'x'], /--txn or --task/],
  [['authority', 'bind', 'x', '--agent', 'dog'], /--agent is an identifier/],
  [['authority', 'bind', 'x', '--agent', 'spiffe://a.example/agent/d', '--life', 'long'], /duration/],
];

describe('a command line that is wrong', () => {
  it.each(misuses)('fealty %j', async (line, says) => {
    const name = line.slice(0, 2).join(' ');
    const { io, err } = paper();
    const command = await load(name);
    const code = await guarded(io, () => runCommand(name, command, line.slice(2), io));
    expect(err.join()).toMatch(says);
    expect(code).toBe(says.source.includes('makes one') ? 1 : 2);
  });

  it('never shows a stack, and says the code of an error', async () => {
    const { io, err } = paper();
    const broken: Command = {
      about: '',
      options: {},
      examples: [],
      run: async (_input: Input) => {
        throw new Error('outer', { cause: new Error('inner') });
      },
    };
    expect(await guarded(io, () => runCommand('x', broken, [], io))).toBe(1);
    expect(err).toEqual(['fealty: outer: inner']);
    expect(await guarded(io, () => Promise.reject(new Misuse('no')))).toBe(2);
  });
});

describe('the program', () => {
  const place = { cwd: tmpdir(), env: { XDG_CONFIG_HOME: '/nowhere' } };

  it('exits 2 for a command it does not know, and 0 for help', async () => {
    const [unknown, family, help, none] = await Promise.all([
      fealty(place, 'dance'),
      fealty(place, 'grant'),
      fealty(place, '--help'),
      fealty(place, 'status'),
    ]);
    expect(unknown).toMatchObject({ code: 2, out: '' });
    expect(unknown.err).toContain('there is no command `dance`');
    expect(family).toMatchObject({ code: 2 });
    expect(family.err).toContain('`grant add`');
    expect(help.code).toBe(0);
    for (const name of names) expect(help.out).toContain(name);
    expect(none).toMatchObject({ code: 2 });
    expect(none.err).toContain('which agent?');
  });
});
