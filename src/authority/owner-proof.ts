import { base64url } from '../core/bytes.ts';
import { messageOf } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import type { Jws, JwsKind } from '../core/jws.ts';
import { readJws, signJws, verifyJwsSync } from '../core/jws.ts';
import type { Clock, Random } from '../core/platform.ts';
import { check, v } from '../core/schema.ts';
import type { PublicJwk, Signer } from '../core/signer.ts';
import { thumbprint } from '../core/signer.ts';
import type { ReplayStore } from '../tokens/issuer-store.ts';
import { OwnerRefused } from './errors.ts';

/** Header of an owner's request. */
export const OWNER_HEADER = 'fealty-owner-proof';

const KIND: JwsKind = { typ: 'fealty-owner+jwt', what: 'owner proof', maxBytes: 8_192 };
/** How far the owner's clock may be from the authority's, in milliseconds. */
const WINDOW_MS = 120_000;

const claims = v.strictObject({
  htm: v.picklist(['GET', 'POST', 'PUT', 'DELETE']),
  /** The whole URL, query included. */
  htu: v.pipe(v.string(), v.maxLength(4096)),
  /** SHA-256 of the body, base64url. */
  bh: v.pipe(v.string(), v.length(43)),
  iat: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  jti: v.pipe(v.string(), v.minLength(22), v.maxLength(64)),
});

/** What an owner's proof is over. */
export interface OwnerRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly body: Uint8Array;
}

/** Signs one request with the owner's key: method, whole URL, body, time, once. */
export function signOwnerRequest(
  signer: Signer,
  platform: { readonly clock: Clock; readonly random: Random },
  request: OwnerRequest,
): Promise<string> {
  return signJws(signer, KIND.typ, {
    htm: request.method,
    htu: request.url,
    bh: base64url(sha256(request.body)),
    iat: Math.floor(platform.clock.now() / 1000),
    jti: base64url(platform.random.bytes(16)),
  });
}

/**
 * Verifies an owner's proof.
 *
 * @param expected.url as the authority is configured, with this request's path and query.
 * @returns the thumbprint of the owner's key.
 * @throws {OwnerRefused} naming the check.
 */
export async function verifyOwnerRequest(
  proof: string | null,
  expected: OwnerRequest & {
    readonly owners: readonly PublicJwk[];
    /** Milliseconds since 1970. */
    readonly at: number;
    readonly replay: ReplayStore;
  },
): Promise<string> {
  if (proof === null) throw new OwnerRefused('proof-missing', 'the owner must sign this request');
  let jws: Jws;
  let said: v.InferOutput<typeof claims>;
  try {
    jws = readJws(proof, KIND);
    said = check(claims, jws.payload, KIND.what);
  } catch (cause) {
    throw new OwnerRefused('proof-form', messageOf(cause), { cause });
  }
  const owner = expected.owners.find((key) => thumbprint(key) === jws.header['kid']);
  if (owner === undefined) throw new OwnerRefused('proof-key', "the key is not an owner's");
  try {
    verifyJwsSync(proof, KIND, owner);
  } catch (cause) {
    throw new OwnerRefused('proof-signature', messageOf(cause), { cause });
  }
  if (said.htm !== expected.method) throw new OwnerRefused('proof-method', 'the proof is for another method');
  if (said.htu !== expected.url) throw new OwnerRefused('proof-url', 'the proof is for another address');
  if (said.bh !== base64url(sha256(expected.body)))
    throw new OwnerRefused('proof-body', 'the proof is for another body');
  if (Math.abs(said.iat * 1000 - expected.at) > WINDOW_MS)
    throw new OwnerRefused('proof-iat', 'the proof is not of now');
  const outcome = await expected.replay.consume(
    `owner:${thumbprint(owner)}:${said.jti}`,
    said.iat * 1000 + 2 * WINDOW_MS,
    expected.at,
  );
  if (outcome === 'replayed') throw new OwnerRefused('proof-replayed', 'the proof was shown before');
  if (outcome === 'full') throw new OwnerRefused('proof-replay-full', 'too many requests at a time');
  return thumbprint(owner);
}
