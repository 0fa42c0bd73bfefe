import type { AuditEntry, AuditLog, AuditRecord } from '../core/audit.ts';
import { INTENT, OUTCOME } from '../core/audit-intent.ts';
import { concat, hex } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import type { JsonObject } from '../core/json.ts';
import type { Clock, Journal, Store } from '../core/platform.ts';
import type { Checkpointer } from './checkpoint.ts';
import { Denials } from './denials.ts';
import { AuditBroken, AuditBusy, AuditEntryTooLarge, AuditFailed, AuditFull } from './errors.ts';
import { OpenIntents, unknownOutcome } from './open-intents.ts';
import {
  CHECKPOINT,
  CHECKPOINT_EVIDENCE,
  DENIALS,
  GENESIS,
  hashOf,
  isOwn,
  lineOf,
  MAX_RECORD_BYTES,
  readLines,
  readRecord,
  withoutTokens,
} from './record.ts';
import { archiveName, isArchived, readBase, writeBase } from './segments.ts';

/** What a log is opened with. */
export interface AuditJournalOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Identifier of the agent or authority whose log it is; the author of the records the log writes by itself. */
  readonly agent: string;
  /** Name of the journal in the store. Default: `audit.log`. */
  readonly name?: string | undefined;
  /** Largest size in bytes. Default: 16,777,216. */
  readonly maxBytes?: number | undefined;
  /** How much of it only outcomes, stops, revocations and checkpoints may use, in bytes. Default: 262,144. */
  readonly reserveBytes?: number | undefined;
  /** How long an equal denial is counted instead of recorded again, in milliseconds. Default: 60,000. */
  readonly denialWindowMs?: number | undefined;
  /** Who signs checkpoints. Default: nobody, and {@link AuditJournal.checkpoint} is a TypeError. */
  readonly checkpointer?: Checkpointer | undefined;
}

/** Kinds that a full log still takes: without them an action that runs could not be stopped or accounted for. */
const ALWAYS: readonly string[] = [
  OUTCOME,
  'stop',
  'revocation',
  'demotion',
  'end',
  'recovery',
  DENIALS,
  CHECKPOINT,
  CHECKPOINT_EVIDENCE,
];
/** Kept free for the outcome of each intent that is open. */
const OUTCOME_BYTES = 1_024;

interface Pending {
  readonly record: AuditRecord;
  readonly hash: string;
  readonly line: Uint8Array;
  readonly resolve: (record: AuditRecord) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The device end of the audit log: hash-chained canonical JSON, one record a line, durable before `append` resolves
 * (OB-04 to OB-06). Records that are appended while one write runs share the next (group commit).
 *
 * An {@link INTENT} stays open until its outcome; those found open at start are closed as `unknown`.
 * Equal denials are recorded once and then counted. What looks like a token is replaced by its hash.
 */
export class AuditJournal implements AuditLog {
  #options: AuditJournalOptions;
  #maxBytes: number;
  #reserveBytes: number;
  #denialWindowMs: number;
  #journal: Journal;
  /** Index of the first record in the journal. */
  #first = 1;
  /** Newest durable record, and the newest one that is on its way. */
  #head: { readonly index: number; readonly hash: string };
  #tail: { readonly index: number; readonly hash: string };
  #size: number;
  #waiting: Pending[] = [];
  #writing: Promise<void> | undefined;
  #failed: unknown;
  /** Index of the newest record with a checkpoint's evidence. */
  #evidenced = 0;
  #open = new OpenIntents();
  #denials = new Denials();
  #cancelWindow: (() => void) | undefined;
  #checkpointing: Promise<unknown> = Promise.resolve();
  #rotating: Promise<unknown> | undefined;
  #closed = false;

  private constructor(options: AuditJournalOptions, journal: Journal) {
    this.#options = options;
    this.#maxBytes = options.maxBytes ?? 16_777_216;
    this.#reserveBytes = options.reserveBytes ?? 262_144;
    this.#denialWindowMs = options.denialWindowMs ?? 60_000;
    this.#journal = journal;
    this.#head = { index: 0, hash: GENESIS };
    this.#tail = this.#head;
    this.#size = 0;
  }

  /**
   * Opens the log, checks its whole chain, drops a last line that power did not let finish, and closes intents
   * without an outcome.
   *
   * @throws {AuditBroken} when it is not what was written; it is then left as it is, for an auditor.
   */
  static async open(options: AuditJournalOptions): Promise<AuditJournal> {
    const { store, name = 'audit.log' } = options;
    const base = await readBase(store, name);
    const journal = await store.journal(name);
    try {
      let bytes = await journal.read();
      if (await isArchived(store, base, bytes)) {
        await journal.truncate(0);
        bytes = new Uint8Array();
      }
      const { lines, size, incomplete, broken } = readLines(bytes, base);
      if (broken !== undefined)
        throw new AuditBroken(broken.index, `audit record ${broken.index}: ${broken.why}`);
      if (incomplete > 0) await journal.truncate(size);
      const log = new AuditJournal(options, journal);
      const last = lines.at(-1);
      log.#first = base.index + 1;
      log.#head =
        last === undefined
          ? { index: base.index, hash: base.hash }
          : { index: last.record.index, hash: last.hash };
      log.#tail = log.#head;
      log.#evidenced = base.index;
      log.#size = size;
      for (const { record } of lines) log.#follow(record);
      for (const intent of log.#open.all()) await log.append(unknownOutcome(intent));
      if (incomplete > 0)
        await log.append({ kind: 'recovery', agent: options.agent, detail: { incomplete } });
      return log;
    } catch (error) {
      await journal.close();
      throw error;
    }
  }

  /**
   * Records `entry`; resolves when it is durable. A denial equal to one of the last minute is only counted, and the
   * record of the first is returned.
   *
   * @throws {AuditFull} {@link AuditFailed} {@link AuditEntryTooLarge}: nothing was recorded, so nothing may happen.
   */
  async append(entry: AuditEntry): Promise<AuditRecord> {
    const clean = withoutTokens(entry);
    if (isOwn(clean)) throw new TypeError(`only the log itself writes \`${clean.kind}\` records`);
    while (this.#rotating !== undefined) await this.#rotating;
    if (clean.decision !== 'deny') return this.#append(clean);
    const known = this.#denials.repeated(clean);
    if (known !== undefined) {
      this.#mustWrite();
      known.count += 1;
      return known.first;
    }
    const { record, durable } = this.#enqueue(clean);
    this.#denials.remember(clean, record);
    this.#cancelWindow ??= this.#options.clock.schedule(this.#denialWindowMs, () => {
      this.#endWindow().catch(() => {}); // a log that cannot write refuses the next intent, which is where it matters
    });
    return durable;
  }

  /** Index and hash of the newest durable record. */
  head(): { readonly index: number; readonly hash: string } {
    return this.#head;
  }

  /** Intents whose outcome is not recorded yet, oldest first. */
  openIntents(): readonly AuditRecord[] {
    return this.#open.all();
  }

  /** Whether a new intent would be refused because of the log's size. */
  get full(): boolean {
    return this.#room(INTENT) < MAX_RECORD_BYTES;
  }

  /**
   * Records a checkpoint, has it signed, and records the evidence. From then on nothing up to it can be changed or
   * removed unseen.
   *
   * @returns the record with the evidence; `undefined` when nothing was recorded since the last checkpoint.
   */
  checkpoint(): Promise<AuditRecord | undefined> {
    const { checkpointer } = this.#options;
    if (checkpointer === undefined) throw new TypeError('the log was opened without a `checkpointer`');
    const done = this.#checkpointing.then(() =>
      this.#tail.index > this.#evidenced ? this.#checkpoint(checkpointer) : undefined,
    );
    this.#checkpointing = done.catch(() => {}); // one after the other: a counter's values follow the records' order
    return done;
  }

  /**
   * Moves everything so far into an archive of the store, with a last checkpoint, and begins the journal anew; the chain
   * goes on. How long archives are kept is the owner's policy (OB-05). Power may fail at any moment.
   *
   * @returns the name of the archive, or `undefined` when there was nothing to archive.
   * @throws {AuditBusy} while an intent is open.
   */
  async rotate(): Promise<string | undefined> {
    await this.flush();
    if (this.#options.checkpointer !== undefined && this.#tail.index > this.#evidenced)
      await this.checkpoint();
    if (this.#rotating !== undefined || this.#open.size > 0)
      throw new AuditBusy('the audit log has an intent without an outcome');
    const done = this.#archive();
    this.#rotating = done.catch(() => {}); // appends wait, and then find out by themselves
    try {
      return await done;
    } finally {
      this.#rotating = undefined;
    }
  }

  /** Writes the counts of repeated denials that are not written yet. */
  async flush(): Promise<void> {
    await this.#endWindow();
    await this.#writing;
  }

  /** Flushes, makes a last checkpoint if there is who signs it, and lets go of the file; idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    try {
      if (this.#failed === undefined) await this.flush();
      // A TPM that is gone already costs the last checkpoint, never the records.
      if (this.#options.checkpointer !== undefined) await this.checkpoint().catch(() => {});
    } finally {
      this.#closed = true;
      this.#cancelWindow?.();
      await this.#journal.close();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #archive(): Promise<string | undefined> {
    await this.#writing;
    this.#mustWrite();
    const { store, name = 'audit.log' } = this.#options;
    const { index, hash } = this.#head;
    if (index < this.#first) return undefined;
    const archive = archiveName(name, this.#first);
    await store.write(archive, await this.#journal.read());
    try {
      await writeBase(store, name, { index, hash, archive });
      await this.#journal.truncate(0);
    } catch (cause) {
      this.#failed = cause; // where the journal continues is now for the next open to find out
      throw new AuditFailed('the audit log could not be begun anew', { cause });
    }
    this.#first = index + 1;
    this.#size = 0;
    return archive;
  }

  async #checkpoint(checkpointer: Checkpointer): Promise<AuditRecord> {
    const { agent } = this.#options;
    const record = await this.#append({ kind: CHECKPOINT, agent, detail: { method: checkpointer.method } });
    const evidence = await checkpointer.sign({ index: record.index, hash: hashOf(record) });
    return this.#append(
      { kind: CHECKPOINT_EVIDENCE, agent, detail: { of: record.index, evidence } },
      record.at,
    );
  }

  async #append(entry: AuditEntry, at?: number): Promise<AuditRecord> {
    while (this.#rotating !== undefined) await this.#rotating; // what is written now would be archived by nobody
    return this.#enqueue(entry, at).durable;
  }

  /** Gives the entry its place in the chain at once; the order of calls is the order of records. */
  #enqueue(entry: AuditEntry, at?: number): { record: AuditRecord; durable: Promise<AuditRecord> } {
    this.#mustWrite();
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
    if (line.length > this.#room(entry.kind)) throw new AuditFull('the audit log is full');
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

  #mustWrite(): void {
    if (this.#closed) throw new AuditFailed('the audit log is closed');
    if (this.#failed !== undefined)
      throw new AuditFailed('the audit log could not be written', { cause: this.#failed });
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      await undefined; // whoever appends in this same turn comes along
      const batch = this.#waiting.splice(0);
      try {
        await this.#journal.append(concat(...batch.map(({ line }) => line)));
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

  #room(kind: string): number {
    const left = this.#maxBytes - this.#size;
    if (kind === OUTCOME) return left;
    const unpromised = left - this.#open.size * OUTCOME_BYTES;
    return ALWAYS.includes(kind) ? unpromised : unpromised - this.#reserveBytes;
  }

  #follow(record: AuditRecord): void {
    if (record.kind === CHECKPOINT_EVIDENCE) this.#evidenced = record.index;
    this.#open.follow(record);
  }

  async #endWindow(): Promise<void> {
    this.#cancelWindow?.();
    this.#cancelWindow = undefined;
    for (const { first, count, mixed } of this.#denials.drain()) {
      const { agent, subject, resource, action, task, cause } = first;
      const about = mixed
        ? { agent: this.#options.agent }
        : { agent, subject, resource, action, task, cause };
      const detail: JsonObject = { of: first.index, count, ...(mixed ? { mixed } : {}) };
      await this.#append({ kind: DENIALS, ...about, detail });
    }
  }
}
