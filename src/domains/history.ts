import { sameKey } from '../core/signer.ts';
import { logTopic } from '../messaging/index.ts';
import { revokeAssignments } from './ending.ts';
import { EpochFollower } from './epoch-follower.ts';
import { LogRefused } from './errors.ts';
import type { LogBody, LogEntry, LogHeader } from './log-entry.ts';
import { readEntry, readHead } from './log-entry.ts';
import { LogReader } from './log-reader.ts';
import type { MemberCore } from './member-core.ts';
import type { MemberMessage } from './member-messages.ts';
import { MissingEntries } from './missing-entries.ts';
import { Roster } from './roster.ts';

/** What is wrong with an entry that anybody could have made: it is forgotten. Everything else the coordinator signed. */
const STRANGERS: readonly string[] = ['form', 'signature', 'domain'];

/** What a member has read of its domain's log, and what follows from it: who takes part, and when an epoch begins. */
export class History {
  readonly roster: Roster;
  readonly log: LogReader;
  readonly missing: MissingEntries;
  /** The newest log key it holds; 0 when none. */
  newestLogKey = 0;
  readonly #core: MemberCore;
  readonly #epochs: EpochFollower;
  readonly #applied: { readonly header: LogHeader; readonly body: LogBody }[] = [];

  constructor(core: MemberCore) {
    this.#core = core;
    const { options } = core;
    this.missing = new MissingEntries(core);
    this.roster = new Roster({
      domain: options.domain,
      groupGrant: options.groupGrant,
      bundles: () => core.identity.credentials.bundles,
      generations: options.generations,
      hashAt: (index) => this.log.hashAt(index),
    });
    this.log = new LogReader({
      domain: options.domain,
      genesis: options.genesis,
      coordinator: options.coordinator.session,
      apply: (header, body) => {
        const gone = body.kind === 'evict' ? this.roster.members.get(body.agent) : undefined;
        this.roster.apply(header, body);
        if (gone !== undefined) void revokeAssignments(options, [gone], false);
        this.#applied.push({ header, body });
      },
    });
    this.#epochs = new EpochFollower(options.domain, core.ring, this.log);
  }

  /** An entry of the log, from anywhere. */
  takeEntry(bytes: Uint8Array, topic: string): void {
    if (this.#core.ended) return;
    this.#logged(topic, () => this.log.offer(readEntry(bytes)));
  }

  /** A signed head of the log, whoever shows it. */
  takeHead(bytes: Uint8Array, topic: string): void {
    if (bytes.length === 0 || this.#core.ended) return; // empty: a broker that forgets what it kept
    this.#logged(topic, () => this.log.offerHead(readHead(bytes)));
  }

  /** At the coordinator: its own entry. @throws {LogRefused} when the members would refuse it; nothing was written then. */
  appendOwn(entry: LogEntry): void {
    this.log.offer(entry);
    this.#afterLog();
  }

  /** Takes a log key. */
  addLogKey(id: number, key: Uint8Array): void {
    this.newestLogKey = Math.max(this.newestLogKey, id);
    this.#logged(logTopic(this.#core.options.domain), () => {
      this.log.addKey(id, key);
      return 'known';
    });
  }

  /** The coordinator sent an epoch's secret and log keys. */
  offered(message: MemberMessage<'epoch'>): void {
    if (!this.#epochs.offer(message)) return;
    for (const [id, key] of message.keys) this.addLogKey(id, key);
    this.#tryEpochs();
    // Now we are its member. What we asked before, when the log was first seen to be longer, it did not answer.
    if (this.log.index < message.index) this.missing.ask(true);
  }

  /** Begins an epoch whose entry is in the log; the secret is wiped. @returns false when it does not rise. */
  begin(epoch: number, secret: Uint8Array): boolean {
    return this.#epochs.begin(epoch, secret);
  }

  /** Wipes keys and secrets. */
  close(): void {
    this.#epochs.close();
    this.log.close();
  }

  #logged(topic: string, take: () => ReturnType<LogReader['offer']>): void {
    const { options } = this.#core;
    try {
      const outcome = take();
      this.#afterLog();
      if (outcome === 'waits') this.missing.ask(false);
      if (outcome === 'ended' && options.coordinate === undefined)
        void this.#core.finish('the coordinator ended the domain', true);
    } catch (cause) {
      this.#afterLog();
      if (!(cause instanceof LogRefused)) throw cause;
      this.#core.refused(`log.${cause.check}`, topic);
      if (!STRANGERS.includes(cause.check))
        void this.#core.finish(`the log is refused at ${cause.check}`, cause.check === 'fork');
    }
  }

  #afterLog(): void {
    const { options } = this.#core;
    let changed = false;
    for (const { header, body } of this.#applied.splice(0)) {
      changed ||= body.kind !== 'epoch';
      if (body.kind === 'epoch') this.#epochs.note(body.epoch, header.index, body.roster);
      if (body.kind === 'admit' || body.kind === 'genesis') this.#meet(body.agent);
      if (body.kind === 'evict') this.#core.dropped(body.agent);
      if (body.kind === 'end' && options.coordinate === undefined) void this.#core.finish(body.reason, true);
    }
    if (changed) {
      this.#core.reconsider('the roster changed');
      options.told.roster();
    }
    this.#tryEpochs();
  }

  #meet(agentId: string): void {
    const member = this.roster.members.get(agentId);
    if (member === undefined) return;
    const { coordinator } = this.#core.options;
    const { sessionKey: session, agreementKey: agreement } = member.delegation;
    if (agentId === coordinator.agentId && !sameKey(session, coordinator.session)) {
      void this.#core.finish('the log says otherwise than the handshake', false);
      return;
    }
    if (agentId === this.#core.agentId) return;
    this.#core.channel.add({ agentId, slug: member.slug, session, agreement });
  }

  #tryEpochs(): void {
    for (const { epoch, message } of this.#epochs.ready()) {
      const { own } = this.#core;
      if (own === undefined) continue;
      const { session, role, agreementDriver } = this.#core.options;
      if (!sameKey(own.delegation.sessionKey, session.publicJwk) || own.role !== role) {
        void this.#core.finish('the log says otherwise than the handshake', false);
        return;
      }
      this.#core.beginEpoch(epoch, agreementDriver.accept(message));
      this.#core.beat();
    }
  }
}
