import { sameKey } from '../core/signer.ts';
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
import { EpochFollower } from './epoch-follower.ts';
import { EpochRing } from './epochs.ts';
import { DomainEnded, LogRefused } from './errors.ts';
import { Heart } from './heart.ts';
import { hearInbox } from './inbox.ts';
import type { LogBody, LogEntry, LogHeader } from './log-entry.ts';
import { readEntry, readHead } from './log-entry.ts';
import { LogReader } from './log-reader.ts';
import type { MemberMessage } from './member-messages.ts';
import { MissingEntries } from './missing-entries.ts';
import { lowest, modeOfPapers, tenureModes } from './modes.ts';
import type { MemberState } from './roster.ts';
import { Roster } from './roster.ts';
import { Stops } from './stops.ts';
import { Streams } from './streams.ts';
import type { DomainIdentity, MessageMeta, Mode } from './types.ts';

/**
 * One agent's part in a domain: reads the log, holds the epochs, keeps its tenure, and ends. Demotion, eviction and end
 * are one path: refuse, stop what runs, close the keys, record, acknowledge.
 */
export class MemberCore {
  readonly options: CoreOptions;
  readonly roster: Roster;
  readonly log: LogReader;
  readonly ring: EpochRing;
  readonly channel: Channel;
  readonly asks: Asks<MessageMeta>;
  readonly stops: Stops;
  readonly missing = new MissingEntries(this);
  identity: DomainIdentity;
  /** Resolved when the first epoch is held; rejected when it ends before. */
  readonly live: Promise<void>;
  readonly #heart: Heart;
  readonly #epochs: EpochFollower;
  readonly streams: Streams;
  readonly #subscriptions: Subscription[] = [];
  readonly #applied: { readonly header: LogHeader; readonly body: LogBody }[] = [];
  /** The newest log key it holds; 0 when none. */
  newestLogKey = 0;
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
    this.roster = new Roster({
      domain,
      groupGrant: options.groupGrant,
      bundles: () => this.identity.credentials.bundles,
      generations: options.generations,
      hashAt: (index) => this.log.hashAt(index),
    });
    this.log = new LogReader({
      domain,
      genesis: options.genesis,
      coordinator: options.coordinator.session,
      apply: (header, body) => {
        const gone = body.kind === 'evict' ? this.roster.members.get(body.agent) : undefined;
        this.roster.apply(header, body);
        if (gone !== undefined) void revokeAssignments(options, [gone], false);
        this.#applied.push({ header, body });
      },
    });
    this.ring = new EpochRing(clock, times.graceMs);
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
    this.#epochs = new EpochFollower(domain, this.ring, this.log);
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
    await listen(lifeFilter(domain), (message) => this.takeHead(message.payload, message.topic));
    if (this.options.coordinate === undefined) {
      await listen(logTopic(domain), (message) => this.takeEntry(message.payload, message.topic));
      await listen(logHeadTopic(domain), (message) => this.takeHead(message.payload, message.topic));
    }
    this.#heart.start();
  }

  /** An entry of the log, from anywhere. */
  takeEntry(bytes: Uint8Array, topic: string): void {
    if (this.ended) return;
    this.#logged(topic, () => this.log.offer(readEntry(bytes)));
  }

  /** A message for the inbox that came another way, sealed all the same. */
  deliver(payload: Uint8Array): void {
    const { coordinator, domain } = this.options;
    const topic = inboxTopic(domain, this.identity.credentials.slug, coordinator.slug);
    this.#guarded({ topic, payload, retained: false }, (message) => hearInbox(this, message));
  }

  /** At the coordinator: its own entry. @throws {LogRefused} when the members would refuse it; nothing was written then. */
  appendOwn(entry: LogEntry): void {
    this.log.offer(entry);
    this.#afterLog();
  }

  /** Takes a log key. */
  addLogKey(id: number, key: Uint8Array): void {
    this.newestLogKey = Math.max(this.newestLogKey, id);
    this.#logged(logTopic(this.options.domain), () => {
      this.log.addKey(id, key);
      return 'known';
    });
  }

  /** Begins an epoch whose entry is in the log. The secret is wiped. */
  beginEpoch(epoch: number, secret: Uint8Array): void {
    if (!this.#epochs.begin(epoch, secret)) return;
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
    this.#epochs.close();
    this.channel.close();
    this.log.close();
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

  /** The coordinator sent an epoch's secret and log keys. */
  offered(message: MemberMessage<'epoch'>): void {
    if (!this.#epochs.offer(message)) return;
    for (const [id, key] of message.keys) this.addLogKey(id, key);
    this.#tryEpochs();
    // Now we are its member. What we asked before, when the log was first seen to be longer, it did not answer.
    if (this.log.index < message.index) this.missing.ask(true);
  }

  /** A signed head of the log, whoever shows it. */
  takeHead(bytes: Uint8Array, topic: string): void {
    if (bytes.length === 0 || this.ended) return; // empty: a broker that forgets what it kept
    this.#logged(topic, () => this.log.offerHead(readHead(bytes)));
  }

  /** Something was refused. */
  refused(check: string, topic: string): void {
    this.options.told.refused(check, topic);
  }

  #guarded(message: LinkMessage, handler: (message: LinkMessage) => void): void {
    if (!this.ended) guarded(message, handler, (check) => this.refused(check, message.topic));
  }

  #logged(topic: string, take: () => ReturnType<LogReader['offer']>): void {
    try {
      const outcome = take();
      this.#afterLog();
      if (outcome === 'waits') this.missing.ask(false);
      if (outcome === 'ended' && this.options.coordinate === undefined)
        void this.finish('the coordinator ended the domain', true);
    } catch (cause) {
      this.#afterLog();
      if (!(cause instanceof LogRefused)) throw cause;
      this.refused(`log.${cause.check}`, topic);
      const strangers = ['form', 'signature', 'domain'];
      if (!strangers.includes(cause.check))
        void this.finish(`the log is refused at ${cause.check}`, cause.check === 'fork');
    }
  }

  #afterLog(): void {
    let changed = false;
    for (const { header, body } of this.#applied.splice(0)) {
      changed ||= body.kind !== 'epoch';
      if (body.kind === 'epoch') this.#epochs.note(body.epoch, header.index, body.roster);
      if (body.kind === 'admit' || body.kind === 'genesis') this.#meet(body.agent);
      if (body.kind === 'evict') {
        this.channel.remove(body.agent);
        this.#heart.showSoon();
      }
      if (body.kind === 'end' && this.options.coordinate === undefined) void this.finish(body.reason, true);
    }
    if (changed) {
      this.reconsider('the roster changed');
      this.options.told.roster();
    }
    this.#tryEpochs();
  }

  #meet(agentId: string): void {
    const member = this.roster.members.get(agentId);
    if (member === undefined) return;
    const { sessionKey: session, agreementKey: agreement } = member.delegation;
    if (agentId === this.options.coordinator.agentId && !sameKey(session, this.options.coordinator.session)) {
      void this.finish('the log says otherwise than the handshake', false);
      return;
    }
    if (agentId === this.agentId) return;
    this.channel.add({ agentId, slug: member.slug, session, agreement });
  }

  #tryEpochs(): void {
    for (const { epoch, message } of this.#epochs.ready()) {
      const { own } = this;
      if (own === undefined) continue;
      const { session, role, agreementDriver } = this.options;
      if (!sameKey(own.delegation.sessionKey, session.publicJwk) || own.role !== role) {
        void this.finish('the log says otherwise than the handshake', false);
        return;
      }
      this.beginEpoch(epoch, agreementDriver.accept(message));
      this.#heart.beat();
    }
  }
}
