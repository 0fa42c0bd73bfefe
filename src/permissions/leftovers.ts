import { messageOf } from '../core/errors.ts';
import type { Log } from '../core/platform.ts';
import type { DeviceHost } from './host.ts';
import type { Journal } from './journal.ts';

/** @internal Devices that may still do what a program before this one began: they are made safe before they do anything. */
export class Leftovers {
  readonly #devices: DeviceHost;
  readonly #journal: Journal;
  readonly #unsafe: Set<string>;
  readonly #stopping = new Map<string, Promise<void>>();

  constructor(devices: DeviceHost, journal: Journal) {
    this.#devices = devices;
    this.#journal = journal;
    this.#unsafe = new Set(journal.running().map(({ device }) => device));
  }

  /** Whether something may still run on a device. */
  on(device: string): boolean {
    return this.#unsafe.has(device);
  }

  /** Stops whatever was left running on a device, once for all who ask meanwhile. @throws {DriverFailed} */
  stop(device: string): Promise<void> {
    let stopping = this.#stopping.get(device);
    if (stopping === undefined) {
      stopping = this.#stop(device).finally(() => this.#stopping.delete(device));
      this.#stopping.set(device, stopping);
    }
    return stopping;
  }

  /** Stops whatever was left running, where that can be done now. */
  async stopAll(log: Log): Promise<void> {
    for (const device of [...this.#unsafe])
      await this.stop(device).catch((error: unknown) =>
        // It stays refused until it is back and safe.
        log.warn('a device could not be made safe after a restart', { device, error: messageOf(error) }),
      );
  }

  async #stop(device: string): Promise<void> {
    await this.#devices.makeSafe(device);
    this.#unsafe.delete(device);
    for (const note of this.#journal.running().filter((one) => one.device === device))
      await this.#journal.interrupted(note);
  }
}
