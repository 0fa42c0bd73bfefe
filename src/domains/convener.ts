import { fromBase64url, hex } from '../core/bytes.ts';
import { EventEmitter } from '../core/emitter.ts';
import { FealtyError, messageOf } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import { slugOf } from '../core/names.ts';
import { generateKey } from '../core/signer.ts';
import { trustDomainOf } from '../identity/agent-id.ts';
import { verifyWit } from '../identity/wit.ts';
import type { LinkMessage, Subscription } from '../messaging/index.ts';
import { lobbyTopic } from '../messaging/index.ts';
import { verifyGroupGrant } from '../tokens/verifier.ts';
import { Coordinator } from './coordinator.ts';
import { signDelegation } from './delegation.ts';
import { flatKeys } from './epochs.ts';
import type { HandshakeCheck } from './errors.ts';
import { DomainEnded, HandshakeRefused, LogRefused } from './errors.ts';
import { ownPapers } from './handshake-common.ts';
import type { Initiation } from './initiator.ts';
import { initiate, RefusedAnswer } from './initiator.ts';
import { writeEntry } from './log-entry.ts';
import type { MemberCore } from './member-core.ts';
import { Membership } from './membership.ts';
import { readFrame, VERSION } from './messages.ts';
import { emptyGenerations } from './no-generations.ts';
import { named, verifyLobbyCertificate, writePapers } from './papers.ts';
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

/** Answers looked at for one invitation: forged ones must not keep the true one out, nor cost without end. */
const ANSWERS_MAX = 8;
/** How long after a refused answer another one is waited for, in milliseconds. */
const SECOND_ANSWER_MS = 1_000;
/** How often a handshake message is sent while there is no sign that it arrived. */
const SENDINGS = 8;

interface Inviting {
  readonly initiation: Initiation;
  readonly candidate: Candidate;
  readonly role: string;
  answers: number;
  busy: boolean;
  /** Message 3, once message 2 was accepted. */
  frame: Uint8Array | undefined;
  readonly settle: (outcome: Error | undefined) => void;
  /** Refuses soon, unless a better answer comes. */
  readonly fail: (error: Error) => void;
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
  readonly #mission: string;
  readonly #genesis: Uint8Array;
  readonly #inviting = new Map<string, Inviting>();
  #coordinator: Coordinator | undefined;
  #lobby: Subscription | undefined;
  #ending: Promise<void> | undefined;

  private constructor(
    options: ConveneOptions,
    made: { readonly membership: Membership; readonly core: MemberCore },
    genesis: Uint8Array,
  ) {
    super();
    this.#options = options;
    this.membership = made.membership;
    this.#core = made.core;
    this.#genesis = genesis;
    this.#mission = options.mission;
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
    const { credentials, keys } = identity;
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

    const domain = hex(random.bytes(12));
    const own = ownPapers(credentials);
    const session = generateKey(random);
    const agreement = generateKey(random);
    const delegation = await signDelegation(keys.ldevid, {
      domain,
      grant: fromBase64url(groupGrant.hash),
      wth: own.wth,
      ear: own.earHash,
      agent: credentials.agentId,
      role,
      peer: credentials.agentId,
      peerRole: role,
      transcript: sha256(random.bytes(32)),
      session: session.publicJwk,
      agreement: agreement.publicJwk,
      nbf: Math.floor(clock.now() / 1000),
      exp: groupGrant.exp,
    });
    const logKey = random.bytes(32);
    const genesis = writeEntry(
      {
        v: VERSION,
        domain,
        index: 0,
        previous: new Uint8Array(32),
        kind: 'genesis',
        at: clock.now(),
        key: 1,
        term: 1,
      },
      {
        kind: 'genesis',
        task: groupGrant.task,
        mission: options.mission,
        grant: groupGrant.compact,
        agent: credentials.agentId,
        role,
        papers: writePapers(credentials),
        delegation,
      },
      logKey,
      (data) => session.signSync(data),
    );
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
        genesis: genesis.hash,
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
    const convened = new TaskDomain(options, made, genesis.hash);
    opened.domain = convened;
    try {
      await audit?.append({
        kind: 'domain',
        agent: credentials.agentId,
        action: 'convened',
        task: groupGrant.task,
        detail: { domain, grant: groupGrant.id, genesis: hex(genesis.hash) },
      });
      await convened.#open(driver, logKey, genesis);
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
      await this.#invite(candidate, role);
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
    if (this.#core.ended) return;
    // Both begin now: the keys do not wait for the broker.
    const rekeyed = this.coordinatorOf().evict(agentId, reason);
    const slug = slugOf(agentId);
    const kicked = this.#options.broker.evict(this.domain, slug);
    const [cut] = await Promise.allSettled([rekeyed, kicked]);
    await kicked.catch((cause: unknown) =>
      this.#options.platform.log.warn('the broker has not taken rights away', { cause: messageOf(cause) }),
    );
    if (cut.status === 'rejected') throw cut.reason;
    if (cut.value) await this.#record('evicted', agentId, reason);
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

  async #open(
    driver: ReturnType<typeof flatKeys>,
    logKey: Uint8Array,
    genesis: ReturnType<typeof writeEntry>,
  ) {
    const { link, identity } = this.#options;
    this.#coordinator = new Coordinator({
      core: this.#core,
      driver,
      logKey,
      genesis,
      told: {
        admitted: (agentId, role) => this.emit('admitted', agentId, role),
        evicted: (agentId, reason) => this.emit('evicted', agentId, reason),
        refused: (check, from) => this.emit('refused', check, from),
      },
    });
    this.#lobby = await link.subscribe(
      lobbyTopic(identity.credentials.slug),
      (message) => this.#heard(message),
      { qos: 1 },
    );
    await this.#core.start();
    await this.#coordinator.begin();
  }

  async #invite(candidate: Candidate, role: string): Promise<void> {
    if (this.#core.ended) throw new DomainEnded('the domain is over');
    const { platform, link } = this.#options;
    const { clock, random } = platform;
    const { groupGrant, times, session, agreement } = this.#core.options;
    const { bundles } = this.#core.identity.credentials;
    this.#judgeSeat(candidate, role);
    const wit = named('wit', () => verifyWit(candidate.wit, bundles, clock.now()));
    if (wit.sub !== candidate.agentId || slugOf(candidate.agentId) !== candidate.slug)
      throw new HandshakeRefused('identity', 'the candidate’s token or slug is another agent’s');
    const lobbyKey = verifyLobbyCertificate(
      candidate.lobbyCertificate,
      candidate.agentId,
      bundles,
      clock.now(),
    );
    const initiation = initiate({
      self: {
        identity: this.#core.identity,
        clock,
        random,
        session: session.publicJwk,
        agreement: agreement.publicJwk,
      },
      agreed: {
        domain: this.domain,
        groupGrant,
        convenerRole: this.#core.options.role,
        role,
        convener: this.#core.agentId,
        candidate: candidate.agentId,
      },
      lobbyKey,
      mission: this.#mission,
      genesis: this.#genesis,
    });
    const cancels: (() => void)[] = [];
    try {
      await new Promise<void>((resolve, reject) => {
        const settle = (outcome: Error | undefined) => (outcome === undefined ? resolve() : reject(outcome));
        let failing = false;
        const inviting: Inviting = {
          initiation,
          candidate,
          role,
          answers: 0,
          busy: false,
          frame: undefined,
          settle,
          fail: (error) => {
            if (failing) return;
            failing = true;
            cancels.push(
              clock.schedule(SECOND_ANSWER_MS, () => {
                if (inviting.frame === undefined) settle(error);
              }),
            );
          },
        };
        this.#inviting.set(initiation.id, inviting);
        const send = (left: number) => {
          // Message 1 until there is an answer, then message 3 until the member shows itself.
          if (!this.coordinatorOf().hasHeard(candidate.agentId))
            link
              .publish(lobbyTopic(candidate.slug), inviting.frame ?? initiation.frame, { qos: 1 })
              .catch(settle);
          if (left > 1)
            cancels.push(clock.schedule(times.handshakeMs / (SENDINGS + 1), () => send(left - 1)));
        };
        cancels.push(
          clock.schedule(times.handshakeMs, () =>
            settle(new HandshakeRefused('silent', 'the candidate did not come in time')),
          ),
        );
        send(SENDINGS);
      });
    } catch (cause) {
      this.coordinatorOf().forget(candidate.agentId);
      if (!this.#core.ended && !this.#core.roster.members.has(candidate.agentId))
        await this.#options.broker.evict(this.domain, candidate.slug).catch(() => {});
      else if (!this.#core.ended) await this.evict(candidate.agentId, 'did not come in time');
      throw cause;
    } finally {
      this.#inviting.delete(initiation.id);
      for (const cancel of cancels) cancel();
    }
  }

  /** What the members would refuse in the log is not begun. */
  #judgeSeat(candidate: Candidate, role: string): void {
    const { bounds } = this.#core.options.groupGrant;
    const { agentId } = candidate;
    const granted = Object.hasOwn(bounds.roles, role) ? bounds.roles[role] : undefined;
    if (granted === undefined) throw new HandshakeRefused('role', `the group grant has no role \`${role}\``);
    const trustDomain = named('identity', () => trustDomainOf(agentId));
    if (!bounds.trustDomains.includes(trustDomain))
      throw new HandshakeRefused('trust-domain', `the group takes nobody from \`${trustDomain}\``);
    const members = [...this.#core.roster.members.values()];
    const coming = [...this.#inviting.values()];
    if (
      members.some((member) => member.agentId === agentId) ||
      coming.some((other) => other.candidate.agentId === agentId)
    )
      throw new HandshakeRefused('members', 'the candidate is a member, or on its way');
    if (
      members.filter((member) => member.role === role).length +
        coming.filter((other) => other.role === role).length >=
      granted.max
    )
      throw new HandshakeRefused('role', `${granted.max} hold role \`${role}\` already`);
    if (members.filter((member) => member.role !== 'coordinator').length + coming.length >= bounds.maxMembers)
      throw new HandshakeRefused('members', `the group has ${bounds.maxMembers} members already`);
  }

  /** A message in the convener's lobby: answers to invitations. Everything else is the lobby's own business. */
  #heard(message: LinkMessage): void {
    if (this.#core.ended) return;
    let frame: ReturnType<typeof readFrame>;
    try {
      frame = readFrame(message.payload);
    } catch (cause) {
      if (!(cause instanceof FealtyError)) throw cause;
      this.emit('refused', 'form', 'unknown');
      return;
    }
    if (frame.kind !== 2 && frame.kind !== 4) return;
    const inviting = this.#inviting.get(hex(frame.connection));
    if (inviting === undefined) return; // another domain's of this convener, or one that is over
    if (frame.kind === 2) void this.#answered(inviting, frame.body);
    else {
      const check = inviting.initiation.refusal(frame.body);
      if (check === undefined) return;
      this.emit('refused', check, inviting.candidate.agentId);
      inviting.fail(new HandshakeRefused(check, 'the candidate refuses'));
    }
  }

  async #answered(inviting: Inviting, body: Uint8Array): Promise<void> {
    const { link, broker } = this.#options;
    const { candidate, role } = inviting;
    const lobby = lobbyTopic(candidate.slug);
    if (inviting.frame !== undefined) {
      // Message 3 may have been lost; the same bytes do no harm.
      if (inviting.answers++ < ANSWERS_MAX) link.publish(lobby, inviting.frame, { qos: 1 }).catch(() => {});
      return;
    }
    if (inviting.busy || inviting.answers >= ANSWERS_MAX) {
      this.emit('refused', 'rate', candidate.agentId);
      return;
    }
    inviting.busy = true;
    inviting.answers++;
    try {
      const { frame, ...completed } = await inviting.initiation.answer(body);
      if (this.#core.ended) throw new DomainEnded('the domain is over');
      inviting.frame = frame;
      this.coordinatorOf().expect({
        agentId: candidate.agentId,
        role,
        completed,
        admitted: () => inviting.settle(undefined),
        refused: inviting.settle,
      });
      completed.pairwise.fill(0);
      try {
        await broker.admit(this.domain, candidate.slug);
      } catch (cause) {
        throw new HandshakeRefused('broker', messageOf(cause), { cause });
      }
      await link.publish(lobby, frame, { qos: 1 });
    } catch (cause) {
      if (cause instanceof RefusedAnswer) {
        this.emit('refused', cause.check, candidate.agentId);
        if (cause.frame !== undefined) link.publish(lobby, cause.frame, { qos: 1 }).catch(() => {});
        inviting.fail(cause);
      } else if (cause instanceof HandshakeRefused && inviting.frame === undefined) {
        this.emit('refused', cause.check, candidate.agentId);
        inviting.fail(cause);
      } else inviting.settle(cause instanceof Error ? cause : new Error(messageOf(cause)));
    } finally {
      inviting.busy = false;
    }
  }

  async #end(reason: string): Promise<void> {
    const { broker, platform } = this.#options;
    for (const { settle } of this.#inviting.values())
      settle(new DomainEnded(`the domain is over: ${reason}`));
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
