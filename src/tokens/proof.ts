import { base64url } from '../core/bytes.ts';
import { messageOf } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import type { Jws } from '../core/jws.ts';
import { readJws, signJws, verifyJwsSync } from '../core/jws.ts';
import { PREFIX } from '../core/names.ts';
import type { Clock, Random } from '../core/platform.ts';
import { check, v } from '../core/schema.ts';
import type { PublicJwk, Signer } from '../core/signer.ts';
import { KIND, PROOF_CLAIM } from './claims.ts';
import { ProofRefused } from './errors.ts';
import type { ReplayGuard } from './replay.ts';
import { hashOf } from './verifier.ts';

/** What a workload proof token covers besides the WIT: everything that travels with it, each member exactly. */
export interface ProofBindings {
  /** Access token in the same message: `ath`. */
  readonly accessToken?: string | undefined;
  /** Transaction token in the same message: `tth`. */
  readonly transactionToken?: string | undefined;
  /** Other tokens in the message by lower-case header name: `oth`. */
  readonly otherTokens?: Readonly<Record<string, string>> | undefined;
  readonly topic?: string | undefined;
  readonly payload?: Uint8Array | undefined;
  readonly responseTopic?: string | undefined;
  readonly correlation?: string | undefined;
  /** Hash of a handshake's transcript, 32 bytes. */
  readonly transcript?: Uint8Array | undefined;
  /** The receiver's nonce. */
  readonly nonce?: string | undefined;
}

/** What {@link makeWpt} needs. */
export interface ProofRequest extends ProofBindings {
  /** The WIT's `cnf` key. */
  readonly signer: Signer;
  readonly platform: { readonly clock: Clock; readonly random: Random };
  /** For whom: an agent identifier, a domain or a target URI, as both ends are configured. */
  readonly audience: string;
  readonly wit: string;
  /** Seconds it lives. Default: 60; at most 300. */
  readonly lifeS?: number | undefined;
}

/** Longest life of a workload proof token, in seconds. */
export const PROOF_LIFE_MAX_S = 300;

/** Makes a workload proof token (`wpt+jwt`, draft-ietf-wimse-wpt). */
export function makeWpt(request: ProofRequest): Promise<string> {
  const { platform, lifeS = 60 } = request;
  if (!(lifeS > 0 && lifeS <= PROOF_LIFE_MAX_S))
    throw new TypeError(`\`lifeS\` must be between 1 and ${PROOF_LIFE_MAX_S}`);
  return signJws(
    request.signer,
    KIND.wpt.typ,
    {
      aud: request.audience,
      exp: Math.floor(platform.clock.now() / 1000) + lifeS,
      jti: base64url(platform.random.bytes(16)),
      wth: hashOf(request.wit),
      ...claimsOf(request),
    },
    {},
  );
}

/** What the receiver knows of the message itself. */
export interface ProofExpectations extends ProofBindings {
  readonly audience: string;
  /** The verified WIT that came with it, and its key. */
  readonly wit: { readonly compact: string; readonly key: PublicJwk };
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly replay: ReplayGuard;
}

/**
 * Verifies a workload proof token: signed by the WIT's key, for this receiver, alive, not seen before, and covering
 * exactly the tokens and the message it came with. Neither a missing nor an unknown binding is accepted.
 *
 * @throws {ProofRefused} with the name of the check.
 */
export async function verifyWpt(
  proof: string,
  expected: ProofExpectations,
): Promise<{ readonly jti: string }> {
  const { wit, at } = expected;
  let jws: Jws;
  try {
    jws = readJws(proof, KIND.wpt);
  } catch (cause) {
    throw new ProofRefused('form', messageOf(cause), { cause });
  }
  try {
    verifyJwsSync(proof, KIND.wpt, wit.key);
  } catch (cause) {
    throw new ProofRefused('signature', messageOf(cause), { cause });
  }
  let payload: v.InferOutput<typeof common>;
  try {
    payload = check(common, jws.payload, KIND.wpt.what);
  } catch (cause) {
    throw new ProofRefused('claims', messageOf(cause), { cause });
  }
  if (payload.aud !== expected.audience)
    throw new ProofRefused('audience', 'the proof is for another receiver');
  if (at >= payload.exp * 1000) throw new ProofRefused('expired', 'the proof has expired');
  if (payload.exp * 1000 - at > (PROOF_LIFE_MAX_S + 60) * 1000)
    throw new ProofRefused('life', 'the proof lives too long');
  if (payload.wth !== hashOf(wit.compact))
    throw new ProofRefused('wth', 'the proof is for another identity token');
  const due = claimsOf(expected);
  for (const [name, failure] of covered)
    if (!same(jws.payload[name], due[name]))
      throw new ProofRefused(failure, `\`${name}\` of the proof does not fit the message`);
  for (const name of Object.keys(jws.payload))
    if (name.startsWith(PREFIX) && !(name in due))
      throw new ProofRefused('binding', 'the proof binds something this message does not have');
  await expected.replay.admit({
    id: `wpt:${payload.wth}:${payload.jti}`,
    forMs: Math.min(payload.exp * 1000 - at, PROOF_LIFE_MAX_S * 1000),
    nonce: expected.nonce !== undefined,
  });
  return { jti: payload.jti };
}

const common = v.object({
  aud: v.pipe(v.string(), v.maxLength(2400)),
  exp: v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(253_402_300_799)),
  jti: v.pipe(v.string(), v.minLength(22), v.maxLength(128)),
  wth: v.pipe(v.string(), v.length(43)),
});

const covered = [
  ['ath', 'ath'],
  ['tth', 'tth'],
  ['oth', 'oth'],
  [PROOF_CLAIM.topic, 'binding'],
  [PROOF_CLAIM.payload, 'binding'],
  [PROOF_CLAIM.responseTopic, 'binding'],
  [PROOF_CLAIM.correlation, 'binding'],
  [PROOF_CLAIM.transcript, 'transcript'],
  [PROOF_CLAIM.nonce, 'nonce'],
] as const;

function claimsOf(bindings: ProofBindings): Readonly<Record<string, unknown>> {
  const { accessToken, transactionToken, otherTokens, payload, transcript } = bindings;
  const all = {
    ath: accessToken && hashOf(accessToken),
    tth: transactionToken && hashOf(transactionToken),
    oth:
      otherTokens &&
      Object.fromEntries(Object.entries(otherTokens).map(([name, token]) => [name, hashOf(token)])),
    [PROOF_CLAIM.topic]: bindings.topic,
    [PROOF_CLAIM.payload]: payload && base64url(sha256(payload)),
    [PROOF_CLAIM.responseTopic]: bindings.responseTopic,
    [PROOF_CLAIM.correlation]: bindings.correlation,
    [PROOF_CLAIM.transcript]: transcript && base64url(transcript),
    [PROOF_CLAIM.nonce]: bindings.nonce,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** Equal texts, or objects with exactly the same members. */
function same(said: unknown, due: unknown): boolean {
  if (typeof said !== 'object' || said === null || typeof due !== 'object' || due === null)
    return said === due;
  const names = Object.keys(due);
  return (
    names.length === Object.keys(said).length &&
    names.every((name) => (said as Record<string, unknown>)[name] === (due as Record<string, unknown>)[name])
  );
}
