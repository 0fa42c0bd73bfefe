import { text, utf8 } from '../core/bytes.ts';
import { messageOf } from '../core/errors.ts';
import type { Clock, Log, Network } from '../core/platform.ts';
import type { Arguments, Device, DeviceDescription, Driver, Running } from '../grants/index.ts';
import { DriverFailed } from './errors.ts';
import type { Inputs } from './inputs.ts';

/** What the devices of an agent run on. */
export interface DeviceHostOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly network: Network;
  readonly inputs: Inputs;
}

interface Open {
  readonly device: Device;
  driver: Driver;
  readonly timers: Set<() => void>;
}

/**
 * The drivers of this agent's devices, opened: what they report becomes inputs, and nobody but the enforcement point
 * performs anything on them.
 */
export class DeviceHost {
  readonly #options: DeviceHostOptions;
  readonly #open = new Map<string, Open>();

  private constructor(options: DeviceHostOptions) {
    this.#options = options;
  }

  /** Opens the drivers of `devices`. @throws {DriverFailed} when one does not open; the others are closed again. */
  static async open(devices: readonly Device[], options: DeviceHostOptions): Promise<DeviceHost> {
    const host = new DeviceHost(options);
    try {
      for (const device of devices) await host.add(device);
    } catch (error) {
      await host.close();
      throw error;
    }
    return host;
  }

  /** Descriptions of every open device. */
  get descriptions(): readonly DeviceDescription[] {
    return [...this.#open.values()].map(({ device }) => device.description);
  }

  /** @internal Description of one open device. */
  descriptionOf(name: string): DeviceDescription | undefined {
    return this.#open.get(name)?.device.description;
  }

  /** Opens one more. @throws {DriverFailed} */
  async add(device: Device): Promise<void> {
    const { name } = device.description;
    if (this.#open.has(name)) throw new TypeError(`there are two devices named \`${name}\``);
    const timers = new Set<() => void>();
    this.#open.set(name, { device, driver: await this.#start(device, timers), timers });
  }

  /** @internal Performs an action, for the enforcement point alone. @throws {DriverFailed} */
  async perform(device: string, action: string, given: Arguments): Promise<Running | undefined> {
    const open = this.#open.get(device);
    if (open === undefined) throw new DriverFailed(`\`${device}\` is not open`);
    try {
      return await open.driver.perform(action, given);
    } catch (cause) {
      throw new DriverFailed(`\`${device}.${action}\` failed: ${messageOf(cause)}`, { cause });
    }
  }

  /**
   * Brings a device into a safe state: its safe actions that take no argument or, where it has none, a fresh driver
   * (closing one stops whatever runs).
   *
   * @throws {DriverFailed}
   */
  async makeSafe(name: string): Promise<void> {
    const open = this.#open.get(name);
    if (open === undefined) throw new DriverFailed(`\`${name}\` is not open`);
    const safe = Object.entries(open.device.description.actions).filter(
      ([, action]) => action.safe === true && Object.values(action.input ?? {}).every((one) => one.optional),
    );
    for (const [action] of safe) await this.perform(name, action, {});
    if (safe.length > 0) return;
    try {
      await this.#stop(open);
      open.driver = await this.#start(open.device, open.timers);
    } catch (cause) {
      throw new DriverFailed(`\`${name}\` could not be made safe: ${messageOf(cause)}`, { cause });
    }
  }

  /** Closes every driver: whatever runs is stopped and the hardware let go. Idempotent. */
  async close(): Promise<void> {
    const all = [...this.#open.values()];
    this.#open.clear();
    await Promise.allSettled(all.map((open) => this.#stop(open)));
  }

  async #stop(open: Open): Promise<void> {
    for (const cancel of open.timers) cancel();
    open.timers.clear();
    this.#options.inputs.forget({ device: open.device.description.name });
    await open.driver.close();
  }

  async #start(device: Device, timers: Set<() => void>): Promise<Driver> {
    const { clock, log, network, inputs } = this.#options;
    const { description } = device;
    const source = { device: description.name };
    const known = (kind: 'properties' | 'events', name: string) => {
      if (Object.hasOwn(description[kind], name)) return true;
      log.warn('a driver reports what its description does not name', { device: description.name, name });
      return false;
    };
    try {
      return await device.open({
        reports: {
          property: (name, value) => {
            if (known('properties', name)) inputs.report(source, name, value);
          },
          event: (name) => {
            if (known('events', name)) inputs.happened(source, name);
          },
          watching: (all) => inputs.watching(source, all),
        },
        every: (ms, run) => {
          if (!(ms >= 1)) throw new TypeError('`ms` must be at least 1');
          let cancel: () => void;
          const again = () => {
            cancel = clock.schedule(ms, () => {
              again();
              try {
                run();
              } catch (error) {
                log.warn('a driver failed in its own timer', {
                  device: description.name,
                  error: messageOf(error),
                });
              }
            });
          };
          again();
          const stop = () => {
            cancel();
            timers.delete(stop);
          };
          timers.add(stop);
          return stop;
        },
        http: async ({ method, url, body }) => {
          const answer = await network.request({
            method,
            url,
            headers: body === undefined ? {} : { 'content-type': 'application/json' },
            body: body === undefined ? undefined : utf8(body),
          });
          return { status: answer.status, body: text(answer.body) };
        },
      });
    } catch (cause) {
      throw new DriverFailed(`\`${description.name}\` does not open: ${messageOf(cause)}`, { cause });
    }
  }
}
