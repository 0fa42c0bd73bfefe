import { hex } from '../core/bytes.ts';
import { messageOf } from '../core/errors.ts';
import { slugOf } from '../core/names.ts';
import type { SoftwareKey } from '../core/signer.ts';
import type { Generations } from '../tokens/status.ts';
import { flatKeys } from './epochs.ts';
import type { Completed } from './handshake-common.ts';
import type { MemberCore } from './member-core.ts';
import { Membership } from './membership.ts';
import { domainMark } from './messages.ts';
import type { OpenedInvitation } from './responder.ts';
import type { Times } from './times.ts';
import type { DomainIdentity, LobbyOptions } from './types.ts';

/** A handshake that is complete, with the keys that this end brought to it. */
export interface Joining {
  readonly opened: OpenedInvitation;
  readonly completed: Completed;
  readonly session: SoftwareKey;
  readonly agreement: SoftwareKey;
}

/** The domains an agent was invited to and takes part in, or is about to. */
export class Memberships {
  readonly #options: LobbyOptions;
  readonly #generations: Generations;
  readonly #times: Times;
  readonly #all = new Map<string, { readonly membership: Membership; readonly core: MemberCore }>();

  constructor(options: LobbyOptions, generations: Generations, times: Times) {
    this.#options = options;
    this.#generations = generations;
    this.#times = times;
  }

  /** Those that have begun and are not over. */
  get live(): readonly Membership[] {
    return [...this.#all.values()]
      .filter(({ core }) => !core.ended && core.ring.epoch > 0)
      .map(({ membership }) => membership);
  }

  /** How many are not over, begun or not. */
  get count(): number {
    return [...this.#all.values()].filter(({ core }) => !core.ended).length;
  }

  /**
   * Takes part: listens in the domain, and waits for its first epoch.
   *
   * @throws {DomainEnded} {@link SubscribeRefused} {@link AuditFailed}; it is over then.
   */
  async join(
    { opened, completed, session, agreement }: Joining,
    identity: DomainIdentity,
  ): Promise<Membership> {
    const { platform, link, audit } = this.#options;
    const { invitation, groupGrant } = opened;
    const coordinator = invitation.from;
    // Its coordinator, proven by message 3, invites us anew: for it, what we held is over.
    await this.#all.get(invitation.domain)?.core.finish('invited anew', false);
    const made = Membership.make({
      platform,
      link,
      identity,
      generations: this.#generations,
      audit,
      times: this.#times,
      agreementDriver: flatKeys(platform.random),
      domain: invitation.domain,
      groupGrant,
      genesis: invitation.genesis,
      role: invitation.role,
      session,
      agreement,
      coordinator: {
        agentId: coordinator,
        slug: slugOf(coordinator),
        session: completed.delegation.sessionKey,
        agreement: completed.delegation.agreementKey,
      },
      pairwise: { secret: completed.pairwise, transcript: completed.transcript },
    });
    completed.pairwise.fill(0);
    this.#all.set(invitation.domain, made);
    made.membership.once('ended', () => {
      if (this.#all.get(invitation.domain) === made) this.#all.delete(invitation.domain);
    });
    const cancel = platform.clock.schedule(this.#times.handshakeMs, () => {
      if (made.core.ring.epoch === 0) void made.core.finish('not admitted in time', false);
    });
    try {
      await audit?.append({
        kind: 'domain',
        agent: identity.credentials.agentId,
        action: 'joined',
        resource: coordinator,
        task: groupGrant.task,
        detail: { domain: invitation.domain, role: invitation.role, grant: groupGrant.id },
      });
      await made.core.start();
      await made.core.live;
      return made.membership;
    } catch (cause) {
      await made.core.finish(messageOf(cause), false);
      throw cause;
    } finally {
      cancel();
    }
  }

  /** An inbox message of the domain with this mark, which came through the lobby. */
  deliver(mark: Uint8Array, envelope: Uint8Array): void {
    const wanted = hex(mark);
    for (const { core } of this.#all.values())
      if (hex(domainMark(core.options.domain)) === wanted) core.deliver(envelope);
  }

  /** Uses renewed credentials in each; one that does not take them goes on with the old ones. */
  async renew(identity: DomainIdentity): Promise<void> {
    const { log } = this.#options.platform;
    const failed = (cause: unknown) => log.warn('renewed papers are not taken', { cause: messageOf(cause) });
    await Promise.all(this.live.map((membership) => membership.renew(identity).catch(failed)));
  }

  /** Leaves them all. */
  async leave(reason: string): Promise<void> {
    await Promise.all([...this.#all.values()].map(({ membership }) => membership.leave(reason)));
  }
}
