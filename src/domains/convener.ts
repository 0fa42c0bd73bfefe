import { hex } from '../core/bytes.ts';
import { EventEmitter } from '../core/emitter.ts';
import { messageOf } from '../core/errors.ts';
import { slugOf } from '../core/names.ts';
import type { Subscription } from '../messaging/index.ts';
import { lobbyTopic } from '../messaging/index.ts';
import { verifyGroupGrant } from '../tokens/verifier.ts';
import { Coordinator } from './coordinator.ts';
import type { GroupKeyAgreement } from './epochs.ts';
import { flatKeys } from './epochs.ts';
import type { HandshakeCheck } from './errors.ts';
import { DomainEnded, HandshakeRefused, LogRefused } from './errors.ts';
import type { Genesis } from './genesis.ts';
import { makeGenesis } from './genesis.ts';
import { Invitations } from './invitations.ts';
import type { MemberCore } from './member-core.ts';
import { Membership } from './membership.ts';
import { emptyGenerations } from './no-generations.ts';
import { named } from './papers.ts';
import { timesOf } from './times.ts';
import type { Candidate, ConveneOptions, DomainIdentity, RosterEntry } from './types.ts';

/** What happens to a task domain, as its coordinator sees it. Telling is all they do. */
export interface TaskDomainEvents {
  admitted: [agentId: string, role: string];
  evicted: [agentId: string, reason: string];
  /** Something was refused: the name of the check, and who it claims to come from. */
  refused: [check: string, from: string];
  ended: [reason: string];
}

/**
 * A task domain in the hands of its convener, who coordinates it and is its first member (design.md section 5).
 */
export class TaskDomain extends EventEmitter<TaskDomainEvents> {
  readonly task: string;
  /** Identifier of the domain in topics. */
  readonly domain: string;
  /** The convener's own membership. */
  readonly membership: Membership;
  readonly #options: ConveneOptions;
  readonly #core: MemberCore;
  readonly #kicks = new Map<string, Promise<void>>();
  #coordinator: Coordinator | undefined;
  #invitations: Invitations | undefined;
  #lobby: Subscription | undefined;
  #ending: Promise<void> | undefined;

  private constructor(
    options: ConveneOptions,
    made: { readonly membership: Membership; readonly core: MemberCore },
  ) {
    super();
    this.#options = options;
    this.membership = made.membership;
    this.#core = made.core;
    this.task = options.task;
    this.domain = made.core.options.domain;
  }

  /**
   * Opens a domain under a group grant; the convener is its only member at first.
   *
   * @throws {HandshakeRefused} `group-grant`, `role`. {@link BrokerRefused}
   */
  static async convene(options: ConveneOptions): Promise<TaskDomain> {
    const { platform, link, identity, broker, audit } = options;
    const { credentials } = identity;
    const { clock, random } = platform;
    if (options.mission.length > 1024) throw new TypeError('`mission` has at most 1,024 characters');
    const times = timesOf(options.options);
    const generations = options.generations ?? (await emptyGenerations(clock, credentials.agentId));
    const groupGrant = named('group-grant', () =>
      verifyGroupGrant(options.groupGrant, {
        bundles: credentials.bundles,
        at: clock.now(),
        generations,
        coordinator: credentials.agentId,
      }),
    );
    if (groupGrant.task !== options.task)
      throw new HandshakeRefused('group-grant', 'the group grant is for another task');
    const role = options.role ?? 'coordinator';
    if (role !== 'coordinator' && !Object.hasOwn(groupGrant.bounds.roles, role))
      throw new HandshakeRefused('role', `the group grant has no role \`${role}\``);

    const { mission } = options;
    const genesis = await makeGenesis({ platform, identity, groupGrant, role, mission });
    const { domain, session, agreement } = genesis;
    await broker.openDomain(domain, { grant: groupGrant.compact });

    const opened: { domain?: TaskDomain } = {};
    const end = async (reason: string) => {
      await opened.domain?.end(reason);
    };
    const driver = flatKeys(random);
    const made = Membership.make(
      {
        platform,
        link,
        identity,
        generations,
        audit,
        times,
        agreementDriver: driver,
        domain,
        groupGrant,
        genesis: genesis.entry.hash,
        role,
        session,
        agreement,
        coordinator: {
          agentId: credentials.agentId,
          slug: credentials.slug,
          session: session.publicJwk,
          agreement: agreement.publicJwk,
        },
        coordinate: {
          told: (type, body, from) => opened.domain?.coordinatorOf().told(type, body, from),
          over: end,
        },
      },
      end,
    );
    const convened = new TaskDomain(options, made);
    opened.domain = convened;
    try {
      await audit?.append({
        kind: 'domain',
        agent: credentials.agentId,
        action: 'convened',
        task: groupGrant.task,
        detail: { domain, grant: groupGrant.id, genesis: hex(genesis.entry.hash) },
      });
      await convened.#open(driver, genesis);
    } catch (cause) {
      await made.core.finish('the domain could not be opened', true);
      await broker.destroy(domain).catch(() => {});
      throw cause;
    }
    return convened;
  }

  /** @internal */
  coordinatorOf(): Coordinator {
    if (this.#coordinator === undefined) throw new DomainEnded('the domain is not open');
    return this.#coordinator;
  }

  /** Who takes part. */
  roster(): readonly RosterEntry[] {
    return this.membership.roster();
  }

  /**
   * Invites, shakes hands, admits. Resolves when the member holds its first epoch.
   *
   * @throws {HandshakeRefused} `domains.handshake-refused` naming the check that failed, here or at the candidate.
   * @throws {DomainEnded} `domains.ended`
   */
  async invite(candidate: Candidate, role: string): Promise<void> {
    try {
      if (this.#core.ended || this.#invitations === undefined) throw new DomainEnded('the domain is over');
      await this.#invitations.invite(candidate, role);
    } catch (cause) {
      const error = cause instanceof LogRefused ? asHandshake(cause) : cause;
      if (error instanceof HandshakeRefused) await this.#record('refused', candidate.agentId, error.check);
      throw error;
    }
    await this.#record('admitted', candidate.agentId, role);
  }

  /**
   * Throws a member out: broker rights, new log key and epoch, roster. Resolved when those left have been sent the new
   * epoch and the broker has done its part. Idempotent.
   */
  async evict(agentId: string, reason: string): Promise<void> {
    if (this.#core.ended || !this.#core.roster.members.has(agentId)) return;
    await this.coordinatorOf().evict(agentId, reason);
    await this.#kicks.get(agentId);
  }

  /** Ends the domain for everybody: tombstone, stopping, broker rights, keys. Idempotent. */
  end(reason: string): Promise<void> {
    this.#ending ??= this.#end(reason);
    return this.#ending;
  }

  /** Uses renewed credentials from now on, and shows them to the domain. */
  async renew(identity: DomainIdentity): Promise<void> {
    await this.membership.renew(identity);
  }

  /** = `end('the convener left')`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('the convener left');
  }

  async #open(driver: GroupKeyAgreement, genesis: Genesis): Promise<void> {
    const { link, identity } = this.#options;
    this.#coordinator = new Coordinator({
      core: this.#core,
      driver,
      logKey: genesis.logKey,
      genesis: genesis.entry,
      told: {
        admitted: (agentId, role) => this.emit('admitted', agentId, role),
        evicted: (agentId, reason) => this.#evicted(agentId, reason),
        refused: (check, from) => this.emit('refused', check, from),
      },
    });
    const invitations = new Invitations({
      core: this.#core,
      coordinator: this.#coordinator,
      broker: this.#options.broker,
      mission: this.#options.mission,
      evict: (agentId, reason) => this.evict(agentId, reason),
      refused: (check, from) => this.emit('refused', check, from),
    });
    this.#invitations = invitations;
    this.#lobby = await link.subscribe(
      lobbyTopic(identity.credentials.slug),
      (message) => invitations.heard(message),
      { qos: 1 },
    );
    await this.#core.start();
    await this.#coordinator.begin();
  }

  /** Somebody is out, thrown out or gone: the keys are new, now the broker. */
  #evicted(agentId: string, reason: string): void {
    const kick = this.#options.broker
      .evict(this.domain, slugOf(agentId))
      .catch((cause: unknown) =>
        this.#options.platform.log.warn('the broker has not taken rights away', { cause: messageOf(cause) }),
      )
      .then(() => this.#record('evicted', agentId, reason))
      .finally(() => this.#kicks.delete(agentId));
    this.#kicks.set(agentId, kick);
    this.emit('evicted', agentId, reason);
  }

  async #end(reason: string): Promise<void> {
    const { broker, platform } = this.#options;
    this.#invitations?.close(new DomainEnded(`the domain is over: ${reason}`));
    await this.#lobby?.close().catch(() => {});
    if (!this.#core.ended) await this.coordinatorOf().end(reason, this.#core.options.times.heartbeatMs);
    await this.#core.finish(reason, true);
    this.#coordinator?.close();
    await broker
      .destroy(this.domain)
      .catch((cause: unknown) =>
        platform.log.warn('the broker has not destroyed the domain', { cause: messageOf(cause) }),
      );
    this.emit('ended', reason);
  }

  async #record(action: string, agentId: string, cause: HandshakeCheck | string): Promise<void> {
    const { audit, identity, platform } = this.#options;
    await audit
      ?.append({
        kind: 'domain',
        agent: identity.credentials.agentId,
        action,
        resource: agentId,
        task: this.task,
        cause,
        detail: { domain: this.domain, epoch: this.membership.epoch },
      })
      .catch((error: unknown) =>
        platform.log.warn('a domain event is not recorded', { cause: messageOf(error) }),
      );
  }
}

function asHandshake(cause: LogRefused): HandshakeRefused {
  const check: HandshakeCheck = cause.check === 'limits' ? 'members' : 'delegation';
  return new HandshakeRefused(check, cause.message, { cause });
}
