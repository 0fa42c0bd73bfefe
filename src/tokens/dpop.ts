import { base64url } from '../core/bytes.ts';
import { messageOf } from '../core/errors.ts';
import type { Jws } from '../core/jws.ts';
import { readJws, signJws, verifyJwsSync } from '../core/jws.ts';
import type { Clock, Random } from '../core/platform.ts';
import { check, v } from '../core/schema.ts';
import type { PublicJwk, Signer } from '../core/signer.ts';
import { readPublicJwk, thumbprint } from '../core/signer.ts';
import { KIND } from './claims.ts';
import { ProofRefused } from './errors.ts';
import type { ReplayGuard } from './replay.ts';
import { hashOf } from './verifier.ts';

/** How far `iat` of a proof may be from our clock, in milliseconds, when it carries no nonce of ours. */
export const DPOP_WINDOW_MS = 60_000;

/** What a DPoP proof is made for. */
export interface DpopRequest {
  readonly signer: Signer;
  readonly platform: { readonly clock: Clock; readonly random: Random };
  readonly method: string;
  /** The request's URL; query and fragment are left out. */
  readonly url: string;
  /** The access token the request carries, if one. */
  readonly accessToken?: string | undefined;
  /** The nonce the server gave last. */
  readonly nonce?: string | undefined;
}

/** Makes a DPoP proof (RFC 9449 §4.2). */
export function makeDpop(request: DpopRequest): Promise<string> {
  const { signer, platform, accessToken, nonce } = request;
  return signJws(
    signer,
    KIND.dpop.typ,
    {
      jti: base64url(platform.random.bytes(16)),
      htm: request.method,
      htu: bareUrl(request.url),
      iat: Math.floor(platform.clock.now() / 1000),
      ...(accessToken === undefined ? {} : { ath: hashOf(accessToken) }),
      ...(nonce === undefined ? {} : { nonce }),
    },
    { jwk: { ...signer.publicJwk } },
  );
}

/** What the server knows of the request itself. */
export interface DpopExpectations {
  readonly method: string;
  /** As configured, never from the request's `Host`. */
  readonly url: string;
  readonly accessToken?: string | undefined;
  /** Thumbprint of the only key that may sign it. Default: any key. */
  readonly jkt?: string | undefined;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Whether `nonce` is one this server gave and still honours. Default: none is. */
  readonly nonceIsOurs?: (nonce: string) => boolean;
  /** Refuse a proof without our nonce. Default: false, when `iat` is within {@link DPOP_WINDOW_MS}. */
  readonly nonceRequired?: boolean;
  readonly replay: ReplayGuard;
}

/** A DPoP proof whose every check passed. */
export interface VerifiedDpop {
  readonly jwk: PublicJwk;
  /** RFC 7638 thumbprint of the key that signed it. */
  readonly jkt: string;
  readonly jti: string;
}

const claims = v.object({
  jti: v.pipe(v.string(), v.minLength(16), v.maxLength(128)),
  htm: v.pipe(v.string(), v.maxLength(16)),
  htu: v.pipe(v.string(), v.maxLength(2048)),
  iat: v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(253_402_300_799)),
  ath: v.optional(v.pipe(v.string(), v.maxLength(64))),
  nonce: v.optional(v.pipe(v.string(), v.maxLength(256))),
});

/**
 * Verifies a DPoP proof (RFC 9449 §4.3). With our nonce the time is ours, so `iat` is not judged: a robot whose clock is
 * wrong can still prove its key.
 *
 * @throws {ProofRefused} with the name of the check.
 */
export async function verifyDpop(proof: string, expected: DpopExpectations): Promise<VerifiedDpop> {
  const { jws, jwk } = signed(proof);
  let payload: v.InferOutput<typeof claims>;
  try {
    payload = check(claims, jws.payload, KIND.dpop.what);
  } catch (cause) {
    throw new ProofRefused('claims', messageOf(cause), { cause });
  }
  const jkt = thumbprint(jwk);
  // Before anything is remembered: a stranger's proofs must not fill the replay memory.
  if (expected.jkt !== undefined && jkt !== expected.jkt)
    throw new ProofRefused('jkt', 'the DPoP proof is by another key');
  if (payload.htm !== expected.method)
    throw new ProofRefused('method', 'the DPoP proof is for another method');
  if (!sameUrl(payload.htu, expected.url))
    throw new ProofRefused('url', 'the DPoP proof is for another address');
  const ath = expected.accessToken === undefined ? undefined : hashOf(expected.accessToken);
  if (payload.ath !== ath) throw new ProofRefused('ath', 'the DPoP proof is not for this access token');
  const fresh = payload.nonce !== undefined && (expected.nonceIsOurs?.(payload.nonce) ?? false);
  if (payload.nonce !== undefined && !fresh)
    throw new ProofRefused('nonce', 'the nonce is not one of ours, or too old');
  if (!fresh && expected.nonceRequired) throw new ProofRefused('nonce-required', 'a nonce is required');
  if (!fresh && Math.abs(payload.iat * 1000 - expected.at) > DPOP_WINDOW_MS)
    throw new ProofRefused('iat', 'the DPoP proof is not of now');
  // With a nonce it can be shown as long as the nonce lives; the same five minutes bound both.
  await expected.replay.admit({ id: `dpop:${jkt}:${payload.jti}`, forMs: 300_000, nonce: fresh });
  return { jwk, jkt, jti: payload.jti };
}

function signed(proof: string): { readonly jws: Jws; readonly jwk: PublicJwk } {
  let jwk: PublicJwk;
  let jws: Jws;
  try {
    jws = readJws(proof, KIND.dpop);
    const header = jws.header['jwk'];
    if (typeof header === 'object' && header !== null && ('d' in header || 'k' in header))
      throw new ProofRefused('key', 'the DPoP proof holds a private key');
    jwk = readPublicJwk(header);
  } catch (cause) {
    if (cause instanceof ProofRefused) throw cause;
    throw new ProofRefused('form', messageOf(cause), { cause });
  }
  try {
    verifyJwsSync(proof, KIND.dpop, jwk);
  } catch (cause) {
    throw new ProofRefused('signature', messageOf(cause), { cause });
  }
  return { jws, jwk };
}

/** `url` without query and fragment (RFC 9449 `htu`). */
function bareUrl(url: string): string {
  const parsed = new URL(url);
  return `${parsed.origin}${parsed.pathname}`;
}

function sameUrl(a: string, b: string): boolean {
  try {
    const parsed = new URL(a);
    return parsed.search === '' && parsed.hash === '' && parsed.username === '' && bareUrl(a) === bareUrl(b);
  } catch {
    return false;
  }
}
