import { TopicRefused } from './errors.ts';

/**
 * The topics of fealty, the same on every broker: levels from `[A-Za-z0-9_-]` (NATS refuses `.` and space), at most
 * seven of them, names of agents as 13-character slugs, identifiers never.
 */
export type Topic =
  /** Where an agent receives invitations and handshake messages from anybody. */
  | { readonly kind: 'lobby'; readonly to: string }
  /** What `from` tells all members of a domain. */
  | { readonly kind: 'multicast'; readonly domain: string; readonly from: string; readonly stream: string }
  /** What `from` tells one member. */
  | { readonly kind: 'inbox'; readonly domain: string; readonly to: string; readonly from: string }
  /** The domain log, entry by entry. */
  | { readonly kind: 'log'; readonly domain: string }
  /** The newest head of the domain log, or the tombstone (retained). */
  | { readonly kind: 'log-head'; readonly domain: string }
  /** A member's birth (retained) or, by its will, death: a hint only. */
  | { readonly kind: 'life'; readonly domain: string; readonly from: string }
  /** What `from` tells every agent of the broker: status lists, announcements (may be retained). */
  | { readonly kind: 'news'; readonly from: string; readonly stream: string }
  /** Requests to the embedded broker's administration. */
  | { readonly kind: 'broker-control' }
  /** Its answers to one agent. */
  | { readonly kind: 'broker-answer'; readonly to: string };

/** First levels below `td1` that are no domain's name. */
export const reservedDomains: readonly string[] = ['lobby', 'news', 'broker'];

/** Most levels of a topic (AWS IoT Core allows eight). */
export const topicLevelsMax = 7;

const level = /^[A-Za-z0-9_-]{1,64}$/;
const slug = /^[a-z2-7]{13}$/;

/** Whether `value` is a level of a topic: 1 to 64 of `[A-Za-z0-9_-]`. */
export function isLevel(value: string): boolean {
  return level.test(value);
}

/** Whether `value` has the form `slugOf` gives: 13 characters of base32. */
export function isSlug(value: string): boolean {
  return slug.test(value);
}

/** Whether `value` can name a domain: a level that is not reserved. */
export function isDomainId(value: string): boolean {
  return isLevel(value) && !reservedDomains.includes(value);
}

/** `td1/lobby/<slug>`. */
export function lobbyTopic(to: string): string {
  return topicOf({ kind: 'lobby', to });
}

/** `td1/<domain>/m/<from>/<stream>`. */
export function multicastTopic(domain: string, from: string, stream: string): string {
  return topicOf({ kind: 'multicast', domain, from, stream });
}

/** `td1/<domain>/in/<to>/<from>`. */
export function inboxTopic(domain: string, to: string, from: string): string {
  return topicOf({ kind: 'inbox', domain, to, from });
}

/** `td1/<domain>/log`. */
export function logTopic(domain: string): string {
  return topicOf({ kind: 'log', domain });
}

/** `td1/<domain>/log/head`. */
export function logHeadTopic(domain: string): string {
  return topicOf({ kind: 'log-head', domain });
}

/** `td1/<domain>/life/<from>`. */
export function lifeTopic(domain: string, from: string): string {
  return topicOf({ kind: 'life', domain, from });
}

/** `td1/news/<from>/<stream>`. */
export function newsTopic(from: string, stream: string): string {
  return topicOf({ kind: 'news', from, stream });
}

/** Filter for everything all members say: `td1/<domain>/m/+/+`; with `stream`, for that stream of all members. */
export function multicastFilter(domain: string, stream?: string): string {
  return `td1/${checked(domain, isDomainId)}/m/+/${stream === undefined ? '+' : checked(stream, isLevel)}`;
}

/** Filter for one's own inbox: `td1/<domain>/in/<to>/+`. */
export function inboxFilter(domain: string, to: string): string {
  return `td1/${checked(domain, isDomainId)}/in/${checked(to, isSlug)}/+`;
}

/** Filter for all members' births: `td1/<domain>/life/+`. */
export function lifeFilter(domain: string): string {
  return `td1/${checked(domain, isDomainId)}/life/+`;
}

/** The text of a topic. @throws {TypeError} when a level has the wrong form. */
export function topicOf(topic: Topic): string {
  switch (topic.kind) {
    case 'lobby':
      return `td1/lobby/${checked(topic.to, isSlug)}`;
    case 'news':
      return `td1/news/${checked(topic.from, isSlug)}/${checked(topic.stream, isLevel)}`;
    case 'broker-control':
      return 'td1/broker/control';
    case 'broker-answer':
      return `td1/broker/answer/${checked(topic.to, isSlug)}`;
    case 'multicast':
      return `${rootOf(topic)}/m/${checked(topic.from, isSlug)}/${checked(topic.stream, isLevel)}`;
    case 'inbox':
      return `${rootOf(topic)}/in/${checked(topic.to, isSlug)}/${checked(topic.from, isSlug)}`;
    case 'log':
      return `${rootOf(topic)}/log`;
    case 'log-head':
      return `${rootOf(topic)}/log/head`;
    case 'life':
      return `${rootOf(topic)}/life/${checked(topic.from, isSlug)}`;
  }
}

function rootOf(topic: { readonly domain: string }): string {
  return `td1/${checked(topic.domain, isDomainId)}`;
}

/** What a topic says, or `undefined` when it is not one of ours. Exact inverse of {@link topicOf}. */
export function readTopic(value: string): Topic | undefined {
  if (value.length > 256) return undefined;
  const levels = value.split('/');
  const [root, second = '', third = '', fourth = '', fifth = ''] = levels;
  if (root !== 'td1' || levels.length > topicLevelsMax || !levels.every(isLevel)) return undefined;
  if (second === 'lobby')
    return levels.length === 3 && isSlug(third) ? { kind: 'lobby', to: third } : undefined;
  if (second === 'news')
    return levels.length === 4 && isSlug(third) ? { kind: 'news', from: third, stream: fourth } : undefined;
  if (second === 'broker') {
    if (value === 'td1/broker/control') return { kind: 'broker-control' };
    return levels.length === 4 && third === 'answer' && isSlug(fourth)
      ? { kind: 'broker-answer', to: fourth }
      : undefined;
  }
  const domain = second;
  if (third === 'm' && levels.length === 5 && isSlug(fourth))
    return { kind: 'multicast', domain, from: fourth, stream: fifth };
  if (third === 'in' && levels.length === 5 && isSlug(fourth) && isSlug(fifth))
    return { kind: 'inbox', domain, to: fourth, from: fifth };
  if (third === 'log' && levels.length === 3) return { kind: 'log', domain };
  if (third === 'log' && levels.length === 4 && fourth === 'head') return { kind: 'log-head', domain };
  if (third === 'life' && levels.length === 4 && isSlug(fourth))
    return { kind: 'life', domain, from: fourth };
  return undefined;
}

/** What a topic says. @throws {TopicRefused} when it is not one of ours. */
export function parseTopic(value: string): Topic {
  const topic = readTopic(value);
  if (topic === undefined) throw new TopicRefused('not a topic of fealty');
  return topic;
}

/** Whether a topic filter matches a topic (MQTT 3.1.1 §4.7: `+` one level, `#` the rest, neither matches `$…`). */
export function matches(filter: string, topic: string): boolean {
  if (topic.startsWith('$') && !filter.startsWith('$')) return false;
  const wanted = filter.split('/');
  const levels = topic.split('/');
  for (const [at, want] of wanted.entries()) {
    if (want === '#') return at === wanted.length - 1;
    const have = levels[at];
    if (have === undefined || (want !== '+' && want !== have)) return false;
  }
  return wanted.length === levels.length;
}

function checked(value: string, is: (value: string) => boolean): string {
  if (!is(value)) throw new TypeError(`not a level of a topic: \`${value.slice(0, 80)}\``);
  return value;
}
