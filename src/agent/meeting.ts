import { messageOf } from '../core/errors.ts';
import type { TlsOptions } from '../core/platform.ts';
import { pemOfKey } from '../core/signer.ts';
import type { Candidate, DomainIdentity, Membership } from '../domains/index.ts';
import { Lobby, TaskDomain } from '../domains/index.ts';
import { trustDomainOf } from '../identity/index.ts';
import { brokerAuthorizerOver } from '../messaging/broker-control.ts';
import type { BrokerAuthorizer } from '../messaging/index.ts';
import { MqttLink } from '../messaging/index.ts';
import type { Enrolled } from '../provisioning/index.ts';
import type { GroupBounds } from '../tokens/index.ts';
import { answerAsks } from './asking.ts';
import type { Books } from './books.ts';
import type { AgentDomains } from './domains.ts';
import { BadConfiguration, NotReady } from './errors.ts';
import type { AgentOptions } from './options.ts';
import type { OwnTokens } from './tokens.ts';
import { ownersServer } from './trust.ts';

/** What a console asks for when it opens a task domain. */
export interface ConveneRequest {
  readonly task: string;
  /** What the job is, for people and join policies. */
  readonly mission: string;
  /** What the group grant should allow; the owner's policy is the limit. */
  readonly bounds: GroupBounds;
  /** The console's own role, if it wants one of the grant's. */
  readonly role?: string | undefined;
  /** Seconds. Default: four hours, or what the owner allows. */
  readonly lifeS?: number | undefined;
}

interface Parts {
  readonly options: AgentOptions;
  readonly enrolled: () => Enrolled;
  readonly books: Books;
  readonly tokens: OwnTokens;
  readonly domains: AgentDomains;
  readonly signal: AbortSignal;
  readonly joined: (task: string, domain: string) => void;
  readonly left: (task: string, reason: string) => void;
  readonly refused: (check: string, from: string) => void;
}

interface Convened {
  readonly domain: TaskDomain;
  readonly groupGrant: string;
}

/** Where an agent meets others: its link to the broker, its lobby, and the domains that it coordinates. */
export class Meeting {
  readonly link: MqttLink;
  readonly #parts: Parts;
  readonly #lobby: Lobby;
  readonly #convened = new Map<string, Convened>();
  #rights: Promise<BrokerAuthorizer> | undefined;

  private constructor(parts: Parts, link: MqttLink, lobby: Lobby) {
    this.#parts = parts;
    this.link = link;
    this.#lobby = lobby;
    lobby.on('joined', (membership) => {
      this.#join(membership).catch((error: unknown) => parts.refused('join', messageOf(error)));
    });
    lobby.on('refused', parts.refused);
  }

  /** Connects with the WIC, and opens the lobby. */
  static async open(parts: Parts): Promise<Meeting> {
    const { options, enrolled, books } = parts;
    const { platform } = options;
    const { credentials } = enrolled();
    const url = options.broker ?? credentials.endpoints.broker;
    if (url === undefined)
      throw new BadConfiguration('no `broker` is configured, and the authority named none');
    const tls = (): TlsOptions => {
      const { credentials: now, keys } = enrolled();
      return {
        chain: now.wic,
        privateKeyPem: pemOfKey(keys.tls),
        verifyPeer: ownersServer(now, url, platform.clock),
      };
    };
    const link = await MqttLink.connect({
      platform,
      url,
      tls,
      clientId: credentials.slug,
      signal: parts.signal,
    });
    try {
      const home = trustDomainOf(credentials.agentId);
      const lobby = await Lobby.open({
        platform,
        link,
        identity: identityOf(enrolled()),
        generations: books.generations,
        audit: books.audit,
        joinPolicy:
          options.joinPolicy ??
          (({ groupGrant }) =>
            groupGrant.trustDomain === home
              ? { join: true }
              : { join: false, reason: 'only groups of the own trust domain are joined' }),
      });
      return new Meeting(parts, link, lobby);
    } catch (error) {
      await link.close();
      throw error;
    }
  }

  /** Tasks whose domains it coordinates. */
  get convened(): readonly string[] {
    return [...this.#convened.keys()];
  }

  /** The domain it coordinates for `task`. @throws {NotReady} */
  domainOf(task: string): TaskDomain {
    return this.#ofTask(task).domain;
  }

  /** Gets a group grant, opens the domain at the broker, becomes its first member. @returns the domain's identifier */
  async convene(request: ConveneRequest): Promise<string> {
    const { options, enrolled, books, tokens } = this.#parts;
    const { platform } = options;
    const { task, bounds, mission, role, lifeS } = request;
    if (this.#convened.has(task)) throw new TypeError(`the domain of \`${task}\` is already open`);
    const groupGrant = await tokens.client.groupGrant({ task, bounds, lifeS });
    const { slug } = enrolled().credentials;
    this.#rights ??=
      options.brokerRights?.(this.link, slug) ?? brokerAuthorizerOver(this.link, slug, platform);
    const domain = await TaskDomain.convene({
      platform,
      link: this.link,
      broker: await this.#rights,
      identity: identityOf(enrolled()),
      generations: books.generations,
      audit: books.audit,
      groupGrant,
      task,
      mission,
      role,
    });
    this.#convened.set(task, { domain, groupGrant });
    domain.on('refused', this.#parts.refused);
    domain.once('ended', () => this.#convened.delete(task));
    await this.#join(domain.membership);
    return domain.domain;
  }

  /** Invites somebody the registry found, into a role. @throws {HandshakeRefused} */
  async invite(task: string, candidate: Candidate, role: string): Promise<void> {
    await this.#ofTask(task).domain.invite(candidate, role);
  }

  /** Throws a member out of a domain it coordinates. */
  async evict(task: string, agentId: string, reason: string): Promise<void> {
    await this.#ofTask(task).domain.evict(agentId, reason);
  }

  /** Ends a domain it coordinates, and the group grant with everything that was given under it. */
  async end(task: string, reason: string): Promise<void> {
    const { domain, groupGrant } = this.#ofTask(task);
    await domain.end(reason);
    await this.#parts.tokens.client.revoke(groupGrant);
  }

  /** Shows renewed credentials to every domain. The link shows them when it connects again. */
  async renewed(): Promise<void> {
    const identity = identityOf(this.#parts.enrolled());
    await this.#lobby.renew(identity);
    await Promise.all([...this.#convened.values()].map(({ domain }) => domain.renew(identity)));
  }

  /** Leaves every domain, ends those it coordinates, lets go of the link. Idempotent. */
  async close(): Promise<void> {
    for (const task of this.convened) await this.end(task, 'the coordinator leaves').catch(() => {}); // members' tenures end what could not be told
    await this.#lobby.close();
    await this.link.close();
  }

  async #join(membership: Membership): Promise<void> {
    const { options, domains, books, joined, left, refused } = this.#parts;
    membership.on('refused', refused);
    answerAsks(membership, books.permissions.pep, options.platform.log);
    await domains.join(membership, (reason) => left(membership.task, reason));
    joined(membership.task, membership.domain);
  }

  #ofTask(task: string): Convened {
    const convened = this.#convened.get(task);
    if (convened === undefined)
      throw new NotReady('domain', `this agent coordinates no domain of \`${task}\``);
    return convened;
  }
}

function identityOf({ credentials, keys }: Enrolled): DomainIdentity {
  return { credentials, keys };
}
