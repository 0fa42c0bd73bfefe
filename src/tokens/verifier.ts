import { base64url, utf8 } from '../core/bytes.ts';
import { messageOf } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import type { Jws, JwsKind } from '../core/jws.ts';
import { readJws, verifyJwsSync } from '../core/jws.ts';
import { CLAIM } from '../core/names.ts';
import type { PublicJwk } from '../core/signer.ts';
import type { HeldGrant } from '../grants/grant.ts';
import { trustDomainOf } from '../identity/agent-id.ts';
import type { TrustBundle } from '../identity/bundle.ts';
import { keysFor } from '../identity/bundle.ts';
import type { AccessTokenClaims, Actor, GroupBounds } from './claims.ts';
import { GROUP_CLAIM, KIND, REOPENED_CLAIM, tag } from './claims.ts';
import { readAccessTokenClaims, readGroupGrantClaims } from './claims-reader.ts';
import { TokenRefused } from './errors.ts';
import type { Generations } from './status.ts';

/** How far the authority's clock may be ahead of ours, in milliseconds. */
export const SKEW_MS = 60_000;

/** An access token whose every check passed. */
export interface VerifiedToken {
  readonly claims: AccessTokenClaims;
  /** The agent that may use it. */
  readonly client: string;
  readonly actor: Actor | undefined;
  /** One for each of its details that names this audience. */
  readonly held: readonly HeldGrant[];
  /** base64url SHA-256 of the compact token, as proofs (`ath`) and audit records name it. */
  readonly hash: string;
}

/** What the verifier of an access token knows by itself. */
export interface AccessTokenExpectations {
  readonly bundles: readonly TrustBundle[];
  /** This agent's identifier. Its trust domain's authority, and no other, may issue tokens for it. */
  readonly audience: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Thumbprint of the key with which the presenter proved possession. */
  readonly presenterJkt: string;
  readonly generations: Generations;
  /** The authority's base URL, when known. */
  readonly issuer?: string | undefined;
}

/**
 * Verifies an access token, offline: signature by an issuer key of the audience's own trust domain, audience, times,
 * presenter's key, and that nothing it stems from was revoked.
 *
 * @throws {TokenRefused} with the name of the check.
 */
export function verifyAccessToken(token: string, expected: AccessTokenExpectations): VerifiedToken {
  const { audience, at, generations } = expected;
  const jws = read(token, KIND.accessToken);
  const claims = readAccessTokenClaims(jws.payload);
  verifyBy(jws, KIND.accessToken, expected.bundles, trustDomainOf(audience));
  if (expected.issuer !== undefined && claims.iss !== expected.issuer)
    throw new TokenRefused('issuer', 'the access token names another issuer');
  if (!claims.aud.includes(audience))
    throw new TokenRefused('audience', 'the access token is for another agent');
  judgeTimes(claims, at, KIND.accessToken);
  if (claims.cnf.jkt !== expected.presenterJkt)
    throw new TokenRefused('presenter', 'the access token belongs to another key than the presenter proved');
  const held = heldOf(claims, audience);
  // A revoked device ends the details that concern it; the others live on.
  const standing = held.filter(({ tags }) => generations.revoked(tags) === undefined);
  if (held.length === 0)
    throw new TokenRefused('audience', 'no detail of the access token is for this agent');
  const raised = generations.revoked({
    ...withoutDevices(claims[CLAIM.generations]),
    [tag('token', claims.jti)]: 0,
  });
  if (raised !== undefined) throw new TokenRefused('revoked', `\`${raised}\` was revoked`);
  if (standing.length === 0)
    throw new TokenRefused('revoked', 'every device of the access token was revoked');
  return { claims, client: claims.client_id, actor: claims.act, held: standing, hash: hashOf(token) };
}

/** A group grant whose every check passed. */
export interface VerifiedGroupGrant {
  /** Its `jti`. */
  readonly id: string;
  readonly compact: string;
  /** base64url SHA-256 of the compact grant. */
  readonly hash: string;
  readonly issuer: string;
  /** Trust domain of the authority that issued it. */
  readonly trustDomain: string;
  readonly coordinator: string;
  readonly task: string;
  readonly bounds: GroupBounds;
  /** NumericDate. */
  readonly iat: number;
  readonly exp: number;
  /** Revocation tags with the generation at issue. */
  readonly tags: Readonly<Record<string, number>>;
  /** Generations of clients and devices that were revoked once and open again at issue; all others are at 0. */
  readonly reopened: Readonly<Record<string, number>>;
}

/**
 * Verifies a group grant, offline, with the issuer keys of its coordinator's trust domain.
 * Whether *this* agent lets that trust domain's groups work here is its join policy's decision.
 *
 * @throws {TokenRefused}
 */
export function verifyGroupGrant(
  token: string,
  expected: {
    readonly bundles: readonly TrustBundle[];
    /** Milliseconds since 1970. */
    readonly at: number;
    readonly generations: Generations;
    /** The agent that claims to coordinate, when known. */
    readonly coordinator?: string | undefined;
    readonly issuer?: string | undefined;
  },
): VerifiedGroupGrant {
  const jws = read(token, KIND.groupGrant);
  const claims = readGroupGrantClaims(jws.payload);
  const trustDomain = trustDomainOf(claims.sub);
  verifyBy(jws, KIND.groupGrant, expected.bundles, trustDomain);
  if (expected.issuer !== undefined && claims.iss !== expected.issuer)
    throw new TokenRefused('issuer', 'the group grant names another issuer');
  if (expected.coordinator !== undefined && claims.sub !== expected.coordinator)
    throw new TokenRefused('coordinator', "the group grant is another coordinator's");
  judgeTimes(claims, expected.at, KIND.groupGrant);
  const tags = { ...claims[CLAIM.generations], [tag('group', claims.jti)]: 0 };
  const raised = expected.generations.revoked(withoutDevices(tags));
  if (raised !== undefined) throw new TokenRefused('revoked', `\`${raised}\` was revoked`);
  return {
    id: claims.jti,
    compact: token,
    hash: hashOf(token),
    issuer: claims.iss,
    trustDomain,
    coordinator: claims.sub,
    task: claims[CLAIM.task],
    bounds: claims[GROUP_CLAIM],
    iat: claims.iat,
    exp: claims.exp,
    tags,
    reopened: claims[REOPENED_CLAIM] ?? {},
  };
}

/** base64url SHA-256 of a compact token (`ath`, `wth`, audit records). */
export function hashOf(compact: string): string {
  return base64url(sha256(utf8(compact)));
}

/** Reads strictly; a token that is malformed fails the check `form`. */
export function read(compact: string, kind: JwsKind): Jws {
  try {
    return readJws(compact, kind);
  } catch (cause) {
    throw new TokenRefused('form', messageOf(cause), { cause });
  }
}

/** Verifies the signature with `key`. @throws {TokenRefused} `signature` */
export function verifyWith(jws: Jws, kind: JwsKind, key: PublicJwk): void {
  try {
    verifyJwsSync(jws.compact, kind, key);
  } catch (cause) {
    throw new TokenRefused('signature', messageOf(cause), { cause });
  }
}

/** Times of anything with `iat` and `exp` against `at` (ms): ends exactly at `exp`. */
export function judgeTimes(
  claims: { readonly iat: number; readonly exp: number },
  at: number,
  kind: JwsKind,
): void {
  if (!Number.isFinite(at)) throw new TypeError('`at` must be a time');
  if (at >= claims.exp * 1000) throw new TokenRefused('expired', `the ${kind.what} has expired`);
  if (claims.iat * 1000 > at + SKEW_MS || claims.iat > claims.exp)
    throw new TokenRefused('not-yet-valid', `the ${kind.what} is from the future`);
}

function verifyBy(jws: Jws, kind: JwsKind, bundles: readonly TrustBundle[], trustDomain: string): void {
  if (!bundles.some((bundle) => bundle.trustDomain === trustDomain))
    throw new TokenRefused('trust-domain', `trust domain \`${trustDomain}\` is not known here`);
  const { kid } = jws.header;
  const key = keysFor(bundles, trustDomain, 'fealty/issuer').find((known) => known.kid === kid);
  if (key === undefined)
    throw new TokenRefused('key', `the ${kind.what} is signed by no issuer key of \`${trustDomain}\``);
  verifyWith(jws, kind, key.jwk);
}

/** The details of a token that `audience` enforces, as it holds them. */
function heldOf(claims: AccessTokenClaims, audience: string): HeldGrant[] {
  const common = withoutDevices(claims[CLAIM.generations]);
  return claims.authorization_details.flatMap((grant, index): HeldGrant[] => {
    if (!grant.locations.includes(audience)) return [];
    const device = tag('device', `${audience}#${grant.device}`);
    return [
      {
        id: `${claims.jti}#${index}`,
        grant,
        subject: claims.client_id,
        family: claims[CLAIM.family][index] ?? claims.jti,
        ancestors: [],
        tags: {
          ...common,
          [tag('token', claims.jti)]: 0,
          [device]: claims[CLAIM.generations][device] ?? 0,
        },
        exp: claims.exp,
      },
    ];
  });
}

/** Tags that end a token as a whole: all but those of single devices. */
export function withoutDevices(tags: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(tags).filter(([name]) => !name.startsWith('device:')));
}
