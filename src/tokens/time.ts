import { base64url } from '../core/bytes.ts';
import { messageOf } from '../core/errors.ts';
import { readJws, signJws, verifyJws } from '../core/jws.ts';
import type { Platform, TlsOptions } from '../core/platform.ts';
import { check, v } from '../core/schema.ts';
import type { PublicJwk, Signer } from '../core/signer.ts';
import { KIND } from './claims.ts';
import { bodyOf } from './client-http.ts';
import { TOKEN_PATHS } from './endpoints.ts';
import { StatementRefused } from './errors.ts';

const claims = v.strictObject({
  iss: v.pipe(v.string(), v.maxLength(2048)),
  iat: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  /** Milliseconds since 1970. */
  ms: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  nonce: v.pipe(v.string(), v.maxLength(128)),
});
const answerSchema = v.object({ time: v.pipe(v.string(), v.maxLength(KIND.time.maxBytes)) });

/** The authority's time, as it answered a nonce: what `TimeTrust.synchronised` takes. */
export interface AuthorityTime {
  /** Milliseconds since 1970, on the authority's clock. */
  readonly at: number;
  /** When the nonce was sent, on this machine's elapsed clock. */
  readonly sentAt: number;
}

/** Signs the time for whoever sent `nonce`. It says nothing but the time. */
export function signTime(
  signer: Signer,
  time: { readonly iss: string; readonly at: number; readonly nonce: string },
): Promise<string> {
  return signJws(signer, KIND.time.typ, {
    iss: time.iss,
    iat: Math.floor(time.at / 1000),
    ms: Math.floor(time.at),
    nonce: time.nonce,
  });
}

/**
 * Asks the authority what time it is, with a nonce of ours. Validity dates play no part, so that a robot that does not
 * know the time can find it out (design.md section 6, Time).
 *
 * @param from.keys status keys of the owner's trust domain, from a bundle or the voucher.
 * @throws {StatementRefused} {@link Unreachable}
 */
export async function askTime(
  platform: Pick<Platform, 'clock' | 'random' | 'network'>,
  from: {
    readonly issuer: string;
    readonly tls?: TlsOptions | undefined;
    readonly keys: readonly PublicJwk[];
    readonly signal?: AbortSignal | undefined;
  },
): Promise<AuthorityTime> {
  const nonce = base64url(platform.random.bytes(16));
  const sentAt = platform.clock.elapsed();
  const answer = await platform.network.request({
    method: 'GET',
    url: `${from.issuer}${TOKEN_PATHS.time}?nonce=${nonce}`,
    headers: { accept: 'application/json' },
    tls: from.tls,
    signal: from.signal,
  });
  let compact: string;
  let said: v.InferOutput<typeof claims>;
  try {
    compact = check(answerSchema, bodyOf(answer), 'answer').time;
    said = check(claims, readJws(compact, KIND.time).payload, KIND.time.what);
  } catch (cause) {
    throw new StatementRefused('form', messageOf(cause), { cause });
  }
  if (said.nonce !== nonce) throw new StatementRefused('nonce', 'the time does not answer this nonce');
  for (const key of from.keys) {
    try {
      await verifyJws(compact, KIND.time, key);
      return { at: said.ms, sentAt };
    } catch {
      // another key may be the one
    }
  }
  throw new StatementRefused('signature', 'the time is not signed by the authority');
}
