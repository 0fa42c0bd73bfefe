import { base64url, fromBase64url, text, utf8 } from './bytes.ts';
import { BadSignature, Malformed } from './errors.ts';
import { verifyCompact } from './jose.ts';
import type { JsonObject } from './json.ts';
import { parseJsonObject } from './json.ts';
import type { PublicJwk, Signer } from './signer.ts';
import { verifySignature } from './signer.ts';

/** A compact JWS that has the right form; its signature is *not* yet verified. */
export interface Jws {
  readonly compact: string;
  readonly header: JsonObject;
  readonly payload: JsonObject;
}

/** What a reader expects of one kind of token. */
export interface JwsKind {
  /** The only `typ` accepted, lower case, for example `wit+jwt`. */
  readonly typ: string;
  /** Words for errors, for example `access token`. */
  readonly what: string;
  /** Largest size in bytes. Default: 16,384. */
  readonly maxBytes?: number;
}

/**
 * The strict reader in front of every verifier: three parts of canonical base64url, `alg` ES256, `typ` as expected,
 * no duplicate members, no `crit`, no `b64`, bounded size (RFC 7515, RFC 8725).
 *
 * @throws {Malformed}
 */
export function readJws(compact: string, kind: JwsKind): Jws {
  const { maxBytes = 16_384, what } = kind;
  if (typeof compact !== 'string') throw new Malformed(`the ${what} is not a string`);
  if (compact.length > maxBytes) throw new Malformed(`the ${what} has more than ${maxBytes} bytes`);
  const parts = compact.split('.');
  const [head, body, signature] = parts;
  if (parts.length !== 3 || !head || !body || !signature)
    throw new Malformed(`the ${what} is not a compact JWS`);
  try {
    if (fromBase64url(signature).length !== 64) throw new Malformed('an ES256 signature has 64 bytes');
    const header = parseJsonObject(fromBase64url(head), { maxBytes });
    const payload = parseJsonObject(fromBase64url(body), { maxBytes });
    if (header['alg'] !== 'ES256') throw new Malformed('`alg` is not ES256');
    if (typeof header['typ'] !== 'string' || header['typ'].toLowerCase() !== kind.typ)
      throw new Malformed(`\`typ\` is not ${kind.typ}`);
    if ('crit' in header || 'b64' in header) throw new Malformed('`crit` and `b64` are not understood');
    return { compact, header, payload };
  } catch (cause) {
    if (cause instanceof Malformed)
      throw new Malformed(`the ${what} is refused: ${cause.message}`, { cause });
    throw cause;
  }
}

/** Reads and verifies. @throws {Malformed} {@link BadSignature} */
export async function verifyJws(compact: string, kind: JwsKind, key: PublicJwk): Promise<Jws> {
  const jws = readJws(compact, kind);
  await verifyCompact(compact, key, kind.what);
  return jws;
}

/** {@link verifyJws} on the message path: synchronous, 62 µs. */
export function verifyJwsSync(compact: string, kind: JwsKind, key: PublicJwk): Jws {
  const jws = readJws(compact, kind);
  const dot = compact.lastIndexOf('.');
  if (!verifySignature(key, utf8(compact.slice(0, dot)), fromBase64url(compact.slice(dot + 1))))
    throw new BadSignature(kind.what);
  return jws;
}

/** Signs `payload` as a compact JWS. `header` may add `kid`, `jwk` …; `alg` and `typ` are set here. */
export async function signJws(
  signer: Signer,
  typ: string,
  payload: object,
  header: Readonly<Record<string, unknown>> = { kid: signer.kid },
): Promise<string> {
  const head = base64url(utf8(JSON.stringify({ ...header, alg: signer.alg, typ })));
  const input = `${head}.${base64url(utf8(JSON.stringify(payload)))}`;
  return `${input}.${base64url(await signer.sign(utf8(input)))}`;
}

/** The payload of a JWS without any check, to find out *which* key should verify it (for example by `sub`). */
export function peekPayload(compact: string): JsonObject {
  const body = compact.split('.')[1] ?? '';
  return parseJsonObject(text(fromBase64url(body)));
}
