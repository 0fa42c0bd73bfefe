import { canonicalBytes, parseJsonObject } from '../core/json.ts';
import { readJws, verifyJwsSync } from '../core/jws.ts';
import type { Clock, Store } from '../core/platform.ts';
import { check, v } from '../core/schema.ts';
import { trustDomainOf } from '../identity/agent-id.ts';
import type { TrustBundle } from '../identity/bundle.ts';
import { keysFor } from '../identity/bundle.ts';
import { KIND } from './claims.ts';
import { StatementRefused } from './errors.ts';

/** One revocation tag whose generation was raised. */
export interface RaisedTag {
  readonly tag: string;
  /** Everything issued under a smaller generation is nothing. */
  readonly generation: number;
  /** NumericDate after which nothing issued under a smaller generation can still be valid. */
  readonly until: number;
}

/** A verified statement of the authority: which generations it raised, and when it said so. */
export interface GenerationsStatement {
  readonly issuer: string;
  readonly trustDomain: string;
  /** Rises with each revocation. */
  readonly sequence: number;
  /** It lists every change after this sequence; 0 = all. */
  readonly since: number;
  /** NumericDate. */
  readonly iat: number;
  readonly nonce?: string | undefined;
  /** True when it had no room for everything: ask again from `sequence`. */
  readonly more: boolean;
  readonly raised: readonly RaisedTag[];
}

/** How the book is opened. */
export interface GenerationsOptions {
  readonly clock: Clock;
  readonly store: Store;
  /** The agent's own trust domain: only its authority may speak about clients, devices and owners of any domain. */
  readonly trustDomain: string;
  /** Name of the stored state. Default: `generations`. */
  readonly name?: string;
}

const claims = v.object({
  iss: v.pipe(v.string(), v.maxLength(2048)),
  iat: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  sequence: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  since: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  trust_domain: v.pipe(v.string(), v.maxLength(255)),
  nonce: v.optional(v.pipe(v.string(), v.maxLength(128))),
  more: v.optional(v.boolean()),
  raised: v.pipe(
    v.array(
      v.strictObject({
        tag: v.pipe(v.string(), v.minLength(1), v.maxLength(2400)),
        generation: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
        until: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
      }),
    ),
    v.maxLength(10_000),
  ),
});

/** Verifies a generations statement with the status keys of its trust domain. @throws {StatementRefused} */
export async function verifyGenerations(
  compact: string,
  bundles: readonly TrustBundle[],
): Promise<GenerationsStatement> {
  let payload: v.InferOutput<typeof claims>;
  let kid: unknown;
  try {
    const jws = readJws(compact, KIND.generations);
    payload = check(claims, jws.payload, KIND.generations.what);
    kid = jws.header['kid'];
  } catch (cause) {
    throw new StatementRefused('form', 'the generations statement is malformed', { cause });
  }
  const key = keysFor(bundles, payload.trust_domain, 'fealty/status').find((known) => known.kid === kid);
  if (key === undefined)
    throw new StatementRefused('key', `no status key of \`${payload.trust_domain}\` signed the statement`);
  try {
    verifyJwsSync(compact, KIND.generations, key.jwk);
  } catch (cause) {
    throw new StatementRefused('signature', 'the generations statement is not signed by the authority', {
      cause,
    });
  }
  const { iss, trust_domain, sequence, since, iat, nonce, raised, more = false } = payload;
  return { issuer: iss, trustDomain: trust_domain, sequence, since, iat, nonce, more, raised };
}

interface Page {
  sequence: number;
  iat: number;
  /** `clock.elapsed()` from which its age counts; undefined after a restart. */
  heard: number | undefined;
  readonly tags: Map<string, { generation: number; until: number }>;
}

const TAGS_MAX = 100_000;

/**
 * What this machine knows of revocations: generation by tag, by the trust domain that said so. A generation never goes
 * down, also not over a restart; older statements than one seen are refused.
 */
export class Generations {
  readonly #options: GenerationsOptions;
  readonly #pages = new Map<string, Page>();
  readonly #listeners = new Set<(raised: readonly RaisedTag[]) => void>();
  #saving: Promise<void> = Promise.resolve();

  private constructor(options: GenerationsOptions) {
    this.#options = options;
  }

  /** Opens the book with what was stored. @throws {StoreFailed} {@link Malformed} when the stored state is damaged. */
  static async open(options: GenerationsOptions): Promise<Generations> {
    const book = new Generations(options);
    const stored = await options.store.read(book.#name);
    if (stored !== undefined) book.#load(stored);
    return book;
  }

  /** The smallest generation of `tag` that still counts; 0 when nothing was raised. */
  of(tag: string): number {
    let generation = 0;
    for (const page of this.#pages.values())
      generation = Math.max(generation, page.tags.get(tag)?.generation ?? 0);
    return generation;
  }

  /** The first of `tags` whose generation was raised since, or `undefined` when all still count. */
  revoked(tags: Readonly<Record<string, number>>): string | undefined {
    return Object.keys(tags).find((name) => (tags[name] ?? -1) < this.of(name));
  }

  /** Newest sequence heard from `trustDomain`; 0 when none. */
  sequenceOf(trustDomain: string): number {
    return this.#pages.get(trustDomain)?.sequence ?? 0;
  }

  /**
   * Milliseconds since the authority of `trustDomain` is known to have said what this book holds; infinity when it never
   * did. Without a nonce, and after a restart, it is judged by the wall clock.
   */
  ageMs(trustDomain: string): number {
    const page = this.#pages.get(trustDomain);
    if (page === undefined) return Number.POSITIVE_INFINITY;
    const { clock } = this.#options;
    const heard = page.heard === undefined ? Number.POSITIVE_INFINITY : clock.elapsed() - page.heard;
    const said = clock.now() - page.iat * 1000;
    // A statement from the future means that our clock is wrong, and then it says nothing about its age.
    return Math.max(0, Math.min(heard, said < -60_000 ? Number.POSITIVE_INFINITY : said));
  }

  /**
   * Applies a verified statement: raised in memory and told to listeners before this returns its promise, durable when
   * that resolves.
   *
   * @param fresh for an answer to this machine's own nonce: the nonce, and `clock.elapsed()` when it was sent.
   * @throws {StatementRefused} older than one seen, a gap, or another nonce.
   */
  apply(
    statement: GenerationsStatement,
    fresh?: { readonly nonce: string; readonly sentAt: number },
  ): Promise<void> {
    const { trustDomain, sequence, since, iat } = statement;
    if (fresh !== undefined && statement.nonce !== fresh.nonce)
      throw new StatementRefused('nonce', 'the statement does not answer this nonce');
    const page = this.#pages.get(trustDomain) ?? { sequence: 0, iat: 0, heard: undefined, tags: new Map() };
    if (sequence < page.sequence || (sequence === page.sequence && iat < page.iat && fresh === undefined))
      throw new StatementRefused(
        'rollback',
        `the statement is older than one already seen (${page.sequence})`,
      );
    if (since > page.sequence)
      throw new StatementRefused(
        'gap',
        `the statement begins after ${since}, this book ends at ${page.sequence}`,
      );
    const raised = statement.raised.filter(
      (item) =>
        this.#maySpeak(trustDomain, item.tag) && item.generation > (page.tags.get(item.tag)?.generation ?? 0),
    );
    if (page.tags.size + raised.length > TAGS_MAX)
      throw new StatementRefused('scope', `more than ${TAGS_MAX} revocations are held already`);
    for (const { tag, generation, until } of raised) page.tags.set(tag, { generation, until });
    page.sequence = sequence;
    // One that is not complete makes the book no younger. A pushed one may have been held back, so it counts from its
    // own `iat`; only an answer to our nonce counts from when we asked.
    if (!statement.more) {
      page.iat = Math.max(iat, page.iat);
      page.heard = fresh?.sentAt ?? page.heard;
    }
    this.#pages.set(trustDomain, page);
    if (raised.length > 0) for (const listener of this.#listeners) listener(raised);
    return this.#save();
  }

  /** Raises tags on this machine's own knowledge (a task ended here), before the authority says so. */
  raise(tags: readonly RaisedTag[]): Promise<void> {
    const home = this.#options.trustDomain;
    const page = this.#pages.get(home) ?? { sequence: 0, iat: 0, heard: undefined, tags: new Map() };
    const news = tags.filter((item) => item.generation > (page.tags.get(item.tag)?.generation ?? 0));
    for (const { tag, generation, until } of news) page.tags.set(tag, { generation, until });
    this.#pages.set(home, page);
    if (news.length > 0) for (const listener of this.#listeners) listener(news);
    return this.#save();
  }

  /** Calls `listener` with each raise, at once and synchronously; the result stops it. */
  onRaised(listener: (raised: readonly RaisedTag[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Forgets what can no longer matter: `until` plus a day is past at `lo`, the earliest time it can be (ms). */
  forget(lo: number): Promise<void> {
    for (const page of this.#pages.values())
      for (const [name, { until }] of page.tags) if ((until + 86_400) * 1000 < lo) page.tags.delete(name);
    return this.#save();
  }

  get #name(): string {
    return this.#options.name ?? 'generations';
  }

  /** A foreign authority may end what it issued itself, but not speak about our clients, devices and owner. */
  #maySpeak(trustDomain: string, name: string): boolean {
    if (trustDomain === this.#options.trustDomain) return true;
    const colon = name.indexOf(':');
    const kind = name.slice(0, colon);
    const value = name.slice(colon + 1);
    if (kind === 'owner') return value === trustDomain;
    if (kind !== 'client' && kind !== 'device') return true;
    try {
      return trustDomainOf(value.split('#')[0] ?? '') === trustDomain;
    } catch {
      return false;
    }
  }

  #load(stored: Uint8Array): void {
    const state = check(storedState, parseJsonObject(stored, { maxBytes: 64 << 20 }), 'stored generations');
    for (const [trustDomain, page] of Object.entries(state.pages))
      this.#pages.set(trustDomain, {
        sequence: page.sequence,
        iat: page.iat,
        heard: undefined,
        tags: new Map(page.tags.map(({ tag, generation, until }) => [tag, { generation, until }])),
      });
  }

  #save(): Promise<void> {
    const write = () =>
      this.#options.store.write(
        this.#name,
        canonicalBytes({
          version: 1,
          pages: Object.fromEntries(
            [...this.#pages].map(([trustDomain, page]) => [
              trustDomain,
              {
                sequence: page.sequence,
                iat: page.iat,
                tags: [...page.tags].map(([tag, held]) => ({ tag, ...held })),
              },
            ]),
          ),
        }),
      );
    // In order, and a failed write does not keep the next from being tried.
    this.#saving = this.#saving.then(write, write);
    return this.#saving;
  }
}

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const storedState = v.strictObject({
  version: v.literal(1),
  pages: v.record(
    v.string(),
    v.strictObject({
      sequence: whole,
      iat: whole,
      tags: v.array(v.strictObject({ tag: v.string(), generation: whole, until: whole })),
    }),
  ),
});
