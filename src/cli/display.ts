import type { Clock } from '../core/platform.ts';
import type { Io } from './command.ts';

/** A story's result as the display needs it (the simulator's `StoryResult`). */
export interface ShownResult {
  readonly held: boolean;
  readonly ms: number;
  readonly seed: number;
  readonly steps: readonly ShownStep[];
}

/** One step of it. */
export interface ShownStep {
  readonly number: number;
  readonly title: string;
  readonly result: 'held' | 'failed' | 'not reached';
  readonly ms: number;
  readonly expectations: readonly { readonly what: string; readonly held: boolean }[];
}

const style = { bold: '1', dim: '2', red: '31', green: '32', yellow: '33', cyan: '36' } as const;
const spinner = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/**
 * Shows a story while it runs: lines that stay, and on a terminal a last line that moves.
 * Elsewhere plain lines, without colours and without anything redrawn.
 */
export class Display {
  #io: Io;
  #clock: Clock;
  #step: { number: number; title: string; began: number } | undefined;
  #frame = 0;
  #cancel: (() => void) | undefined;
  #began: number;

  constructor(io: Io, clock: Clock) {
    this.#io = io;
    this.#clock = clock;
    this.#began = clock.elapsed();
  }

  stepBegan(number: number, title: string): void {
    this.#step = { number, title, began: this.#clock.elapsed() };
    this.#line('');
    this.#line(`${this.#paint(String(number).padStart(2), 'cyan')}  ${this.#paint(title, 'bold')}`);
    this.#tick();
  }

  told(who: string, what: string): void {
    this.#line(`${this.#time()}  ${this.#paint(who.padEnd(9), 'dim')} ${what}`);
  }

  expected(expectation: {
    readonly what: string;
    readonly held: boolean;
    readonly seen?: string | undefined;
  }): void {
    const mark = expectation.held ? this.#paint('✓', 'green') : this.#paint('✗', 'red');
    const seen = expectation.seen ? this.#paint(` (${expectation.seen})`, 'dim') : '';
    this.#line(`${this.#time()}  ${mark} ${expectation.what}${seen}`);
  }

  explained(lines: readonly string[]): void {
    for (const line of lines) this.#line(`${' '.repeat(16)}${this.#paint(line, 'dim')}`);
  }

  stepEnded(step: ShownStep): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#clear();
    this.#step = undefined;
    if (step.result === 'not reached')
      this.#line(`${String(step.number).padStart(2)}  ${step.title}: not reached`);
  }

  /** The table at the end. */
  table(result: ShownResult): void {
    const width = Math.max(20, Math.min(72, this.#io.columns - 30));
    this.#line('');
    this.#line(this.#paint(`${'  # '} ${'step'.padEnd(width)}  ${'result'.padEnd(12)}  time`, 'bold'));
    for (const { number, title, result: how, ms, expectations } of result.steps) {
      const held = expectations.filter((one) => one.held).length;
      const count = how === 'not reached' ? how : `${how} ${held}/${expectations.length}`;
      const colour = how === 'held' ? 'green' : how === 'failed' ? 'red' : 'yellow';
      const time = how === 'not reached' ? '' : `${(ms / 1000).toFixed(2)} s`;
      this.#line(
        `${String(number).padStart(3)}  ${shorten(title, width).padEnd(width)}  ${this.#paint(count.padEnd(12), colour)}  ${time}`,
      );
    }
    this.#line('');
    const verdict = result.held
      ? this.#paint('Everything held', 'green')
      : this.#paint('Not everything held', 'red');
    this.#line(`${verdict}, in ${(result.ms / 1000).toFixed(1)} s (seed ${result.seed}).`);
  }

  /** Stops redrawing. */
  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#clear();
  }

  #time(): string {
    return this.#paint(`${((this.#clock.elapsed() - this.#began) / 1000).toFixed(2).padStart(8)}`, 'dim');
  }

  #paint(text: string, ...names: (keyof typeof style)[]): string {
    return this.#io.colours ? `\u001b[${names.map((name) => style[name]).join(';')}m${text}\u001b[0m` : text;
  }

  #line(text: string): void {
    this.#clear();
    this.#io.print(text);
  }

  #clear(): void {
    if (this.#io.terminal) this.#io.draw('\r\u001b[2K');
  }

  #tick(): void {
    if (!this.#io.terminal || this.#step === undefined) return;
    this.#cancel?.();
    const { title, began } = this.#step;
    const seconds = ((this.#clock.elapsed() - began) / 1000).toFixed(1);
    const mark = spinner[this.#frame++ % spinner.length] ?? '';
    this.#io.draw(
      `\r\u001b[2K${this.#paint(`${mark} ${shorten(title, this.#io.columns - 12)} ${seconds} s`, 'dim')}`,
    );
    this.#cancel = this.#clock.schedule(100, () => this.#tick());
  }
}

function shorten(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(1, width - 1))}…`;
}
