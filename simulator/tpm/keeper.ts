import type { Store } from '../../src/core/platform.ts';
import { SESSIONS } from '../../src/tpm/framing.ts';
import { clockUpdate } from './clock.ts';
import { Ledger } from './ledger.ts';
import type { Machine } from './machine.ts';
import { copyOf } from './plain.ts';
import type { TpmSnapshot } from './state.ts';
import { rememberVolatile } from './volatile.ts';

/** Makes what commands change in a {@link Machine} durable, or takes it back. */
export class Keeper {
  readonly #machine: Machine;
  readonly #store: Store | undefined;
  #ledger: Ledger | undefined;
  #clockStored: number;
  /** While non-volatile memory is switched off: the state that stays. */
  #frozen: TpmSnapshot | undefined;
  #takeBack: (() => void) | undefined;

  constructor(machine: Machine, store: Store | undefined) {
    this.#machine = machine;
    this.#store = store;
    this.#clockStored = machine.clockTime;
  }

  /** Gives the machine what is stored, if anything is. @throws {StoreFailed} when that is damaged. */
  async wake(): Promise<void> {
    await this.#ledger?.close().catch(() => {});
    this.#ledger = this.#store && (await Ledger.open(this.#store));
    const stored = this.#ledger?.state;
    if (stored === undefined) return;
    this.#machine.restore(stored);
    this.#machine.resumeClock(stored.clock);
    this.#clockStored = stored.clock;
  }

  /** Stores the state as it is, the first one too. @throws {StoreFailed} */
  async begin(): Promise<void> {
    const state = this.#machine.snapshot();
    if (this.#store !== undefined) {
      if (this.#ledger === undefined) this.#ledger = await Ledger.begin(this.#store, state);
      else await this.#ledger.keep(state);
    }
    this.#stored(state);
  }

  /** Before a command is executed: remembers what it may have to take back. */
  before(command: Uint8Array): void {
    const fallible = this.#ledger !== undefined || this.#frozen !== undefined;
    // Without a session, only a start, and what undoes a shutdown, changes what is stored and what is not.
    const both =
      command[1] === (SESSIONS & 0xff) || !this.#machine.started || this.#machine.shutdown !== null;
    this.#takeBack = fallible && both ? rememberVolatile(this.#machine) : undefined;
  }

  /** Whether there is nothing to be stored: {@link Keeper.keep} would answer at once. */
  get quiet(): boolean {
    const machine = this.#machine;
    if (this.#ledger === undefined && this.#frozen === undefined) {
      machine.dirty = false;
      return true;
    }
    return !machine.dirty && machine.clockTime - this.#clockStored < clockUpdate;
  }

  /** Stores what changed since the last time; when that fails, takes it back and says so. */
  async keep(): Promise<boolean> {
    if (this.quiet) return true;
    const state = this.#machine.snapshot();
    try {
      if (this.#frozen !== undefined) {
        // The clock alone can wait.
        if (!this.#machine.dirty) return true;
        throw new Error('non-volatile memory is off');
      }
      await this.#ledger?.keep(state);
    } catch {
      this.#machine.restore(
        this.#frozen === undefined ? (this.#ledger?.state ?? state) : copyOf(this.#frozen),
      );
      this.#takeBack?.();
      return false;
    }
    this.#stored(state);
    return true;
  }

  /** Non-volatile memory goes away: no change can be stored until it is back. */
  freeze(frozen: boolean): void {
    if (frozen === (this.#frozen !== undefined)) return;
    this.#frozen = frozen ? copyOf(this.#machine.snapshot()) : undefined;
  }

  /** Lets go of what is open. */
  async close(): Promise<void> {
    await this.#ledger?.close();
  }

  #stored(state: TpmSnapshot): void {
    this.#clockStored = state.clock;
    this.#machine.dirty = false;
  }
}
