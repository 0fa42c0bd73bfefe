import { utf8 } from '../core/bytes.ts';
import { FealtyError, Malformed } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { parseJsonObject } from '../core/json.ts';
import type { HttpResponse } from '../core/platform.ts';
import { check, v } from '../core/schema.ts';
import type { Signer } from '../core/signer.ts';
import type { TokenClientOptions } from './client-types.ts';
import { makeDpop } from './dpop.ts';
import { OAUTH } from './endpoints.ts';
import { IssuerRefused } from './errors.ts';

/** One request to the token service. */
export interface ServiceRequest {
  readonly method: 'GET' | 'POST';
  /** Below the base URL, with a query if there is one. */
  readonly path: string;
  readonly attestation: string;
  /** Signs the DPoP proof. */
  readonly key: Signer;
  readonly form?: Readonly<Record<string, string | readonly string[]>> | undefined;
  readonly json?: object | undefined;
  /** Made anew for each attempt, so that single-use assertions are never sent twice. */
  readonly makeForm?: (() => Promise<Readonly<Record<string, string | readonly string[]>>>) | undefined;
  readonly signal?: AbortSignal | undefined;
}

const errorSchema = v.object({
  error: v.pipe(v.string(), v.maxLength(128)),
  error_description: v.optional(v.pipe(v.string(), v.maxLength(1024))),
  check: v.optional(v.pipe(v.string(), v.maxLength(128))),
});

/** Speaks to the token service: attestation and DPoP on each request, and the nonce it asks for (RFC 9449 §8). */
export class TokenService {
  readonly #options: TokenClientOptions;
  #nonce: string | undefined;

  constructor(options: TokenClientOptions) {
    this.#options = options;
  }

  /** @throws {IssuerRefused} {@link Unreachable} */
  async send(request: ServiceRequest): Promise<HttpResponse> {
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#once(request);
      if (answer.status < 400) return answer;
      const refusal = refusalOf(answer);
      // A nonce we did not have is given with the refusal, so one more attempt is enough.
      if (refusal.error !== 'use_dpop_nonce' || attempt > 1) throw refusal;
    }
  }

  async #once(request: ServiceRequest): Promise<HttpResponse> {
    const { platform, issuer, tls } = this.#options;
    const url = `${issuer}${request.path}`;
    const proof = await makeDpop({
      signer: request.key,
      platform,
      method: request.method,
      url,
      nonce: this.#nonce,
    });
    const form = request.makeForm === undefined ? request.form : await request.makeForm();
    const body = form === undefined ? request.json && JSON.stringify(request.json) : encodeForm(form);
    const answer = await platform.network.request({
      method: request.method,
      url,
      headers: {
        accept: 'application/json',
        [OAUTH.attestationHeader]: request.attestation,
        [OAUTH.dpopHeader]: proof,
        ...(body === undefined
          ? {}
          : {
              'content-type': form === undefined ? 'application/json' : 'application/x-www-form-urlencoded',
            }),
      },
      body: body === undefined ? undefined : utf8(body),
      tls,
      signal: request.signal,
    });
    const nonce = answer.headers[OAUTH.nonceHeader];
    if (nonce !== undefined && nonce.length <= 256) this.#nonce = nonce;
    return answer;
  }
}

/** The JSON object of an answer. @throws {Malformed} */
export function bodyOf(answer: HttpResponse): JsonObject {
  if (!(answer.headers['content-type'] ?? '').startsWith('application/json'))
    throw new Malformed('the answer of the token service is not JSON');
  return parseJsonObject(answer.body, { maxBytes: 1 << 20 });
}

function refusalOf(answer: HttpResponse): IssuerRefused {
  try {
    const said = check(errorSchema, bodyOf(answer), 'error of the token service');
    return new IssuerRefused(
      said.error,
      answer.status,
      said.check,
      `the token service refused: \`${said.error}\`${said.error_description ? ` (${said.error_description})` : ''}`,
    );
  } catch (cause) {
    if (!(cause instanceof FealtyError)) throw cause;
    return new IssuerRefused(
      'server_error',
      answer.status,
      undefined,
      `the token service answered ${answer.status}`,
    );
  }
}

function encodeForm(form: Readonly<Record<string, string | readonly string[]>>): string {
  const out = new URLSearchParams();
  for (const [name, value] of Object.entries(form))
    for (const one of typeof value === 'string' ? [value] : value) out.append(name, one);
  return out.toString();
}
