import type { Clock } from '../core/platform.ts';

/** Waits at the end of a domain until every member has acknowledged it. */
export class Farewell {
  readonly #clock: Clock;
  readonly #members: () => readonly string[];
  readonly #acknowledged = new Set<string>();
  #all: (() => void) | undefined;

  /** @param members those who take part now; who leaves meanwhile is not waited for. */
  constructor(clock: Clock, members: () => readonly string[]) {
    this.#clock = clock;
    this.#members = members;
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
  async say(tell: (member: string) => void, waitMs: number): Promise<void> {
    if (this.#members().length === 0) return;
    const tellRest = () => {
      for (const member of this.#missing()) tell(member);
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

  #missing(): readonly string[] {
    return this.#members().filter((member) => !this.#acknowledged.has(member));
  }

  #judge(): void {
    if (this.#missing().length === 0) this.#all?.();
  }
}
