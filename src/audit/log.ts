import type { AuditEntry, AuditLog, AuditRecord } from '../core/audit.ts';
import { INTENT } from '../core/audit-intent.ts';
import type { JsonObject } from '../core/json.ts';
import type { Clock, Store } from '../core/platform.ts';
import { Chain } from './chain.ts';
import type { Checkpointer } from './checkpoint.ts';
import { Denials } from './denials.ts';
import { AuditBusy } from './errors.ts';
import { unknownOutcome } from './open-intents.ts';
import {
  CHECKPOINT,
  CHECKPOINT_EVIDENCE,
  DENIALS,
  hashOf,
  isOwn,
  MAX_RECORD_BYTES,
  withoutTokens,
} from './record.ts';
import { recover } from './recovery.ts';
import { readBase } from './segments.ts';

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

/**
 * The device end of the audit log: hash-chained canonical JSON, one record a line, durable before `append` resolves
 * (OB-04 to OB-06). Records that are appended while one write runs share the next (group commit).
 *
 * An {@link INTENT} stays open until its outcome; those found open at start are closed as `unknown`.
 * Equal denials are recorded once and then counted. What looks like a token is replaced by its hash.
 */
export class AuditJournal implements AuditLog {
  #options: AuditJournalOptions;
  #denialWindowMs: number;
  #chain: Chain;
  #denials = new Denials();
  #cancelWindow: (() => void) | undefined;
  #checkpointing: Promise<unknown> = Promise.resolve();
  #rotating: Promise<unknown> | undefined;

  private constructor(options: AuditJournalOptions, chain: Chain) {
    this.#options = options;
    this.#denialWindowMs = options.denialWindowMs ?? 60_000;
    this.#chain = chain;
  }

  /**
   * Opens the log, checks its whole chain, drops a last line that power did not let finish, and closes intents
   * without an outcome.
   *
   * @throws {AuditBroken} when it is not what was written; it is then left as it is, for an auditor.
   */
  static async open(options: AuditJournalOptions): Promise<AuditJournal> {
    const { store, clock, name = 'audit.log' } = options;
    const { maxBytes = 16_777_216, reserveBytes = 262_144 } = options;
    const base = await readBase(store, name);
    const journal = await store.journal(name);
    try {
      const reading = await recover(journal, store, base);
      const bounds = { maxBytes, reserveBytes };
      const chain = new Chain({ store, clock, name, journal, bounds }, base, reading);
      const log = new AuditJournal(options, chain);
      for (const intent of chain.intents.all()) await log.append(unknownOutcome(intent));
      const { incomplete } = reading;
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
      this.#chain.mustWrite();
      known.count += 1;
      return known.first;
    }
    const { record, durable } = this.#chain.place(clean);
    this.#denials.remember(clean, record);
    this.#cancelWindow ??= this.#options.clock.schedule(this.#denialWindowMs, () => {
      this.#endWindow().catch(() => {}); // a log that cannot write refuses the next intent, which is where it matters
    });
    return durable;
  }

  /** Index and hash of the newest durable record. */
  head(): { readonly index: number; readonly hash: string } {
    return this.#chain.head;
  }

  /** Intents whose outcome is not recorded yet, oldest first. */
  openIntents(): readonly AuditRecord[] {
    return this.#chain.intents.all();
  }

  /** Whether a new intent would be refused because of the log's size. */
  get full(): boolean {
    return this.#chain.room(INTENT) < MAX_RECORD_BYTES;
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
      this.#chain.unproven ? this.#checkpoint(checkpointer) : undefined,
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
    if (this.#options.checkpointer !== undefined && this.#chain.unproven) await this.checkpoint();
    if (this.#rotating !== undefined || this.#chain.intents.size > 0)
      throw new AuditBusy('the audit log has an intent without an outcome');
    const done = this.#chain.archive();
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
    await this.#chain.written();
  }

  /** Flushes, makes a last checkpoint if there is who signs it, and lets go of the file; idempotent. */
  async close(): Promise<void> {
    if (this.#chain.closed) return;
    try {
      if (!this.#chain.failed) await this.flush();
      // A TPM that is gone already costs the last checkpoint, never the records.
      if (this.#options.checkpointer !== undefined) await this.checkpoint().catch(() => {});
    } finally {
      this.#cancelWindow?.();
      await this.#chain.close();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
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
    return this.#chain.place(entry, at).durable;
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
