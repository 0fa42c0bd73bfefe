import { equal } from '../core/bytes.ts';
import { EventEmitter } from '../core/emitter.ts';
import { pointOfJwk } from '../core/signer.ts';
import type { HeldGrant } from '../grants/grant.ts';
import { multicastFilter } from '../messaging/index.ts';
import type { VerifiedAssignment } from '../tokens/assignment.ts';
import type { CoreOptions } from './core-options.ts';
import { AskFailed, DomainEnded, ModeTooLow, NotAMember } from './errors.ts';
import { renewalInput } from './log-entry.ts';
import { MemberCore } from './member-core.ts';
import { modeAtLeast } from './modes.ts';
import { writePapers } from './papers.ts';
import type { Stop } from './stops.ts';
import type { AskOptions, DomainIdentity, MessageMeta, Mode, PublishOptions, RosterEntry } from './types.ts';

/** What happens to a membership. Telling is all they do. */
export interface MembershipEvents {
  /** What it may do now, what it might before, and why. */
  'mode-changed': [mode: Mode, before: Mode, cause: string];
  /** It holds the keys of a new epoch. */
  rekeyed: [epoch: number];
  /** The roster changed: somebody came, went, was assigned or renewed. */
  'roster-changed': [roster: readonly RosterEntry[]];
  /** It was thrown out. */
  evicted: [reason: string];
  /** The domain is over for it: keys are wiped. Comes once, also after `evicted`. */
  ended: [reason: string];
  /** A message was refused: the name of the check and the topic it came on. */
  refused: [check: string, topic: string];
}

/** How long a message may be used unless its sender says otherwise, and how long a question waits, in milliseconds. */
const LIFE_MS = 5_000;

/** One agent's part in a task domain, from admission to end. */
export class Membership extends EventEmitter<MembershipEvents> {
  readonly task: string;
  /** Identifier of the domain in topics. */
  readonly domain: string;
  readonly agentId: string;
  readonly role: string;
  /** The coordinator's identifier. */
  readonly coordinator: string;
  readonly #core: MemberCore;
  readonly #leave: ((reason: string) => Promise<void>) | undefined;

  private constructor(
    options: Omit<CoreOptions, 'told'>,
    leave: ((reason: string) => Promise<void>) | undefined,
  ) {
    super();
    this.task = options.groupGrant.task;
    this.domain = options.domain;
    this.agentId = options.identity.credentials.agentId;
    this.role = options.role;
    this.coordinator = options.coordinator.agentId;
    this.#leave = leave;
    this.#core = new MemberCore({
      ...options,
      told: {
        mode: (mode, before, cause) => this.emit('mode-changed', mode, before, cause),
        rekeyed: (epoch) => this.emit('rekeyed', epoch),
        roster: () => this.emit('roster-changed', this.roster()),
        evicted: (reason) => this.emit('evicted', reason),
        ended: (reason) => this.emit('ended', reason),
        refused: (check, topic) => this.emit('refused', check, topic),
      },
    });
  }

  /**
   * Made by the lobby after a handshake and by the convener for itself.
   *
   * @param leave what `leave` does instead of going alone: the coordinator ends the domain.
   * @internal
   */
  static make(
    options: Omit<CoreOptions, 'told'>,
    leave?: (reason: string) => Promise<void>,
  ): { readonly membership: Membership; readonly core: MemberCore } {
    const membership = new Membership(options, leave);
    return { membership, core: membership.#core };
  }

  /** The epoch whose keys it holds; 0 when none. */
  get epoch(): number {
    return this.#core.ended ? 0 : this.#core.ring.epoch;
  }

  /** What it may do now. */
  get mode(): Mode {
    return this.#core.mode;
  }

  /** This member's own verified assignment; `undefined` until it has one (a coordinator without a role never has). */
  get assignment(): VerifiedAssignment | undefined {
    return this.#core.ended ? undefined : this.#core.own?.assignment;
  }

  /** Milliseconds on `clock.elapsed()` until which it may live without hearing from the coordinator. */
  get tenureUntil(): number {
    return this.#core.tenureUntil;
  }

  /** Who takes part, by identifier; empty after the end. */
  roster(): readonly RosterEntry[] {
    if (this.#core.ended) return [];
    return [...this.#core.roster.members.values()].map((member) => ({
      agentId: member.agentId,
      slug: member.slug,
      role: member.role,
      mode: this.#core.modeOf(member),
      coordinator: member.coordinator,
      since: member.since,
    }));
  }

  /** What another member (or this one) is assigned; empty for who is no member, or may not actuate now. */
  grantsOf(agentId: string): readonly HeldGrant[] {
    if (this.#core.ended) return [];
    const member = this.#core.roster.members.get(agentId);
    if (member === undefined || this.#core.modeOf(member) !== 'actuate') return [];
    return member.assignment?.held ?? [];
  }

  /**
   * Tells all members.
   *
   * @throws {DomainEnded} `domains.ended`.
   * @throws {ModeTooLow} `domains.mode-too-low`: control while not `actuate`.
   */
  async publish(stream: string, body: unknown, options: PublishOptions = {}): Promise<void> {
    const { control = false, lifeMs = LIFE_MS } = options;
    this.#alive();
    if (control) this.#need('actuate');
    if (this.#core.ring.current === undefined) throw new ModeTooLow('there is no epoch yet');
    await this.#core.channel.multicast(stream, control, body, lifeMs);
  }

  /**
   * Hears what the others say on `stream`; the result ends it. `handler` is called with verified messages only.
   *
   * @throws {SubscribeRefused} {@link DomainEnded}
   */
  async subscribe(
    stream: string,
    handler: (body: unknown, from: string, meta: MessageMeta) => void,
  ): Promise<() => Promise<void>> {
    this.#alive();
    return await this.#core.streams.listen(stream, multicastFilter(this.domain, stream), handler);
  }

  /**
   * Asks one member under the pairwise key (QoS 1, current epoch, no grace). Its handler runs once, however often the
   * question arrives.
   *
   * @throws {AskFailed} `domains.ask-failed` with the other end's reason, or `silent`.
   * @throws {NotAMember} `domains.not-a-member`. {@link ModeTooLow} while only observing. {@link DomainEnded}
   */
  async ask(agentId: string, body: unknown, options: AskOptions = {}): Promise<unknown> {
    this.#alive();
    this.#need('suggest');
    if (agentId === this.agentId || !this.#core.roster.members.has(agentId)) throw new NotAMember(agentId);
    const { timeoutMs = LIFE_MS, signal } = options;
    return await this.#core.asks.ask(agentId, body, { timeoutMs, signal });
  }

  /**
   * Answers what others ask; the newest handler counts. When it throws, the asker is told the error's `code` (or
   * `failed`) and never its message.
   */
  answer(handler: (body: unknown, from: string, meta: MessageMeta) => unknown): void {
    this.#core.asks.handle(handler);
  }

  /**
   * What must stop when the mode falls: begun before anything else is told and awaited (at most 5 s) before the fall is
   * acknowledged. `to` is the new mode. The result takes the handler away.
   */
  whenWeaker(stop: Stop): () => void {
    return this.#core.stops.add(stop);
  }

  /**
   * Shows renewed papers to the domain, signed by the LDevID over the log head.
   *
   * @throws {AskFailed} `silent`: the coordinator has not taken them into the log.
   */
  async renew(identity: DomainIdentity): Promise<void> {
    this.#alive();
    const core = this.#core;
    const { clock } = core.options.platform;
    const papers = writePapers(identity.credentials);
    core.identity = identity;
    for (let tries = 0; tries < 5 && !core.ended; tries++) {
      const seen = core.log.head;
      if (seen === undefined) break;
      const claims = { papers, seenIndex: core.log.index, seenHash: seen.hash };
      const signature = await identity.keys.ldevid.sign(
        renewalInput({
          ...claims,
          domain: this.domain,
          agent: this.agentId,
          session: pointOfJwk(core.options.session.publicJwk),
        }),
      );
      const { coordinate, times } = core.options;
      const body = { ...claims, signature };
      if (coordinate !== undefined) coordinate.told('renew', body, this.agentId);
      else await core.channel.tell(this.coordinator, 'renew', body, times.tenureMs);
      for (let waits = 0; waits < 8; waits++) {
        if (core.own !== undefined && equal(core.own.papers.bytes, papers)) return;
        await clock.sleep(times.heartbeatMs / 8);
      }
    }
    throw new AskFailed('silent', 'the coordinator has not taken the renewed papers');
  }

  /** Goes: tells the coordinator, stops, wipes. Idempotent. The coordinator cannot go without ending the domain. */
  async leave(reason = 'left'): Promise<void> {
    const core = this.#core;
    if (this.#leave !== undefined) return await this.#leave(reason);
    if (!core.ended) {
      const { link, times } = core.options;
      const farewell = core.channel.sealFor(
        this.coordinator,
        'leave',
        { reason: reason.slice(0, 256) },
        times.tenureMs,
      );
      link.publish(farewell.topic, farewell.payload, { qos: 1 }).catch(() => {});
    }
    await core.finish(reason, false);
  }

  /** = `leave`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave();
  }

  #alive(): void {
    if (this.#core.ended) throw new DomainEnded('the domain is over');
  }

  #need(mode: Mode): void {
    if (!modeAtLeast(this.mode, mode))
      throw new ModeTooLow(`the mode is \`${this.mode}\`, \`${mode}\` is needed`);
  }
}
