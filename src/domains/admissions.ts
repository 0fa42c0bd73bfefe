import type { Clock } from '../core/platform.ts';
import type { Completed } from './handshake-common.ts';

/** Most admissions for one new epoch. */
const BATCH_MAX = 64;

/** Somebody whose handshake is complete and who is not in the log yet. */
export interface Admission {
  readonly agentId: string;
  readonly role: string;
  readonly completed: Completed;
  /** It holds its first epoch. */
  readonly admitted: () => void;
  readonly refused: (error: Error) => void;
}

/**
 * Those who wait to be admitted. Each new epoch costs a message to every member, so those who come together are admitted
 * together: at once when everybody who is expected has shown that it listens, otherwise after a while.
 */
export class Admissions {
  readonly #clock: Clock;
  readonly #batchMs: number;
  readonly #due: () => void;
  readonly #pending = new Map<string, Admission>();
  readonly #ready = new Set<string>();
  #cancel: (() => void) | undefined;

  /** @param due called when {@link Admissions.take} should be. */
  constructor(clock: Clock, batchMs: number, due: () => void) {
    this.#clock = clock;
    this.#batchMs = batchMs;
    this.#due = due;
  }

  /** Takes in somebody whose handshake is complete. */
  expect(admission: Admission): void {
    this.#pending.set(admission.agentId, admission);
  }

  /** Whether somebody is expected. */
  has(agentId: string): boolean {
    return this.#pending.has(agentId);
  }

  /** Whether somebody who is expected has shown that it listens. */
  isReady(agentId: string): boolean {
    return this.#ready.has(agentId);
  }

  /** Gives up on somebody. @returns whether it was expected. */
  forget(agentId: string): boolean {
    this.#ready.delete(agentId);
    return this.#pending.delete(agentId);
  }

  /** Somebody who is expected shows that it listens. */
  hello(agentId: string): void {
    if (!this.#pending.has(agentId) || this.#ready.has(agentId)) return;
    this.#ready.add(agentId);
    const everybody = [...this.#pending.keys()].every((other) => this.#ready.has(other));
    if (everybody || this.#ready.size >= BATCH_MAX) this.#call();
    else this.#cancel ??= this.#clock.schedule(this.#batchMs, () => this.#call());
  }

  /** Hands out those who are admitted now; when there are more, they are due again. */
  take(): readonly Admission[] {
    const batch: Admission[] = [];
    for (const agentId of [...this.#ready].slice(0, BATCH_MAX)) {
      const admission = this.#pending.get(agentId);
      if (admission !== undefined) batch.push(admission);
      this.forget(agentId);
    }
    if (this.#ready.size > 0) this.#call();
    return batch;
  }

  /** Refuses everybody: the domain has ended. */
  close(): void {
    this.#cancel?.();
    for (const admission of this.#pending.values()) admission.refused(new Error('the domain ended'));
    this.#pending.clear();
    this.#ready.clear();
  }

  #call(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#due();
  }
}
