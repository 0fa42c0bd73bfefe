import { base64url } from '../core/bytes.ts';
import { FealtyError, Malformed, messageOf } from '../core/errors.ts';
import { canonicalJson } from '../core/json.ts';
import { peekPayload, signJws } from '../core/jws.ts';
import { check, v } from '../core/schema.ts';
import type { Signer } from '../core/signer.ts';
import type { TrustBundle } from '../identity/bundle.ts';
import { KIND } from './claims.ts';
import { bodyOf, TokenService } from './client-http.ts';
import type {
  ClientCredential,
  FunctionRequest,
  GroupGrantRequest,
  HeldToken,
  TokenClientOptions,
  TokenRequest,
} from './client-types.ts';
import { readDetails } from './details.ts';
import { OAUTH, TOKEN_PATHS } from './endpoints.ts';
import type { Generations, GenerationsStatement } from './status.ts';
import { verifyGenerations } from './status.ts';
import { hashOf } from './verifier.ts';

const tokenAnswer = v.object({
  access_token: v.pipe(v.string(), v.minLength(16), v.maxLength(KIND.accessToken.maxBytes)),
  token_type: v.literal('DPoP'),
  expires_in: v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(86_400)),
  authorization_details: v.array(v.unknown()),
});
const groupAnswer = v.object({
  group_grant: v.pipe(v.string(), v.minLength(16), v.maxLength(KIND.groupGrant.maxBytes)),
});
const generationsAnswer = v.object({
  generations: v.pipe(v.string(), v.minLength(16), v.maxLength(KIND.generations.maxBytes)),
});

/** A token is asked for anew when less than this part of its life is left. */
const RENEW_AT = 0.25;
const CACHE_MAX = 256;

interface Cached {
  readonly token: HeldToken;
  readonly renewAt: number;
}

/**
 * The device end of the token service: tokens of the agent's own, of its functions, group grants, revocation.
 * Tokens are cached by what was asked and by key; two who ask for the same at once share one request.
 */
export class TokenClient {
  readonly #options: TokenClientOptions;
  readonly #service: TokenService;
  readonly #cache = new Map<string, Cached>();
  readonly #flying = new Map<string, Promise<HeldToken>>();
  readonly #closing = new AbortController();

  constructor(options: TokenClientOptions) {
    if (!/^https?:\/\/[^/?#]+$/.test(options.issuer))
      throw new TypeError(
        '`issuer` must be a base URL without path, such as `https://authority.example:8443`',
      );
    this.#options = options;
    this.#service = new TokenService(options);
  }

  /**
   * A token of the agent's own (OBO-self): client credentials with attestation-based authentication in the combined mode,
   * where the DPoP key is the attested key.
   *
   * @throws {IssuerRefused} {@link Unreachable}
   */
  token(request: TokenRequest = {}): Promise<HeldToken> {
    const credential = this.#options.credential();
    return this.#shared('self', credential.key, request, () =>
      this.#ask(credential, credential.key, async () => ({
        grant_type: OAUTH.clientCredentials,
        client_id: credential.agentId,
        ...common(request),
      })),
    );
  }

  /**
   * A token for one of the agent's own functions: the agent signs what it grants, the function's key redeems it
   * (RFC 7523 §2.1; the token's `act` is the function and its `cnf` the function's key).
   */
  functionToken(request: FunctionRequest): Promise<HeldToken> {
    const credential = this.#options.credential();
    return this.#shared(`function ${request.function}`, request.key, request, () =>
      this.#ask(credential, request.key, async () => ({
        grant_type: OAUTH.jwtBearer,
        client_id: credential.agentId,
        assertion: await this.#selfGrant(credential, request),
        ...common({ ...request, authorizationDetails: undefined }),
      })),
    );
  }

  /**
   * Keeps a token fresh: asks now and again whenever a quarter of its life is left, until the returned function is
   * called. `onToken` gets each; `onFailure` each failure, after which it tries again with a growing, bounded pause.
   */
  keep(
    ask: () => Promise<HeldToken>,
    onToken: (token: HeldToken) => void,
    onFailure: (error: unknown) => void = () => {},
  ): () => void {
    const { clock } = this.#options.platform;
    const stopped = new AbortController();
    const signal = AbortSignal.any([stopped.signal, this.#closing.signal]);
    const run = async () => {
      let failures = 0;
      while (!signal.aborted) {
        let pause: number;
        try {
          const token = await ask();
          if (signal.aborted) return;
          failures = 0;
          onToken(token);
          pause = Math.max(1_000, (token.expiresAt - clock.now()) * (1 - RENEW_AT) + 1);
        } catch (error) {
          if (signal.aborted) return;
          onFailure(error);
          pause = this.#jittered(Math.min(60_000, 1_000 * 2 ** failures++));
        }
        await clock.sleep(pause, signal).catch(() => {});
      }
    };
    run().catch((error: unknown) =>
      this.#options.platform.log.warn('token renewal ended', { error: messageOf(error) }),
    );
    return () => stopped.abort();
  }

  /** One grant for a whole task group. @returns the compact grant, for `verifyGroupGrant`. */
  async groupGrant(request: GroupGrantRequest): Promise<string> {
    const { clientAttestation, key } = this.#options.credential();
    const answer = await this.#service.send({
      method: 'POST',
      path: TOKEN_PATHS.groupGrant,
      attestation: clientAttestation,
      key,
      json: { task: request.task, group: request.bounds, ...(request.lifeS ? { life: request.lifeS } : {}) },
      signal: request.signal,
    });
    return check(groupAnswer, bodyOf(answer), 'answer of the token service').group_grant;
  }

  /** Ends a token or a group grant of this agent, and everything under it (RFC 7009). */
  async revoke(token: string, signal?: AbortSignal): Promise<void> {
    const { clientAttestation, key } = this.#options.credential();
    const hash = hashOf(token);
    for (const [name, { token: held }] of this.#cache) if (held.hash === hash) this.#cache.delete(name);
    await this.#service.send({
      method: 'POST',
      path: TOKEN_PATHS.revoke,
      attestation: clientAttestation,
      key,
      form: { token },
      signal,
    });
  }

  /**
   * Asks the authority what was revoked, with a nonce of our own, and writes it into `book`.
   * From then on the book is as old as the moment the nonce was sent.
   */
  async refreshGenerations(
    book: Generations,
    trust: {
      readonly trustDomain: string;
      readonly bundles: readonly TrustBundle[];
      readonly signal?: AbortSignal;
    },
  ): Promise<GenerationsStatement> {
    const { platform } = this.#options;
    const { clientAttestation, key } = this.#options.credential();
    // A long list comes in pages; only the last one says that this is all.
    for (let page = 0; page < 64; page++) {
      const nonce = base64url(platform.random.bytes(16));
      const sentAt = platform.clock.elapsed();
      const since = book.sequenceOf(trust.trustDomain);
      const answer = await this.#service.send({
        method: 'GET',
        path: `${TOKEN_PATHS.generations}?since=${since}&nonce=${nonce}`,
        attestation: clientAttestation,
        key,
        signal: trust.signal,
      });
      const { generations } = check(generationsAnswer, bodyOf(answer), 'answer of the token service');
      const statement = await verifyGenerations(generations, trust.bundles);
      if (statement.trustDomain !== trust.trustDomain)
        throw new Malformed("the generations statement is another trust domain's");
      await book.apply(statement, { nonce, sentAt });
      // Tokens the authority has just revoked are not offered to anybody again.
      if (statement.raised.length > 0) this.#cache.clear();
      if (!statement.more) return statement;
    }
    throw new Malformed('the list of revocations has no end');
  }

  /** Forgets every cached token: after a revocation or a new credential. */
  forget(): void {
    this.#cache.clear();
  }

  /** Stops what is kept fresh and forgets every token. Idempotent. */
  close(): void {
    this.#closing.abort();
    this.#cache.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #shared(
    what: string,
    key: Signer,
    request: TokenRequest,
    ask: () => Promise<HeldToken>,
  ): Promise<HeldToken> {
    if (this.#closing.signal.aborted) return Promise.reject(new TypeError('the token client is closed'));
    const { authorizationDetails, resources, txn } = request;
    const name = canonicalJson([what, key.kid, authorizationDetails ?? null, resources ?? null, txn ?? null]);
    const now = this.#options.platform.clock.now();
    const cached = this.#cache.get(name);
    if (cached !== undefined && now < cached.renewAt) return Promise.resolve(cached.token);
    const flying = this.#flying.get(name);
    if (flying !== undefined) return untilAborted(flying, request.signal);
    const asked = ask()
      .then((token) => {
        const life = token.expiresAt - this.#options.platform.clock.now();
        if (this.#cache.size >= CACHE_MAX) this.#cache.delete(this.#cache.keys().next().value ?? '');
        this.#cache.set(name, { token, renewAt: token.expiresAt - life * RENEW_AT });
        return token;
      })
      .catch((error: unknown) => {
        // The old token is still good: a service out of reach does not take it away early. A refusal does.
        const still = cached !== undefined && this.#options.platform.clock.now() < cached.token.expiresAt;
        if (still && error instanceof FealtyError && error.remedy === 'retry') return cached.token;
        this.#cache.delete(name);
        throw error;
      })
      .finally(() => this.#flying.delete(name));
    this.#flying.set(name, asked);
    return untilAborted(asked, request.signal);
  }

  async #ask(
    credential: ClientCredential,
    key: Signer,
    makeForm: () => Promise<Readonly<Record<string, string | readonly string[]>>>,
  ): Promise<HeldToken> {
    const answer = await this.#service.send({
      method: 'POST',
      path: TOKEN_PATHS.token,
      attestation: credential.clientAttestation,
      key,
      makeForm,
      // Shared by whoever asks for the same: one who gives up does not take it from the others.
      signal: this.#closing.signal,
    });
    const said = check(tokenAnswer, bodyOf(answer), 'answer of the token service');
    const { jti } = peekPayload(said.access_token);
    return {
      accessToken: said.access_token,
      key,
      authorizationDetails: readDetails(said.authorization_details),
      expiresAt: this.#options.platform.clock.now() + said.expires_in * 1000,
      id: typeof jti === 'string' ? jti : '',
      hash: hashOf(said.access_token),
    };
  }

  /** The agent as resource owner: what one of its functions may do, signed by the credential key. */
  #selfGrant(credential: ClientCredential, request: FunctionRequest): Promise<string> {
    const { clock, random } = this.#options.platform;
    if (!/^[a-z][a-z0-9-]{0,63}$/.test(request.function))
      throw new TypeError('`function` must be lower case with dashes');
    const iat = Math.floor(clock.now() / 1000);
    return signJws(credential.key, KIND.selfGrant.typ, {
      iss: credential.agentId,
      sub: credential.agentId,
      aud: this.#options.issuer,
      iat,
      exp: iat + 60,
      jti: base64url(random.bytes(16)),
      act: { sub: `${credential.agentId}#${request.function}` },
      cnf: { jkt: request.key.kid },
      authorization_details: request.authorizationDetails,
    });
  }

  /** `ms`, 20 % up or down, so that a fleet does not come back all at once. */
  #jittered(ms: number): number {
    const [byte = 128] = this.#options.platform.random.bytes(1);
    return Math.round(ms * (0.8 + (0.4 * byte) / 255));
  }
}

function common(request: TokenRequest): Readonly<Record<string, string | readonly string[]>> {
  const { authorizationDetails, resources, txn } = request;
  return {
    ...(authorizationDetails ? { authorization_details: JSON.stringify(authorizationDetails) } : {}),
    ...(resources ? { resource: resources } : {}),
    ...(txn ? { txn } : {}),
  };
}

/** `work`, unless `signal` gives up waiting for it first. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  if (signal.aborted) return Promise.reject(signal.reason as Error);
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
