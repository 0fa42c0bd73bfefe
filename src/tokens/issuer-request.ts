import { Malformed } from '../core/errors.ts';
import type { Json, JsonObject } from '../core/json.ts';
import { parseJson, parseJsonObject } from '../core/json.ts';
import { OAuthRefusal } from './issuer-errors.ts';

/** Largest body of a request, in bytes. */
export const BODY_MAX = 65_536;

const repeatable = new Set(['resource', 'audience']);

/** Parameters of a form, each once but `resource` and `audience`. */
export interface Form {
  /** The value, or `undefined` when it is absent or empty (RFC 6749 §3.2: empty counts as omitted). */
  get(name: string): string | undefined;
  all(name: string): readonly string[];
  /** @throws {OAuthRefusal} `invalid_request` */
  need(name: string): string;
}

/** Reads the body, never more than {@link BODY_MAX}. @throws {OAuthRefusal} 413 */
export async function readBody(request: Request, max: number = BODY_MAX): Promise<Uint8Array> {
  const tooLarge = () =>
    new OAuthRefusal('invalid_request', 'body-size', `the body has more than ${max} bytes`, { status: 413 });
  if (Number(request.headers.get('content-length') ?? 0) > max) throw tooLarge();
  if (request.body === null) return new Uint8Array();
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of request.body as unknown as AsyncIterable<Uint8Array>) {
    size += part.length;
    if (size > max) throw tooLarge();
    parts.push(part);
  }
  const body = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    body.set(part, at);
    at += part.length;
  }
  return body;
}

/** The form in a POST body. @throws {OAuthRefusal} `invalid_request` for another type or a repeated parameter. */
export async function readForm(request: Request): Promise<Form> {
  const type = (request.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/x-www-form-urlencoded')
    throw new OAuthRefusal('invalid_request', 'content-type', 'the body must be a form');
  const parameters = new URLSearchParams(Buffer.from(await readBody(request)).toString('utf8'));
  const seen = new Set<string>();
  for (const name of parameters.keys()) {
    if (seen.has(name) && !repeatable.has(name))
      throw new OAuthRefusal('invalid_request', 'repeated-parameter', 'a parameter appears twice');
    seen.add(name);
  }
  const get = (name: string) => parameters.get(name) || undefined;
  return {
    get,
    all: (name) => parameters.getAll(name).filter((value) => value !== ''),
    need: (name) => {
      const value = get(name);
      if (value === undefined)
        throw new OAuthRefusal('invalid_request', `${name}-missing`, `\`${name}\` is missing`);
      return value;
    },
  };
}

/** The JSON object in a POST body. @throws {OAuthRefusal} `invalid_request` */
export async function readJsonBody(request: Request): Promise<JsonObject> {
  const type = (request.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/json')
    throw new OAuthRefusal('invalid_request', 'content-type', 'the body must be JSON');
  const body = await readBody(request);
  try {
    return parseJsonObject(body, { maxBytes: BODY_MAX });
  } catch (cause) {
    throw malformed('body', cause);
  }
}

/** JSON inside a parameter. @throws {OAuthRefusal} `error` */
export function jsonParameter(source: string, error: string, check: string): Json {
  try {
    return parseJson(source);
  } catch (cause) {
    if (cause instanceof Malformed) throw new OAuthRefusal(error, check, cause.message, { cause });
    throw cause;
  }
}

/** An answer as JSON that nobody may keep (RFC 6749 §5.1). */
export function jsonResponse(
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers },
  });
}

function malformed(check: string, cause: unknown): unknown {
  return cause instanceof Malformed
    ? new OAuthRefusal('invalid_request', check, cause.message, { cause })
    : cause;
}
