import type { Io } from './command.ts';

/** The process's own terminal, streams and signals. */
export function processIo(): Io {
  const stop = new AbortController();
  let interrupts = 0;
  const interrupted = (name: NodeJS.Signals) => {
    interrupts++;
    // The second Ctrl-C of an impatient person ends it at once.
    if (interrupts > 1) process.exit(name === 'SIGINT' ? 130 : 143);
    stop.abort(new Error(`stopped by ${name}`));
  };
  process.on('SIGINT', interrupted);
  process.on('SIGTERM', interrupted);
  // whoever reads our output may have seen enough (`fealty tpm nv | head`)
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
  const terminal = process.stderr.isTTY === true;
  const line = (level: string) => (message: string, fields?: Readonly<Record<string, unknown>>) => {
    const rest = fields ? ` ${JSON.stringify(fields)}` : '';
    process.stderr.write(`${level} ${message}${rest}\n`);
  };
  return {
    print: (text) => {
      process.stdout.write(`${text}\n`);
    },
    json: (value) => {
      process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
    },
    note: (text) => {
      process.stderr.write(`${text}\n`);
    },
    draw: (text) => {
      process.stderr.write(text);
    },
    terminal,
    get columns() {
      return process.stderr.columns ?? 100;
    },
    colours: terminal && process.env['NO_COLOR'] === undefined && process.env['TERM'] !== 'dumb',
    log: { debug: () => {}, info: line('info'), warn: line('warn') },
    signal: stop.signal,
  };
}
