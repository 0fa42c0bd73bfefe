import { concat } from './bytes.ts';
import { FealtyError, Malformed } from './errors.ts';
import type { Log } from './platform.ts';

/** The body of a request, at most `maxBytes` long; reading stops where it gets longer. @throws {Malformed} */
export async function readBody(request: Request, maxBytes: number): Promise<Uint8Array> {
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes)
    throw new Malformed(`a request of more than ${maxBytes} bytes`);
  const parts: Uint8Array[] = [];
  let length = 0;
  if (request.body === null) return new Uint8Array();
  for await (const part of request.body as unknown as AsyncIterable<Uint8Array>) {
    length += part.length;
    if (length > maxBytes) throw new Malformed(`a request of more than ${maxBytes} bytes`);
    parts.push(part);
  }
  return concat(...parts);
}

/** A refusal as HTTP answers it (RFC 9457). `check` names what did not hold. */
export function problem(status: number, title: string, detail?: string, check?: string): Response {
  return new Response(JSON.stringify({ title, status, detail, check }), {
    status,
    headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store' },
  });
}

/**
 * The answer to a request that ended in `error`: 403 with the name of the check where the error has one, 400 for a
 * message that has no form, 503 for what may be better later, and for everything else 500 without a word of why.
 */
export function problemOf(error: unknown, log: Log): Response {
  if (error instanceof FealtyError) {
    const check = 'check' in error && typeof error.check === 'string' ? error.check : undefined;
    if (check !== undefined) return problem(403, error.code, error.message, check);
    if (error instanceof Malformed) return problem(400, error.code, error.message);
    if (error.remedy === 'retry') {
      log.warn('a request failed', { code: error.code });
      return problem(503, error.code);
    }
  }
  log.warn('a request failed unexpectedly', {
    error: error instanceof Error ? error.message : String(error),
  });
  return problem(500, 'core.failed');
}
