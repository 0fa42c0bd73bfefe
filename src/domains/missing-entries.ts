import type { MemberCore } from './member-core.ts';

/** A member asks its coordinator for the entries of the log that it lacks. */
export class MissingEntries {
  readonly #core: MemberCore;
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(core: MemberCore) {
    this.#core = core;
  }

  /**
   * Asks for the log after what the member has.
   *
   * @param sure whether an answer will bring something; otherwise it is asked at most four times in a heartbeat.
   */
  ask(sure: boolean): void {
    const { coordinate, platform, times } = this.#core.options;
    if (coordinate !== undefined || this.#core.ended) return;
    const now = platform.clock.elapsed();
    if (!sure && now - this.#askedAt < times.heartbeatMs / 4) return;
    this.#askedAt = now;
    this.#core.tell('log-get', { from: this.#core.log.index + 1 });
  }
}
