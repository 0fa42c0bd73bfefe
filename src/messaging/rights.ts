import type { Topic } from './topics.ts';
import { isSlug, readTopic, reservedDomains } from './topics.ts';

/** Who is in the domains of a broker, as far as the broker knows. */
export interface DomainRights {
  readonly coordinator: string;
  /** Slugs, the coordinator's among them. */
  readonly members: ReadonlySet<string>;
}

/** What the topic rules ask. Whatever they do not allow is denied. */
export interface Rights {
  /** `undefined`: never opened, or destroyed. */
  domain(id: string): DomainRights | undefined;
  /** Whether an agent may publish news (status lists, announcements), which every agent may read. */
  mayAnnounce(slug: string): boolean;
}

/**
 * Whether an agent may publish. Lobby: everybody, not retained. Domain: members, under their own name; the log by the
 * coordinator alone. Retained: births, log head, news. The rules are the same for a will, which may be a life only.
 */
export function mayPublish(
  rights: Rights,
  slug: string,
  topic: Topic | undefined,
  how: { readonly retain: boolean } = { retain: false },
): boolean {
  if (topic === undefined || (how.retain && !mayBeRetained(topic))) return false;
  switch (topic.kind) {
    case 'lobby':
    case 'broker-control':
      return true;
    case 'news':
      return topic.from === slug && rights.mayAnnounce(slug);
    case 'broker-answer':
      return false;
    case 'multicast':
    case 'life':
      return topic.from === slug && isMember(rights, topic.domain, slug);
    case 'inbox':
      return (
        topic.from === slug &&
        isMember(rights, topic.domain, slug) &&
        isMember(rights, topic.domain, topic.to)
      );
    case 'log':
    case 'log-head':
      return rights.domain(topic.domain)?.coordinator === slug;
  }
}

/** Whether an agent may receive what was published to a topic. */
export function mayReceive(rights: Rights, slug: string, topic: Topic | undefined): boolean {
  if (topic === undefined) return false;
  switch (topic.kind) {
    case 'lobby':
    case 'broker-answer':
      return topic.to === slug;
    case 'news':
      return true;
    case 'broker-control':
      return false;
    case 'inbox':
      return topic.to === slug && isMember(rights, topic.domain, slug);
    case 'multicast':
    case 'life':
    case 'log':
    case 'log-head':
      return isMember(rights, topic.domain, slug);
  }
}

/**
 * Whether an agent may subscribe: `+` only where every value could be received (senders, streams), never for a domain
 * or an inbox's owner; `#` only as `…/log/#`.
 */
export function maySubscribe(rights: Rights, slug: string, filter: string): boolean {
  if (!isSlug(slug)) return false;
  const levels = (filter.endsWith('/log/#') ? filter.slice(0, -2) : filter).split('/');
  const wild = levels.flatMap((level, at) => (level === '+' ? [at] : []));
  if (!wild.every((at) => mayBeAny(levels, at))) return false;
  // One value that is a slug and a stream name stands for all.
  const example = levels.map((level) => (level === '+' ? slug : level)).join('/');
  return mayReceive(rights, slug, readTopic(example));
}

function mayBeAny(levels: readonly string[], at: number): boolean {
  const [, second = '', third = ''] = levels;
  if (second === 'news') return at >= 2;
  if (reservedDomains.includes(second)) return false;
  if (third === 'in') return at === 4;
  return (third === 'm' || third === 'life') && at >= 3;
}

function mayBeRetained(topic: Topic): boolean {
  return topic.kind === 'life' || topic.kind === 'log-head' || topic.kind === 'news';
}

function isMember(rights: Rights, domain: string, slug: string): boolean {
  return rights.domain(domain)?.members.has(slug) ?? false;
}
