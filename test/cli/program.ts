import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root } from '../house/sources.ts';

/** How the CLI is started: from its source, as `npm run fealty` does. */
const command = [
  process.execPath,
  '--import',
  import.meta.resolve('tsx'),
  '--conditions=source',
  join(root, 'src/cli/main.ts'),
] as const;

/** Where the programs of one test run. */
export interface Place {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** What a command left behind. */
export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs `fealty` with these arguments to its end. */
export async function fealty(place: Place, ...args: readonly string[]): Promise<Ran> {
  const child = launch(place, args);
  let out = '';
  let err = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    err += chunk.toString();
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

/** Runs `fealty … --json`, which must succeed. @returns the JSON it printed. */
export async function data(place: Place, ...args: readonly string[]): Promise<unknown> {
  const { code, out, err } = await fealty(place, ...args, '--json');
  if (code !== 0) throw new Error(`fealty ${args.join(' ')} ended with ${code}: ${err}${out}`);
  return JSON.parse(out);
}

/** A line that a long-running program told. */
export interface Told {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

/** A program that runs until it is told to end. */
export class Program {
  readonly told: Told[] = [];
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #closed: Promise<number | null>;
  readonly #waiting = new Set<() => void>();
  #err = '';
  #over = false;

  /** Starts `fealty … --json`. */
  constructor(place: Place, ...args: readonly string[]) {
    this.#name = args.join(' ');
    this.#child = launch(place, [...args, '--json']);
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#err += chunk.toString();
    });
    if (this.#child.stdout)
      createInterface({ input: this.#child.stdout }).on('line', (line) => {
        if (!line.startsWith('{"')) return; // what is not one object a line is for people
        this.told.push(JSON.parse(line) as Told);
        for (const look of this.#waiting) look();
      });
    this.#closed = once(this.#child, 'close').then(([code]) => {
      this.#over = true;
      for (const look of this.#waiting) look();
      return code as number | null;
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Resolves with the first line that has this message; rejects when the program ends without it. */
  until(message: string, matches: (line: Told) => boolean = () => true): Promise<Told> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = this.told.find((line) => line.message === message && matches(line));
        if (found === undefined && !this.#over) return;
        this.#waiting.delete(look);
        if (found) resolve(found);
        else reject(new Error(`${this.#name} ended without \`${message}\`: ${this.#said()}`));
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Ctrl-C. @returns the exit code. */
  async interrupt(): Promise<number | null> {
    if (!this.#over) this.#child.kill('SIGINT');
    return await this.#closed;
  }

  /** After a test that failed. */
  async kill(): Promise<void> {
    if (!this.#over) this.#child.kill('SIGKILL');
    await this.#closed;
  }

  #said(): string {
    return `${this.#err}${this.told.map((line) => JSON.stringify(line)).join('\n')}`.slice(-2_000);
  }
}

/** A port that nobody listens on; with `pair`, the next one is free too. */
export async function freePort(pair = false): Promise<number> {
  for (;;) {
    const first = createServer().listen(0, '127.0.0.1');
    await once(first, 'listening');
    const address = first.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const second = createServer();
    const free =
      !pair ||
      (await new Promise<boolean>((resolve) => {
        second.once('error', () => resolve(false));
        second.listen(port + 1, '127.0.0.1', () => resolve(true));
      }));
    second.close();
    first.close();
    await once(first, 'close');
    if (free) return port;
  }
}

function launch({ cwd, env }: Place, args: readonly string[]): ChildProcess {
  const [program, ...options] = command;
  return spawn(program, [...options, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
