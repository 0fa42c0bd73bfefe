import { messageOf } from '../core/errors.ts';
import { canonicalBytes, parseJsonObject } from '../core/json.ts';
import type { Store } from '../core/platform.ts';
import { NotRecorded, TooMany } from './errors.ts';

const FILE = 'permissions/generations';
const TAGS_MAX = 65_536;

/**
 * The newest generation of each revocation tag (`task:…`, `client:…`, `token:…`). It only rises, also over restarts:
 * a grant issued in an older generation is nothing.
 */
export class Generations {
  readonly #store: Store;
  readonly #newest: Map<string, number>;
  #writing: Promise<void> = Promise.resolve();

  private constructor(store: Store, newest: Map<string, number>) {
    this.#store = store;
    this.#newest = newest;
  }

  /** @throws {Malformed} when the stored state is damaged: without it, revoked grants would come back. */
  static async open(store: Store): Promise<Generations> {
    const bytes = await store.read(FILE);
    const stored = bytes === undefined ? {} : parseJsonObject(bytes, { maxBytes: 64 * 1024 * 1024 });
    const newest = new Map<string, number>();
    for (const [tag, generation] of Object.entries(stored)) newest.set(tag, Number(generation));
    return new Generations(store, newest);
  }

  /** The newest generation of `tag`; 0 when it was never raised. */
  of(tag: string): number {
    return this.#newest.get(tag) ?? 0;
  }

  /**
   * Raises a tag, at once in memory. Lower ones change nothing.
   *
   * @returns whether it rose.
   * @throws {TooMany} when there is no room for another tag: then everything would have to be refused.
   */
  raise(tag: string, generation: number): boolean {
    if (!Number.isSafeInteger(generation) || generation < 0)
      throw new TypeError('`generation` must be a whole number');
    if (generation <= this.of(tag)) return false;
    if (!this.#newest.has(tag) && this.#newest.size >= TAGS_MAX)
      throw new TooMany(`more than ${TAGS_MAX} revocation tags`);
    this.#newest.set(tag, generation);
    return true;
  }

  /** Resolved when everything raised so far is durable. @throws {NotRecorded} */
  persist(): Promise<void> {
    const write = this.#writing
      .catch(() => {})
      .then(() => this.#store.write(FILE, canonicalBytes(Object.fromEntries(this.#newest))))
      .catch((cause: unknown) => {
        throw new NotRecorded(`the revocation is not stored: ${messageOf(cause)}`, { cause });
      });
    this.#writing = write;
    return write;
  }
}
