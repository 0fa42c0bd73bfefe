import type { Command } from '../../src/tpm/command.ts';
import type { HardwareProfile } from './hardware.ts';
import { latencyOf } from './hardware.ts';
import type { Machine } from './machine.ts';

/** Commands that end early when they are cancelled; the others are too short to be worth it. */
const cancellable: ReadonlySet<string> = new Set([
  'TPM2_CreatePrimary',
  'TPM2_Create',
  'TPM2_CreateLoaded',
  'TPM2_SelfTest',
  'TPM2_IncrementalSelfTest',
]);

/** How long commands take, and how they end before their time. */
export class Pace {
  readonly #machine: Machine;
  readonly #profile: HardwareProfile | undefined;
  /** Cancelling is on, until further notice. */
  #cancelling = false;
  #running: AbortController | undefined;

  constructor(machine: Machine, profile: HardwareProfile | undefined) {
    this.#machine = machine;
    this.#profile = profile;
  }

  /** Whether commands take no time and none is cancelled: {@link Pace.pass} would do nothing. */
  get instant(): boolean {
    return this.#profile === undefined && !this.#cancelling;
  }

  /** See `SoftwareTpm.cancel`. */
  cancel(lasting: boolean | undefined): void {
    this.#cancelling = lasting === true;
    if (lasting !== false) this.#running?.abort();
  }

  /** Lets the time pass that the chip takes for a command; false when it was cancelled. */
  async pass(command: Command, bytes: Uint8Array): Promise<boolean> {
    const ends = cancellable.has(command.name);
    if (this.#cancelling && ends) return false;
    if (this.#profile === undefined) return true;
    const running = new AbortController();
    if (ends) this.#running = running;
    const ms = latencyOf(this.#profile, this.#machine, command, bytes);
    try {
      await this.#machine.clock.sleep(ms, running.signal);
      return true;
    } catch {
      return false;
    } finally {
      this.#running = undefined;
    }
  }
}
