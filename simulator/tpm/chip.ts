import { StoreFailed } from '../../src/core/errors.ts';
import type { Clock, Random, Store } from '../../src/core/platform.ts';
import { encodeRefusal } from '../../src/tpm/chip-framing.ts';
import { execute } from './dispatch.ts';
import { handlers } from './handlers/index.ts';
import { clockUpdate, Machine } from './machine.ts';
import { RC } from './refusal.ts';
import { decodeSnapshot, encodeSnapshot, readSnapshot, writeSnapshot } from './state.ts';

/** What a software TPM is made from. */
export interface SoftwareTpmOptions {
  /** Where nonces, keys and (without `seed`) hierarchy seeds come from. */
  readonly random: Random;
  readonly clock: Clock;
  /** Where everything that a power cut leaves is kept, under the name `tpm`. Default: nowhere. */
  readonly store?: Store | undefined;
  /**
   * Makes the hierarchy seeds, and so all primary keys, from this text: the same text, the same TPM.
   * Such a TPM reports {@link SoftwareTpm.simulated}. Ignored when `store` already holds a TPM. Default: by `random`.
   */
  readonly seed?: string | undefined;
  /** Transient objects and loaded sessions it has room for, each. Default: 3, as in hardware. */
  readonly slots?: number | undefined;
  /**
   * Whether TPM2_Startup(CLEAR) has been done, as firmware does before an operating system sees a TPM; a later
   * TPM2_Startup is then answered TPM_RC_INITIALIZE. Default: `clear`.
   */
  readonly startup?: 'clear' | 'none' | undefined;
}

/**
 * A TPM 2.0 in software: the other end of `src/tpm`'s client, made from the same schema. It is a transport: hand it to
 * the client as it is, or offer it to other programs with `serveTpm`. Keys are made when first asked for; creating one
 * costs well under a millisecond.
 */
export class SoftwareTpm {
  readonly #machine: Machine;
  readonly #store: Store | undefined;
  /** The last state known to be stored; what a failed write goes back to. */
  #durable: Uint8Array;
  #clockStored: number;
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(machine: Machine, store: Store | undefined, durable: Uint8Array) {
    this.#machine = machine;
    this.#store = store;
    this.#durable = durable;
    this.#clockStored = machine.clockTime;
  }

  /** Makes a TPM, or wakes the one in `store`. @throws {StoreFailed} when what is stored is damaged. */
  static async create(options: SoftwareTpmOptions): Promise<SoftwareTpm> {
    const machine = new Machine({
      random: options.random,
      clock: options.clock,
      seed: options.seed,
      slots: options.slots ?? 3,
      implemented: new Set(handlers().keys()),
    });
    const stored = options.store && (await readSnapshot(options.store));
    if (stored) {
      machine.restore(stored);
      machine.resumeClock(stored.clock);
    }
    const tpm = new SoftwareTpm(machine, options.store, encodeSnapshot(machine.snapshot()));
    if ((options.startup ?? 'clear') === 'clear') machine.startup('clear');
    if (!(await tpm.#keep())) throw new StoreFailed('the software TPM could not store its state');
    return tpm;
  }

  /** True when its keys follow from a `seed`: whatever faces the real world refuses such a TPM. */
  get simulated(): boolean {
    return this.#machine.simulated;
  }

  /**
   * One command, one response, in the bytes of Part 3. Commands run one after the other. Never rejects: whatever the
   * bytes, the answer is a well-formed response. A change is durable before it is answered.
   */
  exchange(command: Uint8Array): Promise<Uint8Array> {
    return this.#inTurn(async () => {
      const response = execute(this.#machine, command);
      return (await this.#keep()) ? response : encodeRefusal(RC.NV_UNAVAILABLE);
    });
  }

  /** Power off and on (_TPM_Init): everything volatile is gone, and TPM2_Startup is expected. */
  powerCycle(): Promise<void> {
    return this.#inTurn(async () => this.#machine.powerOn());
  }

  /** Power off: every command is refused with TPM_RC_INITIALIZE until {@link powerCycle} and TPM2_Startup. */
  powerOff(): Promise<void> {
    return this.#inTurn(async () => this.#machine.powerOff());
  }

  /** The locality of the commands that follow, 0 to 4. Default: 0. */
  setLocality(locality: number): void {
    if (!Number.isInteger(locality) || locality < 0 || locality > 4)
      throw new TypeError('`locality` must be 0 to 4');
    this.#machine.locality = locality;
  }

  /** Whether somebody stands at the machine and says so, from now on (TPM2_PolicyPhysicalPresence). Default: no. */
  setPhysicalPresence(asserted: boolean): void {
    this.#machine.physicalPresence = asserted;
  }

  /**
   * Lets the command that runs finish and shuts down orderly, as an operating system does (TPM2_Shutdown); idempotent.
   * Whoever goes on to use the TPM finds it as it was.
   */
  close(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#machine.started && this.#machine.shutdown === null) this.#machine.shutDown('clear');
      await this.#keep();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(run);
    this.#queue = turn.catch(() => {});
    return turn;
  }

  /** Stores what changed; when that fails, takes it back and says so. */
  async #keep(): Promise<boolean> {
    const machine = this.#machine;
    if (machine.clockTime - this.#clockStored >= clockUpdate) machine.dirty = true;
    if (!machine.dirty) return true;
    const state = machine.snapshot();
    const encoded = encodeSnapshot(state);
    try {
      if (this.#store) await writeSnapshot(this.#store, encoded);
    } catch {
      const before = decodeSnapshot(this.#durable);
      machine.restore(before);
      // A start that could not be counted has not happened.
      if (before.totalResetCount !== state.totalResetCount || before.restartCount !== state.restartCount)
        machine.powerOn();
      return false;
    }
    this.#durable = encoded;
    this.#clockStored = state.clock;
    machine.dirty = false;
    return true;
  }
}
