import type { Signer } from '../../src/core/signer.ts';
import { makeDpop } from '../../src/tokens/dpop.ts';
import type { House, TestAgent } from './house.ts';
import { ISSUER } from './house.ts';

/** One hand-made request: whatever is left out is as an honest client would have it. */
export interface RawRequest {
  readonly path?: string;
  readonly form?: Readonly<Record<string, string>>;
  /** Instead of `form`. */
  readonly body?: string;
  readonly contentType?: string;
  readonly method?: string;
  readonly attestation?: string | null;
  readonly dpop?: string | null;
  readonly dpopKey?: Signer;
  readonly htm?: string;
  readonly htu?: string;
  readonly nonce?: string;
  readonly accessToken?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What came back. */
export interface RawAnswer {
  readonly status: number;
  readonly error: string | undefined;
  readonly check: string | undefined;
  readonly json: Readonly<Record<string, unknown>>;
  readonly headers: Headers;
  /** The proof that was sent, for replays. */
  readonly dpop: string | null;
}

/** Sends one request straight to the token service. */
export async function raw(home: House, agent: TestAgent, request: RawRequest): Promise<RawAnswer> {
  const { path = '/token', method = 'POST', attestation = agent.credential.clientAttestation } = request;
  const dpop =
    request.dpop !== undefined
      ? request.dpop
      : await makeDpop({
          signer: request.dpopKey ?? agent.key,
          platform: agent.platform,
          method: request.htm ?? method,
          url: request.htu ?? `${ISSUER}${path.split('?')[0]}`,
          nonce: request.nonce,
          accessToken: request.accessToken,
        });
  const answer = await home.issuer.handle(
    new Request(`${ISSUER}${path}`, {
      method,
      headers: {
        ...(method === 'GET'
          ? {}
          : { 'content-type': request.contentType ?? 'application/x-www-form-urlencoded' }),
        ...(attestation === null ? {} : { 'oauth-client-attestation': attestation }),
        ...(dpop === null ? {} : { dpop }),
        ...request.headers,
      },
      ...(method === 'GET'
        ? {}
        : { body: request.body ?? new URLSearchParams(request.form ?? {}).toString() }),
    }),
  );
  const text = await answer.text();
  const json = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {};
  return {
    status: answer.status,
    error: json['error'] as string | undefined,
    check: json['check'] as string | undefined,
    json,
    headers: answer.headers,
    dpop,
  };
}

/** A client credentials request for `details`. */
export function forDetails(
  agent: TestAgent,
  details: unknown,
  extra: Readonly<Record<string, string>> = {},
): RawRequest {
  return {
    form: {
      grant_type: 'client_credentials',
      client_id: agent.id,
      authorization_details: JSON.stringify(details),
      ...extra,
    },
  };
}
