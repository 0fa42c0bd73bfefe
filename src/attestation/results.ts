import { base64url, utf8 } from '../core/bytes.ts';
import { BadSignature, Malformed } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import type { Jws } from '../core/jws.ts';
import { readJws, verifyJwsSync } from '../core/jws.ts';
import { check, v } from '../core/schema.ts';
import type { TrustBundle } from '../identity/bundle.ts';
import { keysFor } from '../identity/bundle.ts';
import { EarRefused } from './errors.ts';

/** Profile of our attestation results (draft-ietf-rats-ear). */
export const EAR_PROFILE = 'tag:ietf.org,2026:rats/ear#03';

/** `typ` of an attestation result. */
export const EAR_TYP = 'eat+jwt';

/** Name of the one submodule in our results. */
export const EAR_SUBMODULE = 'fealty/agent';

/** A tier of AR4SI, from unknown to bad. */
export type EarStatus = 'none' | 'affirming' | 'warning' | 'contraindicated';

/** AR4SI claims of the trustworthiness vector (draft-ietf-rats-ar4si §2.3). */
export const TRUST_CLAIMS = [
  'instance-identity',
  'configuration',
  'executables',
  'file-system',
  'hardware',
  'runtime-opaque',
  'storage-opaque',
  'sourced-data',
] as const;
/** One of {@link TRUST_CLAIMS}. */
export type TrustClaim = (typeof TRUST_CLAIMS)[number];

/** The verifier's opinion by claim: 0 none, 2 to 31 affirming, 32 to 95 warning, 96 and above contraindicated. */
export type TrustVector = Readonly<Partial<Record<TrustClaim, number>>>;

/** What a verifier found out about one agent: the posture that conditions and issuers look at. */
export interface AttestationResult {
  /** The agent it is about: `sub`. */
  readonly agentId: string;
  /** RFC 7638 thumbprint of the agent's LDevID key: `cnf.jkt`. */
  readonly ldevid: string;
  readonly status: EarStatus;
  readonly vector: TrustVector;
  /** Policies that were applied. */
  readonly policies: readonly string[];
  /** The verifier's nonce of that round trip, base64url. */
  readonly nonce: string;
  /** When the verifier appraised, milliseconds since 1970: the age of a posture counts from here. */
  readonly issuedAt: number;
  readonly expiresAt: number;
  /** SHA-256 of the compact JWT, base64url, as transcripts and logs name it. */
  readonly hash: string;
}

/** The tier of one claim's value (AR4SI §2.3.2: the four nearest to zero of either sign say nothing). */
export function tierOf(value: number): EarStatus {
  const size = Math.abs(value);
  if (size < 2) return 'none';
  if (size < 32) return 'affirming';
  return size < 96 ? 'warning' : 'contraindicated';
}

const rank: Readonly<Record<EarStatus, number>> = { affirming: 0, none: 1, warning: 2, contraindicated: 3 };

/** Whether `status` is at least as good as `least` (affirming > none > warning > contraindicated). */
export function isAtLeast(status: EarStatus, least: EarStatus): boolean {
  return rank[status] <= rank[least];
}

const trustValue = v.pipe(v.number(), v.integer(), v.minValue(-128), v.maxValue(127));
const numericDate = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(253_402_300_799));
const statusSchema = v.picklist(['none', 'affirming', 'warning', 'contraindicated']);

const submodule = v.object({
  ear_status: statusSchema,
  ear_trustworthiness_vector: v.strictObject(
    Object.fromEntries(TRUST_CLAIMS.map((claim) => [claim, v.optional(trustValue)])) as Record<
      TrustClaim,
      v.OptionalSchema<typeof trustValue, undefined>
    >,
  ),
  ear_appraisal_policy_ids: v.pipe(v.array(v.pipe(v.string(), v.maxLength(256))), v.maxLength(8)),
});

const claims = v.object({
  eat_profile: v.string(),
  iss: v.pipe(v.string(), v.maxLength(2048)),
  sub: v.pipe(v.string(), v.maxLength(2048)),
  cnf: v.strictObject({ jkt: v.pipe(v.string(), v.length(43)) }),
  iat: numericDate,
  exp: numericDate,
  eat_nonce: v.pipe(v.string(), v.minLength(11), v.maxLength(88)),
  ear_verifier_id: v.object({ developer: v.string(), build: v.string() }),
  submods: v.strictObject({ [EAR_SUBMODULE]: submodule }),
});

/** What a reader demands of an attestation result. */
export interface EarExpectations {
  /** Trust anchors; the verifier's key must be one for `fealty/verifier` in the agent's own trust domain. */
  readonly bundles: readonly TrustBundle[];
  /** Trust domain whose verifier must have signed: that of the agent it is about. */
  readonly trustDomain: string;
  /** The whole identifier of the agent that shows it. */
  readonly agentId: string;
  /** Thumbprint of the LDevID key of the agent that shows it, where the reader knows it. */
  readonly ldevid?: string | undefined;
  /** The nonce that must be in it, base64url, where freshness matters. */
  readonly nonce?: string | undefined;
  /** Now, milliseconds since 1970. */
  readonly at: number;
  /** How far clocks may differ, in milliseconds. Default: 60,000. */
  readonly skewMs?: number | undefined;
}

/**
 * Verifies an attestation result and that it is about the agent that shows it; synchronous, for the message path.
 *
 * A result is signed for one identifier and one LDevID key, so that nobody can attach another's.
 * A *bad* status is not an error here: who asks decides what the status is good for.
 *
 * @throws {EarRefused} naming the check.
 */
export function verifyEar(ear: string, expected: EarExpectations): AttestationResult {
  const kind = { typ: EAR_TYP, what: 'attestation result', maxBytes: 8192 };
  const jws = form(() => readJws(ear, kind));
  const keys = keysFor(expected.bundles, expected.trustDomain, 'fealty/verifier');
  const key = keys.find((candidate) => candidate.kid === jws.header['kid']);
  if (key === undefined) throw new EarRefused('signature', 'no verifier of that trust domain has that key');
  try {
    verifyJwsSync(ear, kind, key.jwk);
  } catch (cause) {
    if (cause instanceof BadSignature) throw new EarRefused('signature', cause.message, { cause });
    throw cause;
  }
  const result = form(() => resultOf(jws));
  const skew = expected.skewMs ?? 60_000;
  if (result.agentId !== expected.agentId) throw new EarRefused('subject', 'it is about another agent');
  if (expected.ldevid !== undefined && result.ldevid !== expected.ldevid)
    throw new EarRefused('key', 'it is about another LDevID key');
  if (expected.nonce !== undefined && result.nonce !== expected.nonce)
    throw new EarRefused('nonce', 'it answers another nonce');
  if (result.issuedAt > expected.at + skew) throw new EarRefused('not-yet', 'it comes from the future');
  if (result.expiresAt <= expected.at - skew) throw new EarRefused('expired', 'it has expired');
  return result;
}

function form<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof Malformed) throw new EarRefused('form', cause.message, { cause });
    throw cause;
  }
}

/** The result in an EAR whose signature has been verified, or that its own verifier just made. */
function resultOf(jws: Jws): AttestationResult {
  if (jws.payload['eat_profile'] !== EAR_PROFILE)
    throw new EarRefused('profile', 'it has another profile than ours');
  const payload = check(claims, jws.payload, 'attestation result');
  const module = payload.submods[EAR_SUBMODULE];
  return {
    agentId: payload.sub,
    ldevid: payload.cnf.jkt,
    status: module.ear_status,
    vector: module.ear_trustworthiness_vector as TrustVector,
    policies: module.ear_appraisal_policy_ids,
    nonce: payload.eat_nonce,
    issuedAt: payload.iat * 1000,
    expiresAt: payload.exp * 1000,
    hash: base64url(sha256(utf8(jws.compact))),
  };
}
