import { messageOf } from '../core/errors.ts';
import type { Platform } from '../core/platform.ts';
import type { SoftwareKey } from '../core/signer.ts';
import { generateKey } from '../core/signer.ts';
import type { Grant } from '../grants/index.ts';
import type { Enrolled } from '../provisioning/index.ts';
import type { HeldToken } from '../tokens/index.ts';
import { TokenClient, verifyAccessToken } from '../tokens/index.ts';
import type { Books } from './books.ts';
import { ownersServer } from './trust.ts';

/** What a token is kept for. */
export interface KeptRequest {
  /** Default: everything the owner granted. */
  readonly authorizationDetails?: readonly Grant[] | undefined;
  /** One of the agent's own software functions that it is for (seed S1, figure 2). Default: the agent itself. */
  readonly function?: string | undefined;
}

interface Kept {
  readonly request: KeptRequest;
  readonly key: SoftwareKey | undefined;
  held: readonly string[];
  /** Identifier of the newest token. */
  token: string;
  stop: () => void;
}

/** The tokens an agent holds for itself: asked for, verified as anybody would, held by its decision point, kept fresh. */
export class OwnTokens {
  readonly client: TokenClient;
  readonly #platform: Platform;
  readonly #enrolled: () => Enrolled;
  readonly #books: Books;
  readonly #kept = new Map<string, Kept>();
  readonly #told: { authorized(token: HeldToken): void; failed(reason: string): void };

  constructor(options: {
    readonly platform: Platform;
    readonly enrolled: () => Enrolled;
    readonly books: Books;
    readonly authorized: (token: HeldToken) => void;
    readonly failed: (reason: string) => void;
  }) {
    const { platform, enrolled } = options;
    const { credentials } = enrolled();
    this.#platform = platform;
    this.#enrolled = enrolled;
    this.#books = options.books;
    this.#told = options;
    this.client = new TokenClient({
      platform,
      issuer: credentials.endpoints.authority,
      tls: {
        verifyPeer: (chain) =>
          ownersServer(enrolled().credentials, credentials.endpoints.authority, platform.clock)(chain),
      },
      credential: () => {
        const { credentials: now, keys } = enrolled();
        return { agentId: now.agentId, clientAttestation: now.clientAttestation, key: keys.credential };
      },
    });
  }

  /** Gets a token, holds its grants, and keeps both fresh until {@link drop}. */
  async keep(request: KeptRequest): Promise<HeldToken> {
    const name = request.function ?? '';
    this.drop(name);
    const kept: Kept = {
      request,
      key: request.function === undefined ? undefined : generateKey(this.#platform.random),
      held: [],
      token: '',
      stop: () => {},
    };
    const first = await this.#ask(kept);
    this.#hold(kept, first);
    this.#kept.set(name, kept);
    this.#goOn(kept);
    return first;
  }

  /** Lets go of the agent's own token, or of that of a function. */
  drop(name = ''): void {
    const kept = this.#kept.get(name);
    if (kept === undefined) return;
    kept.stop();
    this.#kept.delete(name);
    for (const id of kept.held) this.#books.permissions.pdp.remove(id);
  }

  /** The grants held by the agent's own token, or by that of a function: what may be used in its name. */
  grantsOf(name = ''): readonly string[] {
    return this.#kept.get(name)?.held ?? [];
  }

  /** After a renewal: tokens are asked for anew, with the new key. What is held goes on until then. */
  renewed(): void {
    this.client.forget();
    for (const kept of this.#kept.values()) {
      kept.stop();
      this.#goOn(kept);
    }
  }

  close(): void {
    for (const name of [...this.#kept.keys()]) this.drop(name);
    this.client.close();
  }

  #goOn(kept: Kept): void {
    kept.stop = this.client.keep(
      () => this.#ask(kept),
      (token) => {
        try {
          this.#hold(kept, token);
        } catch (error) {
          this.#told.failed(messageOf(error));
        }
      },
      (error) => this.#told.failed(messageOf(error)),
    );
  }

  #ask({ request, key }: Kept): Promise<HeldToken> {
    const { authorizationDetails } = request;
    if (request.function === undefined || key === undefined)
      return this.client.token({ authorizationDetails });
    return this.client.functionToken({
      function: request.function,
      key,
      authorizationDetails: authorizationDetails ?? [],
    });
  }

  /**
   * Grants are held under the function's name, not the token's: a fresh token takes the place of the one before, and what
   * runs under it goes on.
   */
  #hold(kept: Kept, token: HeldToken): void {
    const { pdp, time } = this.#books.permissions;
    const { credentials } = this.#enrolled();
    const { held, claims } = verifyAccessToken(token.accessToken, {
      bundles: credentials.bundles,
      audience: credentials.agentId,
      at: this.#platform.clock.now(),
      presenterJkt: token.key.kid,
      generations: this.#books.generations,
      issuer: credentials.endpoints.authority,
    });
    time.observed(claims.iat * 1000);
    for (const { grant } of held) pdp.check(grant);
    const name = kept.request.function ?? 'self';
    const grants = held.map((one, index) => ({ ...one, id: `${name}#${index}` }));
    for (const grant of grants) pdp.add(grant);
    for (const id of kept.held) if (!grants.some((grant) => grant.id === id)) pdp.remove(id);
    kept.held = grants.map(({ id }) => id);
    if (kept.token !== token.id) this.#told.authorized(token);
    kept.token = token.id;
  }
}
