import type { Platform, TlsOptions } from '../core/platform.ts';
import type { Signer } from '../core/signer.ts';
import type { Grant } from '../grants/grant.ts';
import type { GroupBounds } from './claims.ts';

/** The agent's credential as the client needs it; asked for anew at each request, because it is renewed. */
export interface ClientCredential {
  readonly agentId: string;
  /** `oauth-client-attestation+jwt`; its `cnf` is `key`. */
  readonly clientAttestation: string;
  readonly key: Signer;
}

/** How a {@link TokenClient} is made. */
export interface TokenClientOptions {
  readonly platform: Platform;
  /** Base URL of the authority, which is also its issuer identifier. */
  readonly issuer: string;
  /** How the authority's TLS certificate is judged; needed for `https`. */
  readonly tls?: TlsOptions | undefined;
  readonly credential: () => ClientCredential;
}

/** What a token is asked for. */
export interface TokenRequest {
  /** What it should allow. Default: everything the owner granted this agent. */
  readonly authorizationDetails?: readonly Grant[] | undefined;
  /** Agents that will enforce it (RFC 8707 `resource`). Default: the locations of the details. */
  readonly resources?: readonly string[] | undefined;
  /** Transaction it is for; it travels through every hop. */
  readonly txn?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What one of the agent's own software functions is to be given (the agent is the resource owner). */
export interface FunctionRequest extends TokenRequest {
  /** Name of the function, lower case with dashes; the actor is `<agent>#<name>`. */
  readonly function: string;
  /** The function's own key, held by the runtime. */
  readonly key: Signer;
  /** What the agent lets it do. */
  readonly authorizationDetails: readonly Grant[];
}

/** A token with the key it is bound to. */
export interface HeldToken {
  readonly accessToken: string;
  /** `DPoP` proofs and handshakes use this key. */
  readonly key: Signer;
  /** What was granted. */
  readonly authorizationDetails: readonly Grant[];
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
  /** `jti`, for records. */
  readonly id: string;
  /** base64url SHA-256 of the token, for records and proofs. */
  readonly hash: string;
}

/** What a coordinator asks the issuer for. */
export interface GroupGrantRequest {
  readonly task: string;
  readonly bounds: GroupBounds;
  /** Seconds. Default: 14,400, or what the owner allows. */
  readonly lifeS?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}
