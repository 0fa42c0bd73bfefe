import { base64url } from '../core/bytes.ts';
import { BadSignature, Malformed, messageOf } from '../core/errors.ts';
import type { Jws, JwsKind } from '../core/jws.ts';
import { readJws, signJws, verifyJwsSync } from '../core/jws.ts';
import type { Random } from '../core/platform.ts';
import { check, v } from '../core/schema.ts';
import type { PublicJwk, Signer } from '../core/signer.ts';
import { readPublicJwk } from '../core/signer.ts';
import { isAgentId, parseAgentId, trustDomainOf } from './agent-id.ts';
import type { TrustBundle } from './bundle.ts';
import { keysFor } from './bundle.ts';
import { CredentialRefused } from './errors.ts';

/** What a verified WIT says (draft-ietf-wimse-workload-creds, SPIFFE WIT-SVID). */
export interface Wit {
  /** The compact JWS it was read from. */
  readonly compact: string;
  /** The agent's identifier. */
  readonly sub: string;
  readonly trustDomain: string;
  /** The key that must sign the proof; its `alg` is ES256. */
  readonly key: PublicJwk;
  readonly jti: string;
  /** Milliseconds since 1970. */
  readonly issuedAt: number;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** What a verified client attestation says (draft-ietf-oauth-attestation-based-client-auth). */
export interface ClientAttestation {
  readonly compact: string;
  /** Who attested: the authority's issuer identifier. */
  readonly iss: string;
  /** OAuth `client_id`: the agent's identifier. */
  readonly sub: string;
  readonly key: PublicJwk;
  /** Milliseconds since 1970. */
  readonly issuedAt: number;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** What goes into a WIT. */
export interface WitRequest {
  readonly signer: Signer;
  readonly random: Random;
  /** The agent's identifier. */
  readonly sub: string;
  /** The credential key. */
  readonly key: PublicJwk;
  /** Milliseconds since 1970. */
  readonly issuedAt: number;
  /** Milliseconds since 1970; at most 24 hours after `issuedAt`. */
  readonly expiresAt: number;
}

/** Longest life of a WIT or client attestation, in milliseconds. */
export const MAX_CREDENTIAL_LIFE_MS = 24 * 3_600_000;

/** How far a clock of another machine may be ahead of ours, in milliseconds. */
export const CLOCK_SKEW_MS = 60_000;

const WIT: JwsKind = { typ: 'wit+jwt', what: 'workload identity token', maxBytes: 8_192 };
const ATTESTATION: JwsKind = {
  typ: 'oauth-client-attestation+jwt',
  what: 'client attestation',
  maxBytes: 8_192,
};

/** Signs a WIT: `sub`, `iat`, `exp`, `jti`, `cnf.jwk` with `alg`; no `aud`. @throws {Malformed} for a bad identifier. */
export function issueWit(request: WitRequest): Promise<string> {
  return signJws(request.signer, WIT.typ, {
    ...commonClaims(request),
    jti: base64url(request.random.bytes(16)),
  });
}

/** Signs a client attestation for `sub`, which is also its OAuth `client_id`. @param request.iss the authority's issuer. */
export function issueClientAttestation(request: WitRequest & { readonly iss: string }): Promise<string> {
  return signJws(request.signer, ATTESTATION.typ, {
    iss: request.iss,
    ...commonClaims(request),
    jti: base64url(request.random.bytes(16)),
  });
}

/**
 * Verifies a WIT against the bundle of the trust domain of its `sub`; nothing in the token chooses the anchor.
 *
 * @param at milliseconds since 1970.
 * @throws {CredentialRefused} `identity.credential-refused` with the rule it broke.
 */
export function verifyWit(compact: string, bundles: readonly TrustBundle[], at: number): Wit {
  const jws = read(compact, WIT);
  const payload = shaped(witClaims, jws, WIT);
  const key = confirmed(payload.cnf, WIT);
  verifyAgainst(jws, payload.sub, bundles, WIT);
  judgeTime(payload, at, WIT);
  return {
    compact,
    sub: payload.sub,
    trustDomain: trustDomainOf(payload.sub),
    key,
    jti: payload.jti ?? '',
    issuedAt: (payload.iat ?? payload.exp) * 1000,
    expiresAt: payload.exp * 1000,
  };
}

/** Verifies a client attestation, as {@link verifyWit} does. @throws {CredentialRefused} */
export function verifyClientAttestation(
  compact: string,
  bundles: readonly TrustBundle[],
  at: number,
): ClientAttestation {
  const jws = read(compact, ATTESTATION);
  const payload = shaped(attestationClaims, jws, ATTESTATION);
  const key = confirmed(payload.cnf, ATTESTATION);
  verifyAgainst(jws, payload.sub, bundles, ATTESTATION);
  judgeTime(payload, at, ATTESTATION);
  return {
    compact,
    iss: payload.iss,
    sub: payload.sub,
    key,
    issuedAt: payload.iat * 1000,
    expiresAt: payload.exp * 1000,
  };
}

const seconds = v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(253_402_300_799));
const agentId = v.custom<string>(isAgentId, 'an agent identifier');
const confirmation = v.strictObject({ jwk: v.looseObject({ alg: v.optional(v.string()) }) });
const witClaims = v.looseObject({
  sub: agentId,
  exp: seconds,
  iat: v.optional(seconds),
  jti: v.optional(v.pipe(v.string(), v.maxLength(128))),
  cnf: confirmation,
});
const attestationClaims = v.looseObject({
  iss: v.pipe(v.string(), v.minLength(1), v.maxLength(2048)),
  sub: agentId,
  exp: seconds,
  iat: seconds,
  cnf: confirmation,
});

function commonClaims(request: WitRequest): object {
  const { sub } = request;
  parseAgentId(sub);
  const life = request.expiresAt - request.issuedAt;
  if (!(life > 0 && life <= MAX_CREDENTIAL_LIFE_MS))
    throw new TypeError('`expiresAt` must be at most 24 hours after `issuedAt`');
  const { kty, crv, x, y } = readPublicJwk(request.key);
  return {
    sub,
    iat: Math.floor(request.issuedAt / 1000),
    exp: Math.floor(request.expiresAt / 1000),
    cnf: { jwk: { kty, crv, x, y, alg: 'ES256' } },
  };
}

function read(compact: string, kind: JwsKind): Jws {
  try {
    return readJws(compact, kind);
  } catch (cause) {
    if (cause instanceof Malformed) throw new CredentialRefused('malformed', cause.message, { cause });
    throw cause;
  }
}

function shaped<S extends v.GenericSchema>(schema: S, jws: Jws, kind: JwsKind): v.InferOutput<S> {
  // A WIT is not addressed to anybody; one that is could be somebody's access token (WIT-SVID §3).
  if ('aud' in jws.payload) throw new CredentialRefused('malformed', `the ${kind.what} has an \`aud\``);
  try {
    return check(schema, jws.payload, kind.what);
  } catch (cause) {
    throw new CredentialRefused('malformed', messageOf(cause), { cause });
  }
}

function confirmed(cnf: v.InferOutput<typeof confirmation>, kind: JwsKind): PublicJwk {
  const { jwk } = cnf;
  if (jwk.alg !== 'ES256')
    throw new CredentialRefused('confirmation', `the key of the ${kind.what} is not for ES256`);
  if ('d' in jwk || 'k' in jwk)
    throw new CredentialRefused('confirmation', `the ${kind.what} holds a private key`);
  try {
    return readPublicJwk(jwk);
  } catch (cause) {
    throw new CredentialRefused('confirmation', messageOf(cause), { cause });
  }
}

function verifyAgainst(jws: Jws, sub: string, bundles: readonly TrustBundle[], kind: JwsKind): void {
  const trustDomain = trustDomainOf(sub);
  if (!bundles.some((bundle) => bundle.trustDomain === trustDomain))
    throw new CredentialRefused('trust-domain', `trust domain \`${trustDomain}\` is not known here`);
  const { kid } = jws.header;
  const key = keysFor(bundles, trustDomain, 'wit-svid').find((candidate) => candidate.kid === kid);
  if (typeof kid !== 'string' || key === undefined)
    throw new CredentialRefused('key', `the ${kind.what} is signed by no key of \`${trustDomain}\``);
  try {
    verifyJwsSync(jws.compact, kind, key.jwk);
  } catch (cause) {
    if (cause instanceof BadSignature) throw new CredentialRefused('signature', cause.message, { cause });
    throw cause;
  }
}

function judgeTime(
  claims: { readonly iat?: number | undefined; readonly exp: number },
  at: number,
  kind: JwsKind,
): void {
  if (!Number.isFinite(at)) throw new TypeError('`at` must be a time');
  const { iat, exp } = claims;
  if (at >= exp * 1000) throw new CredentialRefused('expired', `the ${kind.what} has expired`);
  if (iat !== undefined && iat * 1000 > at + CLOCK_SKEW_MS)
    throw new CredentialRefused('not-yet-valid', `the ${kind.what} is from the future`);
  if (exp * 1000 - (iat === undefined ? at : iat * 1000) > MAX_CREDENTIAL_LIFE_MS)
    throw new CredentialRefused('lifetime', `the ${kind.what} lives longer than 24 hours`);
}
