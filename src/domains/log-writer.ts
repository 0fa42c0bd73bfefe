import { wipe } from '../core/bytes.ts';
import { logHeadTopic, logTopic } from '../messaging/index.ts';
import { detached } from './detached.ts';
import type { LogBody, LogEntry, LogHead } from './log-entry.ts';
import { headOf, writeEntry } from './log-entry.ts';
import type { MemberCore } from './member-core.ts';
import { VERSION } from './messages.ts';

/** How many bytes of log entries one answer carries, about. */
const CHUNK_BYTES = 64 * 1024;
/** And how many entries. */
const CHUNK_ENTRIES = 256;

/**
 * The one writer of a domain log. Every entry passes the coordinator's own reader first, which is the members': what
 * they would refuse is not written.
 */
export class LogWriter {
  readonly #core: MemberCore;
  readonly #entries: LogEntry[] = [];
  readonly #keys: Uint8Array[] = [];

  /** Writes the first entry. */
  constructor(core: MemberCore, genesis: LogEntry, logKey: Uint8Array) {
    this.#core = core;
    this.#addKey(logKey);
    this.#write(genesis);
  }

  /** The newest signed head. */
  get head(): LogHead | undefined {
    const last = this.#entries.at(-1);
    return last === undefined ? undefined : headOf(last);
  }

  /** How many log keys there have been. */
  get newestKey(): number {
    return this.#keys.length;
  }

  /** Index of the newest entry of that kind; -1 when there is none. */
  indexOf(kind: LogBody['kind']): number {
    return this.#entries.findLastIndex((entry) => entry.header.kind === kind);
  }

  /** Signs, applies and publishes an entry. @throws {LogRefused} when members would refuse it; nothing was written. */
  append(body: LogBody): void {
    const { options } = this.#core;
    const last = this.#entries.at(-1);
    const entry = writeEntry(
      {
        v: VERSION,
        domain: options.domain,
        index: this.#entries.length,
        previous: last?.hash ?? new Uint8Array(32),
        kind: body.kind,
        // The log's time never goes back, whatever the wall clock does.
        at: Math.max(Math.floor(options.platform.clock.now()), last?.header.at ?? 0),
        key: this.#keys.length,
        term: 1,
      },
      body,
      this.#keys.at(-1) ?? new Uint8Array(32),
      (data) => options.session.signSync(data),
    );
    this.#write(entry);
  }

  /** From now on bodies are sealed under a fresh key, which nobody has yet. */
  renewKey(): void {
    this.#addKey(this.#core.options.platform.random.bytes(32));
  }

  /** The log keys after number `known`, as members are told of them. */
  keysAfter(known: number): readonly (readonly [number, Uint8Array])[] {
    return this.#keys.map((key, at) => [at + 1, key.slice()] as const).slice(known);
  }

  /** Some entries from index `from`: at least one, where there is one. */
  chunk(from: number): readonly Uint8Array[] {
    const entries: Uint8Array[] = [];
    let size = 0;
    for (const { bytes } of this.#entries.slice(from, from + CHUNK_ENTRIES)) {
      size += bytes.length;
      if (entries.length > 0 && size > CHUNK_BYTES) break;
      entries.push(bytes);
    }
    return entries;
  }

  /** Wipes the log keys. */
  close(): void {
    for (const key of this.#keys) wipe(key);
  }

  #addKey(key: Uint8Array): void {
    this.#keys.push(key);
    this.#core.history.addLogKey(this.#keys.length, key);
  }

  #write(entry: LogEntry): void {
    this.#core.history.appendOwn(entry);
    this.#entries.push(entry);
    const { link, domain, platform } = this.#core.options;
    detached(link.publish(logTopic(domain), entry.bytes, { qos: 1 }), platform.log, 'a log entry');
    detached(
      link.publish(logHeadTopic(domain), headOf(entry).bytes, { qos: 1, retain: true }),
      platform.log,
      'a log head',
    );
  }
}
