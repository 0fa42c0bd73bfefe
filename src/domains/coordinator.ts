import { equal } from '../core/bytes.ts';
import { FealtyError } from '../core/errors.ts';
import { slugOf } from '../core/names.ts';
import { oneAfterTheOther } from '../core/turns.ts';
import type { Admission } from './admissions.ts';
import { Admissions } from './admissions.ts';
import { assignRoles } from './assigning.ts';
import { detached } from './detached.ts';
import type { GroupKeyAgreement } from './epochs.ts';
import { Farewell } from './farewell.ts';
import type { LogEntry } from './log-entry.ts';
import { LogWriter } from './log-writer.ts';
import type { MemberCore } from './member-core.ts';
import type { MemberMessage, MemberMessageType } from './member-messages.ts';
import { readMemberMessage } from './member-messages.ts';
import { EvictionNotices } from './notices.ts';

/** What the coordinator knows of a member beside the log. */
interface Contact {
  beatAt: number;
  /** Newest log key it says it holds. */
  key: number;
  /** The epoch with which it was admitted; it is told to `admitted` when it holds it. */
  waiting: { readonly epoch: number; readonly admitted: () => void } | undefined;
}

/** What {@link Coordinator} tells. */
export interface CoordinatorEvents {
  admitted(agentId: string, role: string): void;
  evicted(agentId: string, reason: string): void;
  refused(check: string, from: string): void;
}

/**
 * The coordinator's work after the handshakes: the only writer of the log, maker of epochs and assignments, echo of
 * everybody's heartbeat. What it writes passes the same reader that every member has.
 */
export class Coordinator {
  readonly #core: MemberCore;
  readonly #driver: GroupKeyAgreement;
  readonly #told: CoordinatorEvents;
  readonly #log: LogWriter;
  readonly #contacts = new Map<string, Contact>();
  readonly #admissions: Admissions;
  readonly #notices: EvictionNotices;
  readonly #farewell: Farewell;
  #offers = new Map<string, Uint8Array>();
  #cancelWatch: () => void = () => {};
  readonly #serial = oneAfterTheOther();

  constructor(options: {
    readonly core: MemberCore;
    readonly driver: GroupKeyAgreement;
    readonly told: CoordinatorEvents;
    /** Log key 1, under which the first entry is sealed. */
    readonly logKey: Uint8Array;
    readonly genesis: LogEntry;
  }) {
    this.#core = options.core;
    this.#driver = options.driver;
    this.#told = options.told;
    this.#log = new LogWriter(options.core, options.genesis, options.logKey);
    const { times, platform } = this.#core.options;
    this.#admissions = new Admissions(platform.clock, times.batchMs, () => {
      void this.#inTurn(() => this.#admit());
    });
    this.#notices = new EvictionNotices(
      this.#core.options,
      (agentId) => this.#contacts.has(agentId) || this.#admissions.has(agentId),
    );
    this.#farewell = new Farewell(platform.clock, () => [...this.#contacts.keys()]);
  }

  /** Begins the first epoch, with the convener alone. */
  async begin(): Promise<void> {
    await this.#inTurn(async () => {
      await this.#assign();
      this.#rekey();
    });
    this.#watch();
  }

  /** Whether somebody who was expected has shown that it listens in the domain. */
  hasHeard(agentId: string): boolean {
    return this.#admissions.isReady(agentId) || this.#contacts.has(agentId);
  }

  /** Takes in somebody whose handshake is complete; it is admitted when it has shown that it listens. */
  expect(admission: Admission): void {
    const { completed, agentId } = admission;
    this.#admissions.expect(admission);
    this.#core.channel.add(
      {
        agentId,
        slug: slugOf(agentId),
        session: completed.delegation.sessionKey,
        agreement: completed.delegation.agreementKey,
      },
      { secret: completed.pairwise, transcript: completed.transcript },
    );
  }

  /** Gives up on somebody who did not come. */
  forget(agentId: string): void {
    if (!this.#admissions.forget(agentId)) return;
    if (!this.#core.roster.members.has(agentId)) this.#core.channel.remove(agentId);
  }

  /** Cuts somebody off: new log key, entry, new epoch, all before this returns its promise. */
  async evict(agentId: string, reason: string): Promise<boolean> {
    this.forget(agentId);
    const member = this.#core.roster.members.get(agentId);
    if (member === undefined || this.#core.ended) return false;
    const { times, link, platform } = this.#core.options;
    const said = reason.slice(0, 256);
    const notice = this.#core.channel.sealFor(agentId, 'evicted', { reason: said }, times.tenureMs);
    detached(link.publish(notice.topic, notice.payload, { qos: 1 }), platform.log, 'a notice');
    this.#notices.begin(agentId, member.slug, notice.payload);
    this.#contacts.delete(agentId);
    this.#log.renewKey();
    this.#log.append({ kind: 'evict', agent: agentId, reason: said });
    this.#rekey();
    this.#told.evicted(agentId, said);
    await this.#inTurn(() => this.#assign());
    return true;
  }

  /** Writes the tombstone, and waits until every member has stopped or `waitMs` is over. */
  async end(reason: string, waitMs: number): Promise<void> {
    this.#cancelWatch();
    this.#admissions.close();
    this.#log.append({ kind: 'end', reason: reason.slice(0, 256) });
    const head = this.#log.head?.bytes;
    if (head === undefined) return;
    const tell = (member: string) => this.#tell(member, 'end', { head });
    await this.#farewell.say(tell, waitMs);
  }

  /** Drops the log keys and the offers of secrets. */
  close(): void {
    this.#cancelWatch();
    this.#admissions.close();
    this.#notices.close();
    this.#log.close();
    for (const message of this.#offers.values()) message.fill(0);
    this.#offers.clear();
    this.#contacts.clear();
  }

  /** What a member tells its coordinator. @throws {Malformed} */
  told(type: string, body: unknown, from: string): void {
    switch (type as MemberMessageType) {
      case 'beat':
        this.#beat(readMemberMessage('beat', body), from);
        return;
      case 'log-get':
        this.#logGet(readMemberMessage('log-get', body).from, from);
        return;
      case 'renew':
        this.#renew(readMemberMessage('renew', body), from);
        return;
      case 'leave': {
        const { reason } = readMemberMessage('leave', body);
        void this.evict(from, reason);
        return;
      }
      case 'ended':
        readMemberMessage('ended', body);
        this.#farewell.acknowledged(from);
        return;
      default:
        return;
    }
  }

  #beat(beat: MemberMessage<'beat'>, from: string): void {
    const { clock } = this.#core.options.platform;
    const head = this.#core.log.head;
    this.#admissions.hello(from);
    const contact = this.#contacts.get(from);
    if (contact === undefined && !this.#admissions.has(from)) return;
    const ours = this.#core.log.hashAt(beat.index);
    if (beat.index >= 0 && (ours === undefined || !equal(ours, beat.head))) {
      this.#told.refused('log.fork', from);
      return;
    }
    this.#tell(from, 'echo', {
      nonce: beat.nonce,
      epoch: this.#core.ring.epoch,
      index: this.#core.log.index,
      head: head?.hash ?? new Uint8Array(32),
    });
    if (contact === undefined) return;
    contact.beatAt = clock.elapsed();
    contact.key = Math.max(contact.key, Math.min(beat.key, this.#log.newestKey));
    if (beat.epoch < this.#core.ring.epoch) this.#offer(from);
    const { waiting } = contact;
    if (waiting !== undefined && beat.epoch >= waiting.epoch) {
      contact.waiting = undefined;
      waiting.admitted();
    }
  }

  /** Writes those whose turn it is into the log, and begins an epoch with them. */
  async #admit(): Promise<void> {
    const admitted: Admission[] = [];
    for (const admission of this.#admissions.take()) {
      const { agentId, role, completed } = admission;
      try {
        this.#log.append({
          kind: 'admit',
          agent: agentId,
          role,
          papers: completed.papers.bytes,
          delegation: completed.delegation.bytes,
          wpt: completed.wpt,
        });
        admitted.push(admission);
      } catch (cause) {
        if (!(cause instanceof FealtyError)) throw cause;
        this.#core.channel.remove(agentId);
        admission.refused(cause);
      }
    }
    if (admitted.length === 0) return;
    await this.#assign();
    if (this.#core.ended) return;
    const beatAt = this.#core.options.platform.clock.elapsed();
    const epoch = this.#core.roster.epoch + 1;
    for (const { agentId, admitted: done, role } of admitted) {
      if (!this.#core.roster.members.has(agentId)) continue; // evicted while assignments were signed
      const waiting = { epoch, admitted: () => this.#arrived(agentId, role, done) };
      this.#contacts.set(agentId, { beatAt, key: 0, waiting });
    }
    this.#rekey();
  }

  #arrived(agentId: string, role: string, done: () => void): void {
    this.#told.admitted(agentId, role);
    done();
  }

  /** A new epoch for the roster as it is now, and a copy of its secret for everybody. */
  #rekey(): void {
    const { roster, agentId } = this.#core;
    const others = [...roster.members.keys()].filter((member) => member !== agentId);
    const { secret, messages } = this.#driver.rekey(others);
    const epoch = roster.epoch + 1;
    for (const old of this.#offers.values()) old.fill(0);
    this.#offers = new Map(messages);
    this.#log.append({ kind: 'epoch', epoch, roster: roster.hash() });
    this.#core.beginEpoch(epoch, secret);
    for (const member of others) this.#offer(member);
  }

  /** Sends a member the newest epoch, and the log keys it lacks. */
  #offer(agentId: string): void {
    const message = this.#offers.get(agentId);
    const contact = this.#contacts.get(agentId);
    if (message === undefined || contact === undefined) return;
    this.#tell(agentId, 'epoch', {
      epoch: this.#core.ring.epoch,
      index: this.#log.indexOf('epoch'),
      message,
      keys: this.#log.keysAfter(contact.key),
    });
  }

  #assign(): Promise<void> {
    return assignRoles(this.#core, this.#log, (agentId) => this.#told.refused('assignment', agentId));
  }

  #renew(renewal: MemberMessage<'renew'>, from: string): void {
    const member = this.#core.roster.members.get(from);
    if (member === undefined || equal(member.papers.bytes, renewal.papers)) return;
    try {
      this.#log.append({ kind: 'renew', agent: from, ...renewal });
    } catch (cause) {
      if (!(cause instanceof FealtyError)) throw cause;
      this.#told.refused('renewal', from);
    }
  }

  #logGet(start: number, from: string): void {
    if (!this.#contacts.has(from)) return;
    this.#tell(from, 'log', { entries: this.#log.chunk(start), newest: this.#core.log.index });
  }

  #tell(to: string, type: MemberMessageType, body: unknown): void {
    if (!this.#core.channel.has(to)) return;
    const { times, platform } = this.#core.options;
    detached(this.#core.channel.tell(to, type, body, times.tenureMs), platform.log, `message ${type}`);
  }

  /** Who has been silent for longer than its tenure has wiped itself; the roster says so too. */
  #watch(): void {
    const { platform, times } = this.#core.options;
    this.#cancelWatch = platform.clock.schedule(times.heartbeatMs, () => {
      const now = platform.clock.elapsed();
      for (const [agentId, { beatAt }] of [...this.#contacts])
        if (now - beatAt > times.tenureMs + times.heartbeatMs) void this.evict(agentId, 'silent');
      this.#watch();
    });
  }

  /** Work that awaits runs one after the other; what it writes is written at once. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    return this.#serial(() => (this.#core.ended ? Promise.resolve() : work()));
  }
}
