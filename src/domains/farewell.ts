import type { Clock } from '../core/platform.ts';

/** Waits at the end of a domain until everybody has acknowledged it. */
export class Farewell {
  readonly #clock: Clock;
  readonly #acknowledged = new Set<string>();
  #members: readonly string[] = [];
  #all: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A member says that it has ended. */
  acknowledged(agentId: string): void {
    this.#acknowledged.add(agentId);
    this.#judge();
  }

  /**
   * Tells the end to every member, once more after half the time, for those whose copy was lost.
   *
   * @returns when all have acknowledged, or `waitMs` are over.
   */
  async say(members: readonly string[], tell: (member: string) => void, waitMs: number): Promise<void> {
    if (members.length === 0) return;
    this.#members = members;
    const tellRest = () => {
      for (const member of members) if (!this.#acknowledged.has(member)) tell(member);
    };
    tellRest();
    await new Promise<void>((resolve) => {
      const cancels = [
        this.#clock.schedule(waitMs, () => done()),
        this.#clock.schedule(waitMs / 2, tellRest),
      ];
      const done = () => {
        for (const cancel of cancels) cancel();
        resolve();
      };
      this.#all = done;
      this.#judge();
    });
  }

  #judge(): void {
    if (this.#members.every((member) => this.#acknowledged.has(member))) this.#all?.();
  }
}
