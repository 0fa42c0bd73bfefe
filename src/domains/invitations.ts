import { hex } from '../core/bytes.ts';
import { FealtyError, messageOf } from '../core/errors.ts';
import { slugOf } from '../core/names.ts';
import { trustDomainOf } from '../identity/agent-id.ts';
import { verifyWit } from '../identity/wit.ts';
import type { BrokerAuthorizer, LinkMessage } from '../messaging/index.ts';
import { lobbyTopic } from '../messaging/index.ts';
import type { Coordinator } from './coordinator.ts';
import { detached } from './detached.ts';
import { DomainEnded, HandshakeRefused } from './errors.ts';
import type { Initiation } from './initiator.ts';
import { initiate, RefusedAnswer } from './initiator.ts';
import type { MemberCore } from './member-core.ts';
import { readFrame } from './messages.ts';
import { named, verifyLobbyCertificate } from './papers.ts';
import type { Candidate } from './types.ts';

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

/** What {@link Invitations} needs. */
export interface InvitationsOptions {
  readonly core: MemberCore;
  readonly coordinator: Coordinator;
  readonly broker: BrokerAuthorizer;
  readonly mission: string;
  readonly evict: (agentId: string, reason: string) => Promise<void>;
  readonly refused: (check: string, from: string) => void;
}

/** The convener's invitations under way: each is one handshake, from the sealed message 1 to the first epoch held. */
export class Invitations {
  readonly #options: InvitationsOptions;
  readonly #inviting = new Map<string, Inviting>();

  constructor(options: InvitationsOptions) {
    this.#options = options;
  }

  /** Ends them all. */
  close(error: Error): void {
    for (const { settle } of this.#inviting.values()) settle(error);
  }

  /** Invites, shakes hands, admits. @throws {HandshakeRefused} {@link LogRefused} {@link DomainEnded} */
  async invite(candidate: Candidate, role: string): Promise<void> {
    if (this.#options.core.ended) throw new DomainEnded('the domain is over');
    const { platform, link } = this.#options.core.options;
    const { clock, random } = platform;
    const { groupGrant, times, session, agreement } = this.#options.core.options;
    const { bundles } = this.#options.core.identity.credentials;
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
        identity: this.#options.core.identity,
        clock,
        random,
        session: session.publicJwk,
        agreement: agreement.publicJwk,
      },
      agreed: {
        domain: this.#options.core.options.domain,
        groupGrant,
        convenerRole: this.#options.core.options.role,
        role,
        convener: this.#options.core.agentId,
        candidate: candidate.agentId,
      },
      lobbyKey,
      mission: this.#options.mission,
      genesis: this.#options.core.options.genesis,
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
          if (!this.#options.coordinator.hasHeard(candidate.agentId))
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
      this.#options.coordinator.forget(candidate.agentId);
      const { core, broker, evict } = this.#options;
      // Broker rights were given with message 3; somebody who got none is not disturbed.
      const given = this.#inviting.get(initiation.id)?.frame !== undefined;
      if (core.roster.members.has(candidate.agentId)) await evict(candidate.agentId, 'did not come in time');
      else if (given && !core.ended) await broker.evict(core.options.domain, candidate.slug).catch(() => {}); // keys decide, not rights
      throw cause;
    } finally {
      this.#inviting.delete(initiation.id);
      for (const cancel of cancels) cancel();
    }
  }

  /** What the members would refuse in the log is not begun. */
  #judgeSeat(candidate: Candidate, role: string): void {
    const { bounds } = this.#options.core.options.groupGrant;
    const { agentId } = candidate;
    const granted = Object.hasOwn(bounds.roles, role) ? bounds.roles[role] : undefined;
    if (granted === undefined) throw new HandshakeRefused('role', `the group grant has no role \`${role}\``);
    const trustDomain = named('identity', () => trustDomainOf(agentId));
    if (!bounds.trustDomains.includes(trustDomain))
      throw new HandshakeRefused('trust-domain', `the group takes nobody from \`${trustDomain}\``);
    const members = [...this.#options.core.roster.members.values()];
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
  heard(message: LinkMessage): void {
    if (this.#options.core.ended) return;
    let frame: ReturnType<typeof readFrame>;
    try {
      frame = readFrame(message.payload);
    } catch (cause) {
      if (!(cause instanceof FealtyError)) throw cause;
      this.#options.refused('form', 'unknown');
      return;
    }
    if (frame.kind !== 2 && frame.kind !== 4) return;
    const inviting = this.#inviting.get(hex(frame.connection));
    if (inviting === undefined) return; // another domain's of this convener, or one that is over
    if (frame.kind === 2) void this.#answered(inviting, frame.body);
    else {
      const check = inviting.initiation.refusal(frame.body);
      if (check === undefined) return;
      this.#options.refused(check, inviting.candidate.agentId);
      inviting.fail(new HandshakeRefused(check, 'the candidate refuses'));
    }
  }

  async #answered(inviting: Inviting, body: Uint8Array): Promise<void> {
    const { broker, core } = this.#options;
    const { link, platform } = core.options;
    const { candidate, role } = inviting;
    const lobby = lobbyTopic(candidate.slug);
    if (inviting.frame !== undefined) {
      // Message 3 may have been lost; the same bytes do no harm.
      if (inviting.answers++ < ANSWERS_MAX)
        detached(link.publish(lobby, inviting.frame, { qos: 1 }), platform.log, 'message 3');
      return;
    }
    if (inviting.busy || inviting.answers >= ANSWERS_MAX) {
      this.#options.refused('rate', candidate.agentId);
      return;
    }
    inviting.busy = true;
    inviting.answers++;
    try {
      const { frame, ...completed } = await inviting.initiation.answer(body);
      if (this.#options.core.ended) throw new DomainEnded('the domain is over');
      inviting.frame = frame;
      this.#options.coordinator.expect({
        agentId: candidate.agentId,
        role,
        completed,
        admitted: () => inviting.settle(undefined),
        refused: inviting.settle,
      });
      completed.pairwise.fill(0);
      try {
        await broker.admit(this.#options.core.options.domain, candidate.slug);
      } catch (cause) {
        throw new HandshakeRefused('broker', messageOf(cause), { cause });
      }
      await link.publish(lobby, frame, { qos: 1 });
    } catch (cause) {
      if (cause instanceof RefusedAnswer) {
        this.#options.refused(cause.check, candidate.agentId);
        if (cause.frame !== undefined)
          detached(link.publish(lobby, cause.frame, { qos: 1 }), platform.log, 'a refusal');
        inviting.fail(cause);
      } else if (cause instanceof HandshakeRefused && inviting.frame === undefined) {
        this.#options.refused(cause.check, candidate.agentId);
        inviting.fail(cause);
      } else inviting.settle(cause instanceof Error ? cause : new Error(messageOf(cause)));
    } finally {
      inviting.busy = false;
    }
  }
}
