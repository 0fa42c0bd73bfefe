import { StoreFailed } from '../../src/core/errors.ts';
import { oneAfterTheOther } from '../../src/core/turns.ts';
import type { SoftwareTpmOptions } from './chip-options.ts';
import { implemented } from './handlers/index.ts';
import { Keeper } from './keeper.ts';
import { Machine } from './machine.ts';
import { Performer } from './performer.ts';
import { decodeState, encodeState } from './state.ts';
import { tearingStore } from './tearing.ts';
import { decodeVolatile, encodeVolatile, resumeVolatile } from './volatile.ts';

/**
 * A TPM 2.0 in software: the other end of `src/tpm`'s client, made from the same schema. It is a transport: hand it to
 * the client as it is, or offer it to other programs with `serveTpm`. Keys are made when first asked for; creating one
 * costs well under a millisecond.
 */
export class SoftwareTpm {
  /** A machine that nobody has had before. */
  readonly #fresh: () => Machine;
  readonly #machine: Machine;
  readonly #keeper: Keeper;
  readonly #performer: Performer;
  readonly #oneAfterTheOther = oneAfterTheOther();
  #waiting = 0;
  #established = false;
  #kept: Uint8Array | undefined;

  private constructor(options: SoftwareTpmOptions) {
    this.#fresh = () =>
      new Machine({
        random: options.random,
        clock: options.clock,
        seed: options.seed,
        slots: options.slots ?? 3,
        implemented: implemented(),
      });
    this.#machine = this.#fresh();
    const tearing = options.store && options.faults ? tearingStore(options.store) : undefined;
    this.#keeper = new Keeper(this.#machine, tearing ?? options.store);
    this.#performer = new Performer(this.#machine, this.#keeper, tearing, options);
  }

  /** Makes a TPM, or wakes the one in `store`. @throws {StoreFailed} when what is stored is damaged. */
  static async create(options: SoftwareTpmOptions): Promise<SoftwareTpm> {
    const tpm = new SoftwareTpm(options);
    await tpm.#keeper.wake();
    await tpm.#begin(options);
    return tpm;
  }

  /**
   * A TPM as {@link SoftwareTpm.snapshot} has kept it: the same keys, the same NV; of a fleet made from one, each is a
   * copy. With a `store`, it takes the place of whatever is in there.
   *
   * @throws {Malformed} when `snapshot` is damaged.
   */
  static async restore(
    snapshot: Uint8Array,
    options: Omit<SoftwareTpmOptions, 'seed'>,
  ): Promise<SoftwareTpm> {
    const { state } = decodeState(snapshot);
    const tpm = new SoftwareTpm(options);
    await tpm.#keeper.wake();
    tpm.#machine.restore(state);
    tpm.#machine.resumeClock(state.clock);
    await tpm.#begin(options);
    return tpm;
  }

  /** True when its keys follow from a `seed`: whatever faces the real world refuses such a TPM. */
  get simulated(): boolean {
    return this.#machine.simulated;
  }

  /** Whether it has power: {@link SoftwareTpm.powerOff} was not its last. */
  get powered(): boolean {
    return this.#machine.powered;
  }

  /** TPM_ESTABLISHED: whether a dynamic root of trust has been measured since it was last reset. */
  get established(): boolean {
    return this.#established;
  }

  /**
   * One command, one response, in the bytes of Part 3. Commands run one after the other. Whatever the bytes, the answer
   * is a well-formed response, and a change is durable before it is answered.
   *
   * @throws {PowerLost} when a fault takes the power; nothing else.
   */
  exchange(command: Uint8Array): Promise<Uint8Array> {
    const response = this.answer(command);
    return response instanceof Promise ? response : Promise.resolve(response);
  }

  /** {@link SoftwareTpm.exchange}, but the response is there at once when nothing has to be waited for. */
  answer(command: Uint8Array): Uint8Array | Promise<Uint8Array> {
    if (this.#waiting > 0 || !this.#performer.instant)
      return this.#inTurn(() => this.#performer.perform(command));
    // Nobody waits, and nothing but the command itself takes time.
    const response = this.#performer.execute(command);
    return this.#keeper.quiet ? response : this.#inTurn(() => this.#performer.keep(response));
  }

  /** {@link SoftwareTpm.exchange} from a locality of its own, 0 to 4. */
  exchangeAt(locality: number, command: Uint8Array): Promise<Uint8Array> {
    checkLocality(locality);
    return this.#inTurn(async () => {
      const before = this.#machine.locality;
      this.#machine.locality = locality;
      try {
        return await this.#performer.perform(command);
      } finally {
        this.#machine.locality = before;
      }
    });
  }

  /**
   * Power off and on (_TPM_Init): everything volatile is gone, and TPM2_Startup is expected; unless
   * {@link SoftwareTpm.storeVolatile} has kept it: then it goes on from there.
   *
   * @param keepVolatile whether what was kept may be used once more. Default: false.
   */
  powerCycle(keepVolatile = false): Promise<void> {
    return this.#inTurn(async () => {
      this.#machine.powerOn();
      const kept = this.#kept;
      if (!keepVolatile) this.#kept = undefined;
      if (kept !== undefined) resumeVolatile(this.#machine, kept);
      await this.#keeper.keep();
    });
  }

  /** Power off: every command is refused with TPM_RC_INITIALIZE until {@link powerCycle} and TPM2_Startup. */
  powerOff(): Promise<void> {
    return this.#inTurn(async () => {
      this.#machine.powerOff();
      await this.#keeper.keep();
    });
  }

  /** The locality of the commands that follow, 0 to 4. Default: 0. */
  setLocality(locality: number): void {
    checkLocality(locality);
    this.#machine.locality = locality;
  }

  /** Whether somebody stands at the machine and says so. Default: nobody. */
  setPhysicalPresence(present: boolean): void {
    this.#machine.physicalPresence = present;
  }

  /** Switches non-volatile memory off or on: without it, what would change it is refused with TPM_RC_NV_UNAVAILABLE. */
  setNvAvailable(available: boolean): void {
    this.#keeper.freeze(!available);
  }

  /**
   * Cancels the command that runs, if it is one that takes long; it is answered TPM_RC_CANCELED and has done nothing.
   *
   * @param lasting whether those that follow are cancelled too, until this is called with `false`.
   */
  cancel(lasting?: boolean): void {
    this.#performer.cancel(lasting);
  }

  /** Makes the next self test fail (TPM2_SelfTest): the TPM is in failure mode until it is initialised. */
  failSelfTest(): void {
    this.#machine.selfTestFails = true;
  }

  /** _TPM_Hash_Start: a dynamic root of trust (or, before TPM2_Startup, the static one) begins to be measured. */
  hashStart(): Promise<void> {
    return this.#inTurn(async () => {
      this.#established = true;
      this.#machine.hashStart();
    });
  }

  /** _TPM_Hash_Data. */
  hashData(data: Uint8Array): Promise<void> {
    return this.#inTurn(async () => this.#machine.hashData(data));
  }

  /** _TPM_Hash_End. */
  hashEnd(): Promise<void> {
    return this.#inTurn(async () => {
      this.#machine.hashEnd();
      await this.#keeper.keep();
    });
  }

  /** Takes TPM_ESTABLISHED back. */
  resetEstablished(): void {
    this.#established = false;
  }

  /**
   * All that it is, as one small buffer: what a power cut leaves (`permanent`), or what one takes (`volatile`). It holds
   * every secret of the TPM in the clear.
   */
  snapshot(of: 'permanent' | 'volatile' = 'permanent'): Promise<Uint8Array> {
    return this.#inTurn(async () =>
      of === 'permanent' ? encodeState(this.#machine.snapshot()) : encodeVolatile(this.#machine),
    );
  }

  /** Keeps the volatile state for the next {@link SoftwareTpm.powerCycle}, in memory alone. */
  storeVolatile(): Promise<void> {
    return this.#inTurn(async () => {
      this.#kept = encodeVolatile(this.#machine);
    });
  }

  /**
   * Takes over what {@link SoftwareTpm.snapshot} of any software TPM gave; a volatile one counts from the next
   * {@link SoftwareTpm.powerCycle} on. Without any bytes: a new TPM, or no volatile state.
   *
   * @throws {TypeError} while it has power. @throws {Malformed} when it is damaged. @throws {StoreFailed}
   */
  load(of: 'permanent' | 'volatile', snapshot: Uint8Array): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#machine.powered) throw new TypeError('the state of a TPM is loaded while its power is off');
      if (of === 'volatile') {
        if (snapshot.length > 0) decodeVolatile(snapshot);
        this.#kept = snapshot.length > 0 ? snapshot.slice() : undefined;
        return;
      }
      const state = snapshot.length > 0 ? decodeState(snapshot).state : this.#fresh().snapshot();
      this.#machine.restore(state);
      this.#machine.resumeClock(state.clock);
      await this.#keeper.begin();
    });
  }

  /**
   * Lets the command that runs finish and shuts down orderly, as an operating system does (TPM2_Shutdown); idempotent.
   * Whoever goes on to use the TPM finds it as it was.
   */
  close(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#machine.started && this.#machine.shutdown === null) this.#machine.shutDown('clear');
      await this.#keeper.keep();
      await this.#keeper.close();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #begin(options: Omit<SoftwareTpmOptions, 'seed'>): Promise<void> {
    if ((options.startup ?? 'clear') === 'clear') this.#machine.startup('clear');
    try {
      await this.#keeper.begin();
    } catch (cause) {
      throw new StoreFailed('the software TPM could not store its state', { cause });
    }
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    this.#waiting++;
    return this.#oneAfterTheOther(run).finally(() => {
      this.#waiting--;
    });
  }
}

function checkLocality(locality: number): void {
  if (!Number.isInteger(locality) || locality < 0 || locality > 4)
    throw new TypeError('`locality` must be 0 to 4');
}
