import type { Clock } from '../../core/platform.ts';

/**
 * How long one thing after another may take. One timer serves them all: it is not set and cleared for each, which would
 * cost more than a short command does, but looks, when it goes off, how long the thing under way has left.
 */
export class Deadline {
  readonly #clock: Clock;
  readonly #ms: number;
  #since = 0;
  #late: (() => void) | undefined;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, ms: number) {
    this.#clock = clock;
    this.#ms = ms;
  }

  /** Something begins; `late` is called when it is not {@link Deadline.done} in time. */
  start(late: () => void): void {
    this.#since = this.#clock.elapsed();
    this.#late = late;
    this.#cancel ??= this.#clock.schedule(this.#ms, this.#look);
  }

  /** It ended. */
  done(): void {
    this.#late = undefined;
  }

  /** Nothing more will begin: the timer is let go of. */
  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#late = undefined;
  }

  readonly #look = () => {
    this.#cancel = undefined;
    const late = this.#late;
    if (late === undefined) return;
    const left = this.#since + this.#ms - this.#clock.elapsed();
    if (left > 0) {
      this.#cancel = this.#clock.schedule(left, this.#look);
      return;
    }
    this.#late = undefined;
    late();
  };
}
