import type { AuditLog } from '../core/audit.ts';
import { equal, hex, wipe } from '../core/bytes.ts';
import { FealtyError, messageOf } from '../core/errors.ts';
import type { Platform } from '../core/platform.ts';
import type { PublicJwk, SoftwareKey } from '../core/signer.ts';
import { sameKey } from '../core/signer.ts';
import type { Link, LinkMessage, Opened, Subscription } from '../messaging/index.ts';
import {
  inboxFilter,
  inboxTopic,
  lifeFilter,
  lifeTopic,
  logHeadTopic,
  logTopic,
  MessageRefused,
  OwnSession,
  readTopic,
} from '../messaging/index.ts';
import { tag } from '../tokens/claims.ts';
import type { Generations } from '../tokens/status.ts';
import type { VerifiedGroupGrant } from '../tokens/verifier.ts';
import { Asks } from './asks.ts';
import { Channel } from './channel.ts';
import { EarlyMessages } from './early.ts';
import type { GroupKeyAgreement } from './epochs.ts';
import { EpochRing, epochKeys } from './epochs.ts';
import { DomainEnded, LogRefused } from './errors.ts';
import type { LogBody, LogEntry, LogHeader } from './log-entry.ts';
import { readEntry, readHead } from './log-entry.ts';
import { LogReader } from './log-reader.ts';
import type { MemberMessage } from './member-messages.ts';
import { fromCoordinator, readMemberMessage, toCoordinator } from './member-messages.ts';
import { lowest, modeOfPapers, tenureModes } from './modes.ts';
import type { MemberState } from './roster.ts';
import { Roster } from './roster.ts';
import { Stops } from './stops.ts';
import { Tenure } from './tenure.ts';
import type { Times } from './times.ts';
import type { DomainIdentity, MessageMeta, Mode } from './types.ts';

/** What a member's part in a domain is made of, after the handshake. */
export interface CoreOptions {
  readonly platform: Platform;
  readonly link: Link;
  readonly identity: DomainIdentity;
  readonly generations: Generations;
  readonly audit?: AuditLog | undefined;
  readonly times: Times;
  readonly agreementDriver: GroupKeyAgreement;
  readonly domain: string;
  readonly groupGrant: VerifiedGroupGrant;
  /** Hash of the log's first entry. */
  readonly genesis: Uint8Array;
  readonly role: string;
  readonly session: SoftwareKey;
  readonly agreement: SoftwareKey;
  readonly coordinator: {
    readonly agentId: string;
    readonly slug: string;
    readonly session: PublicJwk;
    readonly agreement: PublicJwk;
  };
  /** The channel with the coordinator that the handshake made; absent at the coordinator itself. */
  readonly pairwise?: { readonly secret: Uint8Array; readonly transcript: Uint8Array } | undefined;
  /** At the coordinator: what members tell it, and what to do instead of going. */
  readonly coordinate?:
    | {
        readonly told: (type: string, body: unknown, from: string) => void;
        readonly over: (reason: string) => Promise<void>;
      }
    | undefined;
  /** Told of what happens; the public object turns it into events. */
  readonly told: CoreEvents;
}

/** What a core tells. */
export interface CoreEvents {
  mode(mode: Mode, before: Mode, cause: string): void;
  rekeyed(epoch: number): void;
  roster(): void;
  evicted(reason: string): void;
  ended(reason: string): void;
  refused(check: string, topic: string): void;
}

type StreamHandler = (body: unknown, from: string, meta: MessageMeta) => void;

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
  identity: DomainIdentity;
  /** Resolved when the first epoch is held; rejected when it ends before. */
  readonly live: Promise<void>;
  readonly #tenure: Tenure | undefined;
  readonly #early: EarlyMessages;
  readonly #pending = new Map<number, MemberMessage<'epoch'>>();
  readonly #facts = new Map<number, { readonly index: number; readonly roster: Uint8Array }>();
  readonly #streams = new Map<
    string,
    { handlers: Set<StreamHandler>; subscription: Promise<Subscription> }
  >();
  readonly #subscriptions: Subscription[] = [];
  readonly #timers = new Set<() => void>();
  readonly #applied: { readonly header: LogHeader; readonly body: LogBody }[] = [];
  #newestLogKey = 0;
  #mode: Mode = 'observe';
  #over = false;
  #ending: Promise<void> | undefined;
  #begun: { resolve: () => void; reject: (error: Error) => void } | undefined;
  #askedLogAt = Number.NEGATIVE_INFINITY;
  #lifeAt = Number.NEGATIVE_INFINITY;

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
        if (gone !== undefined) void this.#raise([], [gone]);
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
    this.#early = new EarlyMessages(clock, times.graceMs, (message) => this.#refused('epoch', message.topic));
    if (options.pairwise !== undefined) {
      this.channel.add(options.coordinator, options.pairwise);
      this.#tenure = new Tenure({
        clock,
        tenureMs: times.tenureMs,
        observeMs: times.observeMs,
        changed: (state) => {
          if (state === 'lost') void this.finish('tenure ended', false);
          else
            this.reconsider(
              state === 'overdue' ? 'no word from the coordinator' : 'the coordinator answered',
            );
        },
      });
    }
    this.#later(Math.max(0, options.groupGrant.exp * 1000 - clock.now()), () => this.#expire());
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
    return this.#tenure?.until ?? Number.POSITIVE_INFINITY;
  }

  /** Listens, and begins to beat. @throws {SubscribeRefused} */
  async start(): Promise<void> {
    const { link, domain } = this.options;
    const listen = async (filter: string, handler: (message: LinkMessage) => void) => {
      this.#subscriptions.push(
        await link.subscribe(filter, (message) => this.#guarded(message, handler), { qos: 1 }),
      );
    };
    await listen(inboxFilter(domain, this.identity.credentials.slug), (message) => this.#inbox(message));
    await listen(lifeFilter(domain), (message) => this.#head(message));
    if (this.options.coordinate === undefined) {
      await listen(logTopic(domain), (message) => this.takeEntry(message.payload, message.topic));
      await listen(logHeadTopic(domain), (message) => this.#head(message));
    }
    this.#tick();
  }

  /** Hears what is said on `stream`. */
  async listen(stream: string, filter: string, handler: StreamHandler): Promise<() => Promise<void>> {
    let held = this.#streams.get(stream);
    if (held === undefined) {
      const subscription = this.options.link.subscribe(
        filter,
        (message) => this.#guarded(message, (heard) => this.#multicast(heard, stream)),
        { qos: 1 },
      );
      held = { handlers: new Set(), subscription };
      this.#streams.set(stream, held);
    }
    const { handlers, subscription } = held;
    handlers.add(handler);
    try {
      await subscription;
    } catch (cause) {
      if (this.#streams.get(stream)?.handlers === handlers) this.#streams.delete(stream);
      throw cause;
    }
    return async () => {
      handlers.delete(handler);
      if (handlers.size > 0 || this.#streams.get(stream)?.handlers !== handlers) return;
      this.#streams.delete(stream);
      await (await subscription).close();
    };
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
    this.#guarded({ topic, payload, retained: false }, (message) => this.#inbox(message));
  }

  /** At the coordinator: its own entry. @throws {LogRefused} when the members would refuse it; nothing was written then. */
  appendOwn(entry: LogEntry): void {
    this.log.offer(entry);
    this.#afterLog();
  }

  /** Takes a log key. */
  addLogKey(id: number, key: Uint8Array): void {
    this.#newestLogKey = Math.max(this.#newestLogKey, id);
    this.#logged(logTopic(this.options.domain), () => {
      this.log.addKey(id, key);
      return 'known';
    });
  }

  /** Begins an epoch whose entry is in the log. The secret is wiped. */
  beginEpoch(epoch: number, secret: Uint8Array): void {
    const facts = this.#facts.get(epoch);
    const head = facts === undefined ? undefined : this.log.hashAt(facts.index);
    if (facts === undefined || head === undefined) throw new TypeError('the epoch is not in the log');
    const keys = epochKeys(secret, { domain: this.options.domain, epoch, head, ...facts });
    wipe(secret);
    if (!this.ring.begin(keys)) {
      keys.close();
      return;
    }
    for (const old of [...this.#facts.keys()]) if (old < epoch) this.#facts.delete(old);
    this.reconsider('a new epoch');
    this.options.told.rekeyed(epoch);
    this.#begun?.resolve();
    this.#early.release((message) => this.#hear(message));
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
            this.#tenure === undefined ? 'actuate' : tenureModes[this.#tenure.state],
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
    const { told, platform, audit, groupGrant, domain } = this.options;
    const raised = this.#raise(over ? [tag('group', groupGrant.id)] : [], [...this.roster.members.values()]);
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    this.#tenure?.close();
    this.asks.close(new DomainEnded(`the domain is over: ${reason}`));
    if (evicted) told.evicted(reason);
    await this.#change('ended', reason);
    const acknowledgement = over ? this.#acknowledgement() : undefined;
    const epoch = this.ring.epoch;
    this.#early.close();
    this.#pending.clear();
    this.channel.close();
    this.log.close();
    for (const { subscription } of this.#streams.values())
      void subscription.then((held) => held.close()).catch(() => {});
    this.#streams.clear();
    await raised;
    await audit
      ?.append({
        kind: 'domain',
        agent: this.agentId,
        action: evicted ? 'evicted' : 'ended',
        task: groupGrant.task,
        cause: reason,
        detail: { domain, epoch, head: this.log.index },
      })
      .catch((cause: unknown) =>
        platform.log.warn('the end of a domain is not recorded', { cause: messageOf(cause) }),
      );
    if (acknowledgement !== undefined)
      await this.options.link
        .publish(acknowledgement.topic, acknowledgement.payload, { qos: 1 })
        .catch(() => {});
    await Promise.all(this.#subscriptions.map((held) => held.close().catch(() => {})));
    this.#begun?.reject(new DomainEnded(`the domain is over: ${reason}`));
    told.ended(reason);
  }

  /** Everything under these tags, and every assignment of these members, is nothing from now on. */
  #raise(tags: readonly string[], members: readonly MemberState[]): Promise<void> {
    const until = this.options.groupGrant.exp;
    const all = [
      ...tags,
      ...members.flatMap(({ assignment }) => (assignment === undefined ? [] : [tag('token', assignment.id)])),
    ];
    if (all.length === 0) return Promise.resolve();
    return this.options.generations
      .raise(all.map((name) => ({ tag: name, generation: 1, until })))
      .catch((cause: unknown) =>
        this.options.platform.log.warn('raised tags are not stored', { cause: messageOf(cause) }),
      );
  }

  #acknowledgement(): { topic: string; payload: Uint8Array } | undefined {
    const { coordinator, coordinate, times } = this.options;
    if (coordinate !== undefined || !this.channel.has(coordinator.agentId)) return undefined;
    return this.channel.sealFor(coordinator.agentId, 'ended', {}, times.tenureMs);
  }

  #change(mode: Mode, cause: string): Promise<void> {
    const before = this.#mode;
    if (mode === before) return Promise.resolve();
    this.#mode = mode;
    const stopped = lowest([mode, before]) === mode ? this.stops.run(mode, cause) : Promise.resolve();
    this.options.told.mode(mode, before, cause);
    return stopped;
  }

  #expire(): void {
    const { coordinate } = this.options;
    if (coordinate !== undefined) void coordinate.over('the group grant has expired');
    else void this.finish('the group grant has expired', true);
  }

  #later(ms: number, run: () => void): void {
    const cancel = this.options.platform.clock.schedule(ms, () => {
      this.#timers.delete(cancel);
      run();
    });
    this.#timers.add(cancel);
  }

  #tick(): void {
    if (this.ended) return;
    const { times, platform, link, domain, groupGrant } = this.options;
    if (platform.clock.now() >= groupGrant.exp * 1000) {
      this.#expire(); // the wall clock may have jumped
      return;
    }
    this.reconsider('credentials');
    this.#beat();
    const due = Math.max(5 * times.heartbeatMs, 40 * this.roster.members.size);
    if (this.log.head !== undefined && platform.clock.elapsed() - this.#lifeAt >= due) {
      this.#lifeAt = platform.clock.elapsed();
      const topic = lifeTopic(domain, this.identity.credentials.slug);
      link.publish(topic, this.log.head.bytes, { qos: 0, retain: true }).catch(() => {});
    }
    this.#later(this.ring.epoch === 0 ? times.heartbeatMs / 4 : times.heartbeatMs, () => this.#tick());
  }

  /** Shows that we live. At the coordinator nothing needs to be shown. */
  #beat(): void {
    if (this.#tenure === undefined || this.ended) return;
    const nonce = hex(this.options.platform.random.bytes(8));
    this.#tenure.sent(nonce);
    this.#tell('beat', {
      nonce,
      epoch: this.ring.epoch,
      index: this.log.index,
      head: this.log.head?.hash ?? new Uint8Array(32),
      key: this.#newestLogKey,
    });
  }

  #tell(type: string, body: unknown): void {
    const { coordinator, times } = this.options;
    this.channel.tell(coordinator.agentId, type, body, times.tenureMs).catch(() => {});
  }

  #askLog(progress: boolean): void {
    if (this.options.coordinate !== undefined || this.ended) return;
    const now = this.options.platform.clock.elapsed();
    if (!progress && now - this.#askedLogAt < this.options.times.heartbeatMs / 4) return;
    this.#askedLogAt = now;
    this.#tell('log-get', { from: this.log.index + 1 });
  }

  #guarded(message: LinkMessage, handler: (message: LinkMessage) => void): void {
    if (this.ended) return;
    try {
      handler(message);
    } catch (cause) {
      if (cause instanceof MessageRefused) this.#refused(cause.check, message.topic);
      else if (cause instanceof FealtyError) this.#refused('form', message.topic);
      else throw cause;
    }
  }

  #refused(check: string, topic: string): void {
    this.options.told.refused(check, topic);
  }

  #head(message: LinkMessage): void {
    if (message.payload.length === 0) return; // a broker that forgets what it kept
    this.#logged(message.topic, () => this.log.offerHead(readHead(message.payload)));
  }

  #logged(topic: string, take: () => ReturnType<LogReader['offer']>): void {
    try {
      const outcome = take();
      this.#afterLog();
      if (outcome === 'waits') this.#askLog(false);
      if (outcome === 'ended' && this.options.coordinate === undefined)
        void this.finish('the coordinator ended the domain', true);
    } catch (cause) {
      this.#afterLog();
      if (!(cause instanceof LogRefused)) throw cause;
      this.#refused(`log.${cause.check}`, topic);
      const strangers = ['form', 'signature', 'domain'];
      if (!strangers.includes(cause.check))
        void this.finish(`the log is refused at ${cause.check}`, cause.check === 'fork');
    }
  }

  #afterLog(): void {
    let changed = false;
    for (const { header, body } of this.#applied.splice(0)) {
      changed ||= body.kind !== 'epoch';
      if (body.kind === 'epoch') this.#facts.set(body.epoch, { index: header.index, roster: body.roster });
      if (body.kind === 'admit' || body.kind === 'genesis') this.#meet(body.agent);
      if (body.kind === 'evict') {
        this.channel.remove(body.agent);
        this.#lifeAt = Number.NEGATIVE_INFINITY; // show the head soon: a fork begins where somebody is cut off
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
    for (const epoch of [...this.#pending.keys()].sort((a, b) => a - b)) {
      const message = this.#pending.get(epoch);
      const facts = this.#facts.get(epoch);
      if (message === undefined || facts === undefined) continue;
      this.#pending.delete(epoch);
      if (facts.index !== message.index || epoch <= this.ring.epoch) continue;
      const { own } = this;
      if (own === undefined) continue;
      if (
        !sameKey(own.delegation.sessionKey, this.options.session.publicJwk) ||
        own.role !== this.options.role
      ) {
        void this.finish('the log says otherwise than the handshake', false);
        return;
      }
      this.beginEpoch(epoch, this.options.agreementDriver.accept(message.message));
      this.#beat();
    }
  }

  #inbox(message: LinkMessage): void {
    const opened = this.#opened(message);
    if (opened === undefined) return;
    const topic = readTopic(message.topic);
    if (opened.epoch !== 0 || topic?.kind !== 'inbox' || topic.to !== this.identity.credentials.slug) {
      this.#refused('topic', message.topic);
      return;
    }
    const { type, from, body } = opened;
    const { coordinator, coordinate } = this.options;
    if (type === 'ask' || type === 'answer') {
      const member = this.roster.members.get(from);
      const mode = member === undefined ? 'observe' : this.modeOf(member);
      if (mode === 'observe') {
        this.#refused('mode', message.topic);
        return;
      }
      const meta: MessageMeta = this.#meta(opened, 'ask', true, mode);
      const fault = type === 'ask' ? this.asks.asked(body, from, meta) : this.asks.answered(body, from);
      if (fault !== undefined) this.#refused(fault, message.topic);
    } else if (toCoordinator.includes(type) && coordinate !== undefined) coordinate.told(type, body, from);
    else if (fromCoordinator.includes(type) && from === coordinator.agentId && coordinate === undefined)
      this.#fromCoordinator(type, body, message.topic);
    else this.#refused('not-coordinator', message.topic);
  }

  #fromCoordinator(type: string, body: unknown, topic: string): void {
    switch (type) {
      case 'echo': {
        const echo = readMemberMessage('echo', body);
        if (this.#tenure?.echoed(echo.nonce) !== true) {
          this.#refused('replay', topic);
          return;
        }
        this.reconsider('the coordinator answered');
        const known = this.log.hashAt(echo.index);
        if (known !== undefined && !equal(known, echo.head)) {
          this.#refused('log.fork', topic);
          return;
        }
        if (echo.index > this.log.index) this.#askLog(false);
        return;
      }
      case 'epoch': {
        const message = readMemberMessage('epoch', body);
        if (message.epoch <= this.ring.epoch) return;
        this.#pending.set(message.epoch, message);
        for (const [id, key] of message.keys) this.addLogKey(id, key);
        this.#tryEpochs();
        if (this.log.index < message.index) this.#askLog(false);
        return;
      }
      case 'log': {
        const { entries, newest } = readMemberMessage('log', body);
        const before = this.log.index;
        for (const entry of entries) this.takeEntry(entry, topic);
        if (this.log.index < newest && this.log.index > before) this.#askLog(true);
        return;
      }
      case 'evicted':
        void this.finish(readMemberMessage('evicted', body).reason, false, true);
        return;
      case 'end':
        this.#logged(topic, () => this.log.offerHead(readHead(readMemberMessage('end', body).head)));
        return;
    }
  }

  #multicast(message: LinkMessage, stream: string): void {
    const topic = readTopic(message.topic);
    if (topic?.kind !== 'multicast' || topic.stream !== stream) return;
    if (topic.from === this.identity.credentials.slug) return;
    this.#hear(message);
  }

  #hear(message: LinkMessage): void {
    this.#guarded(message, () => {
      const opened = this.#opened(message);
      const topic = readTopic(message.topic);
      if (opened === undefined || topic?.kind !== 'multicast') return;
      const member = this.roster.members.get(opened.from);
      if (member === undefined) return this.#refused('unknown-sender', message.topic);
      const mode = this.modeOf(member);
      const control = opened.type === 'control';
      if (!control && opened.type !== 'data') return this.#refused('type', message.topic);
      if (control && opened.epoch !== this.ring.epoch) return this.#refused('epoch', message.topic);
      if (control && mode !== 'actuate') return this.#refused('mode', message.topic);
      const meta = this.#meta(opened, topic.stream, control, mode);
      for (const handler of this.#streams.get(topic.stream)?.handlers ?? []) {
        try {
          handler(opened.body, opened.from, meta);
        } catch (cause) {
          this.options.platform.log.warn('a stream handler failed', { cause: messageOf(cause) });
        }
      }
    });
  }

  /** Opened, or kept until the epoch it is ahead of us with has begun here. @throws {MessageRefused} */
  #opened(message: LinkMessage): (Opened & { readonly from: string }) | undefined {
    try {
      return this.channel.open(message);
    } catch (cause) {
      if (
        cause instanceof MessageRefused &&
        (cause.check === 'epoch' || cause.check === 'unknown-sender') &&
        this.#early.keep(message, this.ring.epoch)
      )
        return undefined;
      throw cause;
    }
  }

  #meta(opened: Opened, stream: string, control: boolean, mode: MessageMeta['mode']): MessageMeta {
    return { stream, sentAt: opened.ts, expiresAt: opened.exp, epoch: this.ring.epoch, control, mode };
  }
}
