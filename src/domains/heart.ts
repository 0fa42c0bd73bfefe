import { hex } from '../core/bytes.ts';
import { lifeTopic } from '../messaging/index.ts';
import { detached } from './detached.ts';
import type { MemberCore } from './member-core.ts';
import type { TenureState } from './tenure.ts';
import { Tenure } from './tenure.ts';

/** What {@link Heart} tells its member. */
export interface HeartEvents {
  changed(state: TenureState): void;
  /** The group grant's life is over. */
  expired(): void;
}

/**
 * Keeps a member alive: beats with a fresh nonce each period, shows the newest log head to everybody now and then, and
 * watches tenure and group grant. At the coordinator there is no tenure, because there is nobody to hear from.
 */
export class Heart {
  readonly #core: MemberCore;
  readonly #told: HeartEvents;
  readonly #tenure: Tenure | undefined;
  readonly #timers = new Set<() => void>();
  #closed = false;
  #shownAt = Number.NEGATIVE_INFINITY;

  constructor(core: MemberCore, told: HeartEvents) {
    this.#core = core;
    this.#told = told;
    const { platform, times, groupGrant, coordinate } = core.options;
    const { clock } = platform;
    if (coordinate === undefined)
      this.#tenure = new Tenure({
        clock,
        tenureMs: times.tenureMs,
        observeMs: times.observeMs,
        changed: (state) => told.changed(state),
      });
    this.#later(Math.max(0, groupGrant.exp * 1000 - clock.now()), () => told.expired());
  }

  /** `held` at the coordinator. */
  get tenure(): TenureState {
    return this.#tenure?.state ?? 'held';
  }

  /** On `clock.elapsed()`; infinity at the coordinator. */
  get tenureUntil(): number {
    return this.#tenure?.until ?? Number.POSITIVE_INFINITY;
  }

  /** Beats now, and from now on. */
  start(): void {
    if (this.#closed) return;
    const { times, platform, groupGrant } = this.#core.options;
    if (platform.clock.now() >= groupGrant.exp * 1000) {
      this.#told.expired(); // the wall clock may have jumped
      return;
    }
    this.#core.reconsider('credentials');
    this.beat();
    this.#show();
    // Faster while we are not admitted yet, so that a lost answer costs little.
    const period = this.#core.ring.epoch === 0 ? times.heartbeatMs / 4 : times.heartbeatMs;
    this.#later(period, () => this.start());
  }

  /** One beat. */
  beat(): void {
    if (this.#tenure === undefined || this.#closed) return;
    const { ring, log, options, history } = this.#core;
    const nonce = hex(options.platform.random.bytes(8));
    this.#tenure.sent(nonce);
    this.#core.tell('beat', {
      nonce,
      epoch: ring.epoch,
      index: log.index,
      head: log.head?.hash ?? new Uint8Array(32),
      key: history.newestLogKey,
    });
  }

  /** The coordinator echoed a nonce. @returns false when it is none of ours, or counted before. */
  echoed(nonce: string): boolean {
    return this.#tenure?.echoed(nonce) ?? false;
  }

  /** Shows the log head with the next beat: a fork begins where somebody is cut off. */
  showSoon(): void {
    this.#shownAt = Number.NEGATIVE_INFINITY;
  }

  /** Stops every timer. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#tenure?.close();
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  /**
   * Members compare heads: two signed ones with one index prove that the coordinator told two stories. Everybody hears
   * everybody, so the more there are, the more seldom.
   */
  #show(): void {
    const { log, roster, options, identity } = this.#core;
    const { times, platform, link, domain } = options;
    const now = platform.clock.elapsed();
    const period = Math.max(5 * times.heartbeatMs, 40 * roster.members.size);
    if (log.head === undefined || now - this.#shownAt < period) return;
    this.#shownAt = now;
    const topic = lifeTopic(domain, identity.credentials.slug);
    detached(link.publish(topic, log.head.bytes, { qos: 0, retain: true }), platform.log, 'a birth');
  }

  #later(ms: number, run: () => void): void {
    const cancel = this.#core.options.platform.clock.schedule(ms, () => {
      this.#timers.delete(cancel);
      run();
    });
    this.#timers.add(cancel);
  }
}
