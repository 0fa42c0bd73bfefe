import { BrokerRefused } from '../messaging/errors.ts';
import type { DomainRights, Rights } from '../messaging/rights.ts';
import { isDomainId, isSlug } from '../messaging/topics.ts';

/** What a group grant says to a broker. */
export interface OpenPermit {
  /** When the domain ends at the latest, milliseconds since 1970. */
  readonly until: number;
  /** Most members, the coordinator included. Default: 10,000. */
  readonly membersMax?: number | undefined;
  /** Whether the grant names the asker as successor, so that it takes over an open domain. Default: false. */
  readonly takeover?: boolean | undefined;
}

interface OpenDomain extends DomainRights {
  coordinator: string;
  readonly members: Set<string>;
  membersMax: number;
}

const domainsPerCoordinator = 16;

/** The domains open at a broker: who coordinates them and who is in them. In memory; after a restart none is open. */
export class BrokerDomains implements Rights {
  readonly #domains = new Map<string, OpenDomain>();
  readonly #announcers: ReadonlySet<string>;

  constructor(announcers: Iterable<string>) {
    this.#announcers = new Set(announcers);
  }

  domain(id: string): DomainRights | undefined {
    return this.#domains.get(id);
  }

  mayAnnounce(slug: string): boolean {
    return this.#announcers.has(slug);
  }

  /** @throws {BrokerRefused} `domain`, `owner`, `limit`. */
  open(id: string, slug: string, permit: OpenPermit): void {
    if (!isDomainId(id)) throw new BrokerRefused('domain', 'not a domain identifier');
    const known = this.#domains.get(id);
    if (known !== undefined) {
      if (known.coordinator !== slug && permit.takeover !== true)
        throw new BrokerRefused('owner', 'the domain is open under another coordinator');
      known.coordinator = slug;
      known.members.add(slug);
      known.membersMax = permit.membersMax ?? 10_000;
      return;
    }
    const own = [...this.#domains.values()].filter((each) => each.coordinator === slug).length;
    if (own >= domainsPerCoordinator)
      throw new BrokerRefused('limit', `at most ${domainsPerCoordinator} domains of one coordinator`);
    this.#domains.set(id, {
      coordinator: slug,
      members: new Set([slug]),
      membersMax: permit.membersMax ?? 10_000,
    });
  }

  /** @throws {BrokerRefused} `owner`, `unknown-agent`, `limit`. */
  admit(id: string, slug: string, members: readonly string[]): void {
    const domain = this.#owned(id, slug);
    if (!members.every(isSlug)) throw new BrokerRefused('unknown-agent', 'not a slug');
    const more = new Set([...domain.members, ...members]);
    if (more.size > domain.membersMax)
      throw new BrokerRefused('limit', `at most ${domain.membersMax} members are granted`);
    for (const member of members) domain.members.add(member);
  }

  /** @throws {BrokerRefused} `owner`; also for the coordinator itself, who ends a domain by `destroy`. */
  evict(id: string, slug: string, members: readonly string[]): void {
    const domain = this.#owned(id, slug);
    if (members.includes(domain.coordinator))
      throw new BrokerRefused('owner', 'the coordinator cannot be evicted');
    for (const member of members) domain.members.delete(member);
  }

  /** Whether an agent is a member of any domain. */
  partakes(slug: string): boolean {
    for (const domain of this.#domains.values()) if (domain.members.has(slug)) return true;
    return false;
  }

  /** Idempotent: a domain that is not open is destroyed already. @throws {BrokerRefused} `owner`. */
  destroy(id: string, slug: string): void {
    if (this.#domains.has(id)) {
      this.#owned(id, slug);
      this.#domains.delete(id);
    }
  }

  /** Ends a domain whose time is over: its grant says so, not its coordinator. */
  end(id: string): void {
    this.#domains.delete(id);
  }

  #owned(id: string, slug: string): OpenDomain {
    const domain = this.#domains.get(id);
    // One answer for both, so that nobody learns which domains there are.
    if (domain?.coordinator !== slug)
      throw new BrokerRefused('owner', 'the domain was not opened by this agent');
    return domain;
  }
}
