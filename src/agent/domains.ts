import { FealtyError, messageOf } from '../core/errors.ts';
import type { Log, Platform } from '../core/platform.ts';
import type { Membership, Mode } from '../domains/index.ts';
import type { HeldGrant } from '../grants/index.ts';
import type { DomainSource, Permissions } from '../permissions/index.ts';
import type { OwnStreams } from './streams.ts';
import { PeerStreams } from './streams.ts';

interface Bound {
  readonly membership: Membership;
  /** Ids of the assignments' grants held because of it. */
  readonly held: Set<string>;
  readonly peers: PeerStreams;
  readonly release: () => void;
}

/**
 * The task domains of an agent, as its permissions see them: modes are conditions, assignments of the members become held
 * grants, streams become inputs, and a mode that falls stops what it carried.
 */
export class AgentDomains implements DomainSource {
  readonly #platform: Platform;
  readonly #log: Log;
  readonly #streams: OwnStreams;
  readonly #bound = new Map<string, Bound>();
  readonly #listeners = new Set<(task: string) => void>();
  #permissions: Permissions | undefined;

  constructor(platform: Platform, streams: OwnStreams) {
    this.#platform = platform;
    this.#log = platform.log;
    this.#streams = streams;
  }

  /** Where grants are held and inputs go; given once the agent knows who it is. */
  serve(permissions: Permissions): void {
    this.#permissions = permissions;
  }

  /** Memberships by task that are not over. */
  get memberships(): readonly Membership[] {
    return [...this.#bound.values()].map(({ membership }) => membership);
  }

  /** The membership in a task's domain, if any. */
  of(task: string): Membership | undefined {
    return this.#bound.get(task)?.membership;
  }

  mode(task: string): 'observe' | 'suggest' | 'actuate' | 'none' | undefined {
    const mode: Mode = this.#bound.get(task)?.membership.mode ?? 'ended';
    return mode === 'ended' ? 'none' : mode;
  }

  until(task: string): number | undefined {
    return this.#bound.get(task)?.membership.tenureUntil;
  }

  onChange(listener: (task: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes part: from now on until the membership is over. `left` is called then, when everything has stopped. */
  async join(membership: Membership, left: (reason: string) => void): Promise<void> {
    const permissions = this.#permissions;
    if (permissions === undefined) throw new TypeError('`serve` comes first');
    const { task } = membership;
    const peers = new PeerStreams(membership, permissions.inputs, this.#platform);
    const leaveStreams = this.#streams.join(membership);
    const stops = membership.whenWeaker(async (to, cause) => {
      this.#tell(task);
      if (to === 'ended') await permissions.pep.end(task, cause);
      else await permissions.pep.demote(task, cause);
    });
    this.#bound.set(task, {
      membership,
      held: new Set(),
      peers,
      release: () => {
        leaveStreams();
        stops();
      },
    });
    membership.on('roster-changed', () => void this.refresh(task));
    membership.on('mode-changed', () => this.#tell(task));
    membership.once('ended', (reason) => {
      this.#leave(task, permissions);
      left(reason);
    });
    await this.refresh(task);
    this.#tell(task);
  }

  /** Brings held assignments and streams in line with the roster and with the grants that are held now. */
  async refresh(task: string): Promise<void> {
    const bound = this.#bound.get(task);
    const permissions = this.#permissions;
    if (bound === undefined || permissions === undefined) return;
    const { membership, held, peers } = bound;
    const assigned = membership
      .roster()
      .flatMap(({ agentId }) => membership.grantsOf(agentId))
      .filter(({ grant }) => grant.locations.includes(membership.agentId));
    const now = new Set(assigned.map(({ id }) => id));
    for (const grant of assigned) if (!held.has(grant.id)) this.#hold(permissions, grant, held);
    for (const id of held)
      if (!now.has(id)) {
        permissions.pdp.remove(id);
        held.delete(id);
      }
    try {
      await peers.follow(
        permissions.pdp.held().filter(({ grant }) => grant.task === undefined || grant.task === task),
      );
    } catch (error) {
      this.#log.warn('a stream could not be followed', { task, error: messageOf(error) });
    }
  }

  #hold(permissions: Permissions, grant: HeldGrant, held: Set<string>): void {
    try {
      permissions.pdp.check(grant.grant);
      permissions.pdp.add(grant);
      held.add(grant.id);
    } catch (error) {
      // Revoked already, or for something that is not here: it is not held, and everything else goes on.
      if (!(error instanceof FealtyError)) throw error;
      this.#log.warn('an assignment is not held', { grant: grant.id, error: error.message });
    }
  }

  #leave(task: string, permissions: Permissions): void {
    const bound = this.#bound.get(task);
    if (bound === undefined) return;
    this.#bound.delete(task);
    bound.release();
    for (const id of bound.held) permissions.pdp.remove(id);
    this.#tell(task);
  }

  #tell(task: string): void {
    for (const listener of this.#listeners) listener(task);
  }
}
