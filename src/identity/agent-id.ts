import { Malformed } from '../core/errors.ts';

/** The two parts of an agent's identifier. */
export interface AgentId {
  /** The whole URI: the only thing that is ever compared. */
  readonly uri: string;
  readonly scheme: 'spiffe' | 'wimse';
  /** Lower-case name, for example `fleet.example`. */
  readonly trustDomain: string;
  /** Begins with `/`, at least one segment. */
  readonly path: string;
}

const MAX_BYTES = 2048;
const PATTERN = /^(spiffe|wimse):\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)+)$/;

/**
 * Reads an agent identifier: `spiffe://<trust domain>/<path>` or `wimse://…` (SPIFFE-ID §2, draft-ietf-wimse-identifier §4).
 * No query, fragment, user, port, IP address, percent-encoding, dot segment or trailing slash; at most 2,048 bytes.
 *
 * @throws {Malformed}
 */
export function parseAgentId(uri: unknown): AgentId {
  if (typeof uri !== 'string') throw new Malformed('an agent identifier is text');
  if (uri.length > MAX_BYTES) throw new Malformed(`an agent identifier has at most ${MAX_BYTES} bytes`);
  const match = PATTERN.exec(uri);
  if (match === null) throw new Malformed('not an agent identifier (`spiffe://trust-domain/path`)');
  const [, scheme = '', trustDomain = '', path = ''] = match;
  checkTrustDomain(trustDomain);
  if (path.split('/').some((segment) => segment === '.' || segment === '..'))
    throw new Malformed('an agent identifier has no dot segments');
  return { uri, scheme: scheme === 'wimse' ? 'wimse' : 'spiffe', trustDomain, path };
}

/** Whether {@link parseAgentId} accepts `uri`. */
export function isAgentId(uri: unknown): uri is string {
  try {
    parseAgentId(uri);
    return true;
  } catch {
    return false;
  }
}

/** The trust domain of an agent identifier. @throws {Malformed} */
export function trustDomainOf(uri: string): string {
  return parseAgentId(uri).trustDomain;
}

/**
 * `name` when it can name a trust domain (lower-case letters, digits, `.`, `-`, `_`; no IP address).
 *
 * @throws {Malformed}
 */
export function checkTrustDomain(name: string): string {
  if (!/^[a-z0-9._-]{1,255}$/.test(name)) throw new Malformed('not a trust domain name');
  // Anything whose last label is a number would be read as an IPv4 address by some URI libraries.
  if (/^(?:.*\.)?(?:\d+|0x[0-9a-f]*)\.?$/.test(name))
    throw new Malformed('a trust domain is not an IP address');
  return name;
}

/** The identifier of agent `name` in `trustDomain`: `spiffe://<trust domain>/agent/<name>`. @throws {Malformed} */
export function agentIdOf(trustDomain: string, name: string): string {
  return parseAgentId(`spiffe://${trustDomain}/agent/${name}`).uri;
}
