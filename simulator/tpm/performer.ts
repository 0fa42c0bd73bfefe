import { encodeRefusal } from '../../src/tpm/chip-framing.ts';
import type { SoftwareTpmOptions } from './chip-options.ts';
import { execute } from './dispatch.ts';
import type { Faults } from './faults.ts';
import { answerOf, PowerLost } from './faults.ts';
import { commandOf } from './handlers/index.ts';
import type { Keeper } from './keeper.ts';
import type { Machine } from './machine.ts';
import { Pace } from './pace.ts';
import { RC } from './refusal.ts';
import type { TearingStore } from './tearing.ts';

/** Runs the commands of a machine, one at a time, with the time they take and the faults that meet them. */
export class Performer {
  readonly #machine: Machine;
  readonly #keeper: Keeper;
  readonly #tearing: TearingStore | undefined;
  readonly #faults: Faults | undefined;
  readonly #pace: Pace;

  constructor(
    machine: Machine,
    keeper: Keeper,
    tearing: TearingStore | undefined,
    options: Pick<SoftwareTpmOptions, 'faults' | 'profile'>,
  ) {
    this.#machine = machine;
    this.#keeper = keeper;
    this.#tearing = tearing;
    this.#faults = options.faults;
    this.#pace = new Pace(machine, options.profile);
  }

  /** Whether {@link Performer.execute} and {@link Performer.keep} are all there is to a command. */
  get instant(): boolean {
    return (this.#faults?.none ?? true) && this.#pace.instant;
  }

  /** A command in its turn, with everything that can happen to it. @throws {PowerLost} */
  async perform(bytes: Uint8Array): Promise<Uint8Array> {
    const command = commandOf(bytes);
    const fault = command && this.#faults?.next(command.name);
    const answer = fault && answerOf(fault);
    if (answer !== undefined) return encodeRefusal(answer);
    if (fault === 'power-before') return await this.#losePower();
    if (fault === 'failure') this.#machine.failed = true;
    if (command !== undefined && !(await this.#pace.pass(command, bytes))) return encodeRefusal(RC.CANCELED);
    this.#tearing?.tear(fault === 'power-storing');
    const response = await this.keep(this.execute(bytes));
    if (fault === 'power-storing' || fault === 'power-after') return await this.#losePower();
    return response;
  }

  /** The command itself, before its change is stored. */
  execute(command: Uint8Array): Uint8Array {
    this.#keeper.before(command);
    return execute(this.#machine, command);
  }

  /** Stores what a command changed; its response, or that it could not be stored. */
  async keep(response: Uint8Array): Promise<Uint8Array> {
    return (await this.#keeper.keep()) ? response : encodeRefusal(RC.NV_UNAVAILABLE);
  }

  /** Cancels the command that takes its time; see `SoftwareTpm.cancel`. */
  cancel(lasting?: boolean): void {
    this.#pace.cancel(lasting);
  }

  /** The power goes and comes back: only what was stored is there. */
  async #losePower(): Promise<never> {
    this.#machine.powerOn();
    await this.#keeper.wake();
    throw new PowerLost();
  }
}
