import { StoreFailed } from '../../src/core/errors.ts';
import type { Journal, Store } from '../../src/core/platform.ts';
import { changeBetween, changed, decodeChange, encodeChange } from './change.ts';
import { frame, frames } from './frame.ts';
import { copyOf } from './plain.ts';
import type { TpmSnapshot } from './state.ts';
import { checkState, decodeState, encodeState } from './state.ts';

const stateName = 'tpm';
const journalName = 'tpm.journal';
/** A journal is begun anew when it is larger than this and than four times the state. */
const smallJournal = 16_384;

/**
 * What a software TPM has stored: a whole state (`tpm`), and each change since (`tpm.journal`), framed and numbered. A
 * change is a few bytes at the end of the journal. What a power cut left of the last one is cut off; whatever else is
 * not as it was written makes the TPM refuse to start.
 */
export class Ledger {
  readonly #store: Store;
  #stored: TpmSnapshot;
  /** Of the newest change that may be stored; one that failed has used its number up. */
  #sequence: number;
  #journal: Journal | undefined;
  /** Bytes of the journal that count. */
  #end: number;
  #stateSize: number;
  /** Nothing may be appended: what is at the end of the journal is not known. */
  #blocked = false;

  private constructor(store: Store, stored: TpmSnapshot, sequence: number, end: number, stateSize: number) {
    this.#store = store;
    this.#stored = stored;
    this.#sequence = sequence;
    this.#end = end;
    this.#stateSize = stateSize;
  }

  /** What is in `store`, or `undefined` for a new TPM. @throws {StoreFailed} when it cannot be understood. */
  static async open(store: Store): Promise<Ledger | undefined> {
    const [whole, journal = new Uint8Array()] = [await store.read(stateName), await store.read(journalName)];
    if (whole === undefined && journal.length === 0) return undefined;
    try {
      const { contents, end, damaged } = frames(journal);
      if (whole === undefined) throw new Error('there is a journal, and no state');
      if (damaged) throw new Error('the journal is damaged before its end');
      let { state, sequence } = decodeState(whole);
      for (const change of contents.map(decodeChange)) {
        // Older ones were there when the state was stored whole, and the power went before they were removed.
        if (change.sequence <= sequence) continue;
        if (change.sequence !== sequence + 1) throw new Error('changes are missing in the journal');
        state = changed(state, change);
        sequence = change.sequence;
      }
      return new Ledger(store, checkState(state), sequence, end, whole.length);
    } catch (cause) {
      // Starting with an empty TPM instead would silently give the robot a new identity.
      throw new StoreFailed('the stored state of the software TPM is damaged', { cause });
    }
  }

  /** Stores the first state of a TPM; only where {@link Ledger.open} has found none. @throws {StoreFailed} */
  static async begin(store: Store, state: TpmSnapshot): Promise<Ledger> {
    const encoded = encodeState(state);
    await store.write(stateName, encoded);
    return new Ledger(store, copyOf(state), 0, 0, encoded.length);
  }

  /** A copy of the newest state known to be stored. */
  get state(): TpmSnapshot {
    return copyOf(this.#stored);
  }

  /** Stores what changed: all of it or nothing. @throws {StoreFailed} */
  async keep(state: TpmSnapshot): Promise<void> {
    const change = changeBetween(this.#stored, state, ++this.#sequence);
    const next = changed(this.#stored, change);
    if (this.#blocked) await this.#storeWhole(next);
    else await this.#append(frame(encodeChange(change)));
    this.#stored = next;
    if (this.#end > Math.max(smallJournal, 4 * this.#stateSize)) {
      // The change is stored already: that the journal could not be shortened is no failure of the command.
      await this.#storeWhole().catch(() => {});
    }
  }

  /** Lets go of the journal's file; it is opened again when needed. */
  async close(): Promise<void> {
    const journal = this.#journal;
    this.#journal = undefined;
    await journal?.close();
  }

  async #append(chunk: Uint8Array): Promise<void> {
    try {
      if (this.#journal === undefined) {
        this.#journal = await this.#store.journal(journalName);
        if (this.#journal.size > this.#end) await this.#journal.truncate(this.#end);
      }
      await this.#journal.append(chunk);
      this.#end += chunk.length;
    } catch (error) {
      this.#blocked = true;
      await this.close().catch(() => {});
      throw error;
    }
  }

  /** Stores the whole state and empties the journal, whose changes are then all older. */
  async #storeWhole(state: TpmSnapshot = this.#stored): Promise<void> {
    this.#blocked = true;
    const encoded = encodeState(state, this.#sequence);
    await this.#store.write(stateName, encoded);
    this.#stateSize = encoded.length;
    try {
      this.#journal ??= await this.#store.journal(journalName);
      await this.#journal.truncate(0);
      this.#end = 0;
      this.#blocked = false;
    } catch {
      // It stays blocked: the next change is stored as a whole again.
      await this.close().catch(() => {});
    }
  }
}
