import type { LinkMessage, Subscription } from '../messaging/index.ts';
import {
  inboxFilter,
  inboxTopic,
  lifeFilter,
  logHeadTopic,
  logTopic,
  OwnSession,
} from '../messaging/index.ts';
import { Asks } from './asks.ts';
import { Channel } from './channel.ts';
import type { CoreOptions } from './core-options.ts';
import { detached, guarded } from './detached.ts';
import { acknowledgeEnd, recordEnd, revokeAssignments } from './ending.ts';
import { EpochRing } from './epochs.ts';
import { DomainEnded } from './errors.ts';
import { Heart } from './heart.ts';
import { History } from './history.ts';
import { hearInbox } from './inbox.ts';
import type { LogReader } from './log-reader.ts';
import { lowest, modeOfPapers, tenureModes } from './modes.ts';
import type { MemberState, Roster } from './roster.ts';
import { Stops } from './stops.ts';
import { Streams } from './streams.ts';
import type { DomainIdentity, MessageMeta, Mode } from './types.ts';

/**
 * One agent's part in a domain: reads the log, holds the epochs, keeps its tenure, and ends. Demotion, eviction and end
 * are one path: refuse, stop what runs, close the keys, record, acknowledge.
 */
export class MemberCore {
  readonly options: CoreOptions;
  readonly ring: EpochRing;
  readonly history: History;
  readonly channel: Channel;
  readonly asks: Asks<MessageMeta>;
  readonly stops: Stops;
  identity: DomainIdentity;
  /** Resolved when the first epoch is held; rejected when it ends before. */
  readonly live: Promise<void>;
  readonly #heart: Heart;
  readonly streams: Streams;
  readonly #subscriptions: Subscription[] = [];
  #mode: Mode = 'observe';
  #over = false;
  #ending: Promise<void> | undefined;
  #begun: { resolve: () => void; reject: (error: Error) => void } | undefined;

  constructor(options: CoreOptions) {
    this.options = options;
    this.identity = options.identity;
    const { platform, link, times, domain } = options;
    const { clock, random } = platform;
    const { credentials } = options.identity;
    this.live = new Promise((resolve, reject) => {
      this.#begun = { resolve, reject };
    });
    this.live.catch(() => {}); // who does not wait for it is told by events
    this.ring = new EpochRing(clock, times.graceMs);
    this.history = new History(this);
    this.channel = new Channel({
      domain,
      genesis: options.genesis,
      clock,
      link,
      session: new OwnSession(credentials.slug, options.session),
      agreement: options.agreement,
      ring: this.ring,
    });
    this.asks = new Asks<MessageMeta>({
      clock,
      random,
      epoch: () => this.ring.epoch,
      send: (to, type, body) => this.channel.tell(to, type, body, times.tenureMs),
    });
    this.stops = new Stops(clock);
    this.streams = new Streams({
      platform,
      link,
      channel: this.channel,
      ring: this.ring,
      graceMs: times.graceMs,
      slug: credentials.slug,
      modeOf: (agentId) => {
        const member = this.roster.members.get(agentId);
        return member === undefined ? undefined : this.modeOf(member);
      },
      guarded: (message, handler) => this.#guarded(message, handler),
      refused: (check, topic) => this.refused(check, topic),
    });
    if (options.pairwise !== undefined) this.channel.add(options.coordinator, options.pairwise);
    this.#heart = new Heart(this, {
      changed: (state) => {
        if (state === 'lost') void this.finish('tenure ended', false);
        else
          this.reconsider(state === 'overdue' ? 'no word from the coordinator' : 'the coordinator answered');
      },
      expired: () => {
        const reason = 'the group grant has expired';
        void (options.coordinate?.over(reason) ?? this.finish(reason, true));
      },
    });
  }

  get log(): LogReader {
    return this.history.log;
  }

  get roster(): Roster {
    return this.history.roster;
  }

  get ended(): boolean {
    return this.#over;
  }

  get mode(): Mode {
    return this.#mode;
  }

  get agentId(): string {
    return this.identity.credentials.agentId;
  }

  get own(): MemberState | undefined {
    return this.roster.members.get(this.agentId);
  }

  /** On `clock.elapsed()`; infinity at the coordinator. */
  get tenureUntil(): number {
    return this.#heart.tenureUntil;
  }

  /** Listens, and begins to beat. @throws {SubscribeRefused} */
  async start(): Promise<void> {
    const { link, domain } = this.options;
    const listen = async (filter: string, handler: (message: LinkMessage) => void) => {
      this.#subscriptions.push(
        await link.subscribe(filter, (message) => this.#guarded(message, handler), { qos: 1 }),
      );
    };
    await listen(inboxFilter(domain, this.identity.credentials.slug), (message) => hearInbox(this, message));
    await listen(lifeFilter(domain), (message) => this.history.takeHead(message.payload, message.topic));
    if (this.options.coordinate === undefined) {
      await listen(logTopic(domain), (message) => this.history.takeEntry(message.payload, message.topic));
      await listen(logHeadTopic(domain), (message) => this.history.takeHead(message.payload, message.topic));
    }
    this.#heart.start();
  }

  /** A message for the inbox that came another way, sealed all the same. */
  deliver(payload: Uint8Array): void {
    const { coordinator, domain } = this.options;
    const topic = inboxTopic(domain, this.identity.credentials.slug, coordinator.slug);
    this.#guarded({ topic, payload, retained: false }, (message) => hearInbox(this, message));
  }

  /** Begins an epoch whose entry is in the log. The secret is wiped. */
  beginEpoch(epoch: number, secret: Uint8Array): void {
    if (!this.history.begin(epoch, secret)) return;
    this.reconsider('a new epoch');
    this.options.told.rekeyed(epoch);
    this.#begun?.resolve();
    this.streams.release();
  }

  /** Judges the mode anew; a fall stops what must stop. */
  reconsider(cause: string): void {
    if (this.ended) return;
    const { own } = this;
    const now = this.options.platform.clock.now();
    const mode =
      own === undefined || this.ring.current === undefined
        ? 'observe'
        : lowest([
            tenureModes[this.#heart.tenure],
            modeOfPapers(own.papers, this.options.groupGrant.bounds.posture, now),
          ]);
    if (mode === 'ended') return; // `finish` is under way
    void this.#change(mode, cause);
  }

  /** What a member may do now, as its papers say. */
  modeOf(member: MemberState): 'observe' | 'suggest' | 'actuate' {
    return modeOfPapers(
      member.papers,
      this.options.groupGrant.bounds.posture,
      this.options.platform.clock.now(),
    );
  }

  /**
   * Ends this part: raise, refuse, stop, close, record, acknowledge. Idempotent.
   *
   * @param over whether the whole group's authority is over, and not this membership alone.
   */
  finish(reason: string, over: boolean, evicted = false): Promise<void> {
    if (this.#over) return this.#ending ?? Promise.resolve();
    this.#over = true; // before anything else: what is told below may ask again
    this.#ending = this.#finish(reason, over, evicted);
    return this.#ending;
  }

  async #finish(reason: string, over: boolean, evicted: boolean): Promise<void> {
    const { told } = this.options;
    const raised = revokeAssignments(this.options, [...this.roster.members.values()], over);
    this.#heart.close();
    this.asks.close(new DomainEnded(`the domain is over: ${reason}`));
    if (evicted) told.evicted(reason);
    await this.#change('ended', reason);
    const acknowledgement = over ? acknowledgeEnd(this.options, this.channel) : undefined;
    const epoch = this.ring.epoch;
    this.streams.close();
    this.channel.close();
    this.history.close();
    await raised;
    const action = evicted ? 'evicted' : 'ended';
    await recordEnd(this.options, {
      agent: this.agentId,
      action,
      cause: reason,
      epoch,
      head: this.log.index,
    });
    if (acknowledgement !== undefined)
      await this.options.link
        .publish(acknowledgement.topic, acknowledgement.payload, { qos: 1 })
        .catch(() => {});
    await Promise.all(this.#subscriptions.map((held) => held.close().catch(() => {})));
    this.#begun?.reject(new DomainEnded(`the domain is over: ${reason}`));
    told.ended(reason);
  }

  #change(mode: Mode, cause: string): Promise<void> {
    const before = this.#mode;
    if (mode === before) return Promise.resolve();
    this.#mode = mode;
    const stopped = lowest([mode, before]) === mode ? this.stops.run(mode, cause) : Promise.resolve();
    this.options.told.mode(mode, before, cause);
    return stopped;
  }

  /** Tells the coordinator. */
  tell(type: string, body: unknown): void {
    const { coordinator, times, platform } = this.options;
    detached(
      this.channel.tell(coordinator.agentId, type, body, times.tenureMs),
      platform.log,
      `message ${type}`,
    );
  }

  /** The coordinator echoed a nonce. @returns false when it is none of ours, or counted before. */
  echoed(nonce: string): boolean {
    return this.#heart.echoed(nonce);
  }

  /** One beat, beside those of its period. */
  beat(): void {
    this.#heart.beat();
  }

  /** The log says that somebody was evicted. */
  dropped(agentId: string): void {
    this.channel.remove(agentId);
    this.#heart.showSoon();
  }

  /** Something was refused. */
  refused(check: string, topic: string): void {
    this.options.told.refused(check, topic);
  }

  #guarded(message: LinkMessage, handler: (message: LinkMessage) => void): void {
    if (!this.ended) guarded(message, handler, (check) => this.refused(check, message.topic));
  }
}
