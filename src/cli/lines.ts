import type { Clock, Log } from '../core/platform.ts';
import type { Io } from './command.ts';

/** One thing that a long-running program tells. */
export type Tell = (
  level: 'info' | 'warn',
  message: string,
  fields?: Readonly<Record<string, unknown>>,
) => void;

/**
 * How a long-running program tells what happens: a line of words on stderr, or with `json` one JSON object a line on
 * stdout, `{ "at", "level", "message", … }`.
 */
export function lines(io: Io, clock: Pick<Clock, 'now'>, json: boolean): { tell: Tell; log: Log } {
  const tell: Tell = (level, message, fields = {}) => {
    const at = new Date(clock.now()).toISOString();
    if (json) io.print(JSON.stringify({ at, level, message, ...fields }));
    else {
      const rest = Object.entries(fields).filter(([, value]) => value !== undefined);
      const words = rest.map(([name, value]) => `${name}=${inWords(value)}`).join(' ');
      io.note(`${at} ${level} ${message}${words === '' ? '' : ` ${words}`}`);
    }
  };
  return {
    tell,
    log: {
      debug: () => {},
      info: (message, fields) => tell('info', message, fields),
      warn: (message, fields) => tell('warn', message, fields),
    },
  };
}

/** Resolves when the person has asked the program to end. */
export function ended(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function inWords(value: unknown): string {
  return typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
}
