import { equal, wipe } from '../core/bytes.ts';
import type { PublicJwk } from '../core/signer.ts';
import { LogRefused } from './errors.ts';
import type { LogBody, LogEntry, LogHead, LogHeader } from './log-entry.ts';
import { headOf, isSigned, openBody } from './log-entry.ts';

/** How many entries ahead of the next one are kept until the gap is filled. */
const WAITING_MAX = 256;

/** What a member knows of a log before it has read any of it. */
export interface LogReaderOptions {
  readonly domain: string;
  /** Hash of the first entry, from the handshake. */
  readonly genesis: Uint8Array;
  /** The coordinator's session key, from the handshake. */
  readonly coordinator: PublicJwk;
  /** Judges an entry and takes it into the roster. @throws {LogRefused} */
  readonly apply: (header: LogHeader, body: LogBody) => void;
}

/** What came of an entry or head. */
export type LogOutcome =
  /** It, and perhaps others that waited for it, were applied. */
  | 'applied'
  /** It was there before. */
  | 'known'
  /** Entries or a key before it are missing. */
  | 'waits'
  /** The coordinator ended the domain, even if entries before it are missing. */
  | 'ended';

/**
 * A verified copy of a domain log: signature, domain, link and body of each entry, in order and without gaps, in whatever
 * order they arrive. Anything wrong *above* the coordinator's signature is its proven fault.
 */
export class LogReader {
  readonly #options: LogReaderOptions;
  readonly #hashes: Uint8Array[] = [];
  readonly #keys = new Map<number, Uint8Array>();
  readonly #waiting = new Map<number, LogEntry>();
  #head: LogHead | undefined;
  #lastAt = 0;
  #lastHead: Uint8Array | undefined;

  constructor(options: LogReaderOptions) {
    this.#options = options;
  }

  /** Index of the newest applied entry; -1 when none. */
  get index(): number {
    return this.#hashes.length - 1;
  }

  /** The newest applied entry's signed head. */
  get head(): LogHead | undefined {
    return this.#head;
  }

  /** Hash of an applied entry. */
  hashAt(index: number): Uint8Array | undefined {
    return this.#hashes[index];
  }

  /** Takes a log key; entries that waited for it are applied. @throws {LogRefused} */
  addKey(id: number, key: Uint8Array): void {
    if (!this.#keys.has(id)) this.#keys.set(id, key.slice());
    this.#drain();
  }

  /**
   * Takes an entry, in any order, any number of times.
   *
   * @throws {LogRefused} `signature`, `domain`: not the coordinator's, forget it. Everything else is signed by it: `fork`,
   * `link`, and what `apply` throws.
   */
  offer(entry: LogEntry): LogOutcome {
    const { index } = entry.header;
    const known = this.#hashes[index];
    if (known !== undefined && equal(known, entry.hash)) return 'known';
    const waits = this.#waiting.get(index);
    if (waits !== undefined && equal(waits.hash, entry.hash)) return 'waits';
    this.#judgeHead(headOf(entry));
    if (known !== undefined || waits !== undefined)
      throw new LogRefused('fork', `two signed entries have index ${index}`);
    if (index > this.index + WAITING_MAX) return entry.header.kind === 'end' ? 'ended' : 'waits';
    this.#waiting.set(index, entry);
    this.#drain();
    if (entry.header.kind === 'end') return 'ended';
    return index <= this.index ? 'applied' : 'waits';
  }

  /** Compares a signed head, whoever shows it. @throws {LogRefused} `signature`, `domain`, `fork` */
  offerHead(head: LogHead): LogOutcome {
    if (this.#lastHead !== undefined && equal(head.bytes, this.#lastHead)) return 'known';
    const known = this.#hashes[head.header.index] ?? this.#waiting.get(head.header.index)?.hash;
    if (known !== undefined && equal(known, head.hash)) return 'known';
    this.#judgeHead(head);
    if (known !== undefined) throw new LogRefused('fork', `two signed heads have index ${head.header.index}`);
    this.#lastHead = head.bytes;
    return head.header.kind === 'end' ? 'ended' : 'waits';
  }

  /** Wipes the log keys. */
  close(): void {
    for (const key of this.#keys.values()) wipe(key);
    this.#keys.clear();
    this.#waiting.clear();
  }

  #judgeHead(head: LogHead): void {
    const { domain, coordinator, genesis } = this.#options;
    if (head.header.domain !== domain) throw new LogRefused('domain', 'an entry of another domain');
    if (!isSigned(head, coordinator)) throw new LogRefused('signature', 'not signed by the coordinator');
    if (head.header.index === 0 && !equal(head.hash, genesis))
      throw new LogRefused('fork', 'the log begins otherwise than the handshake said');
  }

  #drain(): void {
    for (;;) {
      const entry = this.#waiting.get(this.index + 1);
      const key = entry === undefined ? undefined : this.#keys.get(entry.header.key);
      if (entry === undefined || key === undefined) return;
      const { header } = entry;
      this.#waiting.delete(header.index); // whatever comes of it, it does not stand in the way of another
      if (!equal(header.previous, this.#hashes.at(-1) ?? new Uint8Array(32)))
        throw new LogRefused('fork', `entry ${header.index} continues another log`);
      if (header.at < this.#lastAt) throw new LogRefused('link', 'the log’s time goes back');
      this.#options.apply(header, openBody(entry, key));
      this.#hashes.push(entry.hash);
      this.#lastAt = header.at;
      this.#head = headOf(entry);
    }
  }
}
