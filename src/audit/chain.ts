import type { AuditEntry, AuditRecord } from '../core/audit.ts';
import { concat, hex } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import type { Clock, Journal, Store } from '../core/platform.ts';
import type { LogHead } from './checkpoint.ts';
import { AuditEntryTooLarge, AuditFailed, AuditFull } from './errors.ts';
import { OpenIntents } from './open-intents.ts';
import type { Reading } from './record.ts';
import { CHECKPOINT_EVIDENCE, lineOf, MAX_RECORD_BYTES, readRecord } from './record.ts';
import type { LogBounds } from './room.ts';
import { roomFor } from './room.ts';
import { archiveName, writeBase } from './segments.ts';

/** Where a chain is kept. */
export interface ChainOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Name of the journal in the store. */
  readonly name: string;
  /** That journal, open; the chain closes it. */
  readonly journal: Journal;
  readonly bounds: LogBounds;
}

interface Pending {
  readonly record: AuditRecord;
  readonly hash: string;
  readonly line: Uint8Array;
  readonly resolve: (record: AuditRecord) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The chain of a log's records as it stands in the journal and grows. Records that are placed while one write runs share
 * the next (group commit). It records whatever it has room for; what is to be recorded, and when, is its owner's to say.
 */
export class Chain {
  /** Intents without an outcome, of all records that have their place. */
  readonly intents = new OpenIntents();
  #options: ChainOptions;
  /** Index of the first record in the journal. */
  #first: number;
  /** Newest durable record, and the newest one that is on its way. */
  #head: LogHead;
  #tail: LogHead;
  #size: number;
  #waiting: Pending[] = [];
  #writing: Promise<void> | undefined;
  #failed: unknown;
  /** Index of the newest record with a checkpoint's evidence. */
  #evidenced: number;
  #closed = false;

  /**
   * @param base what stands before the journal.
   * @param reading what stands in it.
   */
  constructor(options: ChainOptions, base: LogHead, { lines, size }: Reading) {
    this.#options = options;
    const last = lines.at(-1);
    this.#first = base.index + 1;
    this.#head =
      last === undefined
        ? { index: base.index, hash: base.hash }
        : { index: last.record.index, hash: last.hash };
    this.#tail = this.#head;
    this.#evidenced = base.index;
    this.#size = size;
    for (const { record } of lines) this.#follow(record);
  }

  /** Index and hash of the newest durable record. */
  get head(): LogHead {
    return this.#head;
  }

  /** Whether something was recorded that no checkpoint's evidence covers. */
  get unproven(): boolean {
    return this.#tail.index > this.#evidenced;
  }

  /** Whether a write failed: nothing more can be recorded. */
  get failed(): boolean {
    return this.#failed !== undefined;
  }

  /** Whether {@link close} was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** How many bytes a record of `kind` may still take. */
  room(kind: string): number {
    return roomFor(kind, this.#size, this.intents.size, this.#options.bounds);
  }

  /**
   * Gives the entry its place in the chain at once; the order of calls is the order of records.
   *
   * @throws {AuditFull} {@link AuditFailed} {@link AuditEntryTooLarge}
   */
  place(entry: AuditEntry, at?: number): { record: AuditRecord; durable: Promise<AuditRecord> } {
    this.mustWrite();
    const line = lineOf({
      ...entry,
      index: this.#tail.index + 1,
      at: at ?? Math.round(this.#options.clock.now()),
      previous: this.#tail.hash,
    });
    if (line.length > MAX_RECORD_BYTES)
      throw new AuditEntryTooLarge(`an audit record has at most ${MAX_RECORD_BYTES} bytes`);
    // The reader judges what is written, so that no entry can make the log unreadable.
    const record = readRecord(line.subarray(0, -1));
    if (line.length > this.room(entry.kind)) throw new AuditFull('the audit log is full');
    const hash = hex(sha256(line.subarray(0, -1)));
    this.#tail = { index: record.index, hash };
    this.#size += line.length;
    this.#follow(record);
    const durable = new Promise<AuditRecord>((resolve, reject) => {
      this.#waiting.push({ record, hash, line, resolve, reject });
    });
    this.#writing ??= this.#write();
    return { record, durable };
  }

  /** Makes sure that records can be written, as far as is known. @throws {AuditFailed} */
  mustWrite(): void {
    if (this.#closed) throw new AuditFailed('the audit log is closed');
    if (this.#failed !== undefined)
      throw new AuditFailed('the audit log could not be written', { cause: this.#failed });
  }

  /** Waits until every record that has its place is durable, or could not be written. */
  async written(): Promise<void> {
    await this.#writing;
  }

  /**
   * Moves every record into an archive of the store, and begins the journal anew. Nothing may be placed meanwhile.
   *
   * @returns the name of the archive, or `undefined` when there was nothing to archive.
   */
  async archive(): Promise<string | undefined> {
    await this.#writing;
    this.mustWrite();
    const { store, name, journal } = this.#options;
    const { index, hash } = this.#head;
    if (index < this.#first) return undefined;
    const archive = archiveName(name, this.#first);
    await store.write(archive, await journal.read());
    try {
      await writeBase(store, name, { index, hash, archive });
      await journal.truncate(0);
    } catch (cause) {
      this.#failed = cause; // where the journal continues is now for the next open to find out
      throw new AuditFailed('the audit log could not be begun anew', { cause });
    }
    this.#first = index + 1;
    this.#size = 0;
    return archive;
  }

  /** Takes nothing more, and lets go of the journal. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#options.journal.close();
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      await undefined; // whoever appends in this same turn comes along
      const batch = this.#waiting.splice(0);
      try {
        await this.#options.journal.append(concat(...batch.map(({ line }) => line)));
      } catch (cause) {
        // What of it reached the disk is unknown, so nothing may follow it: the next open finds out.
        this.#failed = cause;
        const error = new AuditFailed('the audit log could not be written', { cause });
        for (const { reject } of [...batch, ...this.#waiting.splice(0)]) reject(error);
        break;
      }
      for (const { record, hash, resolve } of batch) {
        this.#head = { index: record.index, hash };
        resolve(record);
      }
    }
    this.#writing = undefined;
  }

  #follow(record: AuditRecord): void {
    if (record.kind === CHECKPOINT_EVIDENCE) this.#evidenced = record.index;
    this.intents.follow(record);
  }
}
