import type { AuditLog } from '../core/audit.ts';
import type { Platform } from '../core/platform.ts';
import type { Device } from '../grants/index.ts';
import { Confirmations } from './confirmation.ts';
import { Generations } from './generations.ts';
import { DeviceHost } from './host.ts';
import { Inputs } from './inputs.ts';
import { Limits } from './limits.ts';
import { Pdp } from './pdp.ts';
import { Pep } from './pep.ts';
import type { DomainSource, PostureSource, StatusSource, World } from './sources.ts';
import { TimeTrust } from './time.ts';

/** What the permissions of an agent need from the program. */
export interface PermissionsOptions {
  readonly platform: Platform;
  /** Identifier of this agent. */
  readonly self: string;
  readonly audit: AuditLog;
  readonly devices: readonly Device[];
  readonly posture?: PostureSource | undefined;
  readonly domains?: DomainSource | undefined;
  readonly status?: StatusSource | undefined;
  /** Whether the machine's wall clock is believed. Default: false, see {@link TimeTrust}. */
  readonly trustClock?: boolean | undefined;
  /** Ends whatever else a withdrawn tag had opened (sessions, connections). */
  readonly closeSessions?: ((tag: string) => Promise<void>) | undefined;
}

/** Everything of this step, opened and wired. */
export interface Permissions {
  readonly pep: Pep;
  readonly pdp: Pdp;
  readonly inputs: Inputs;
  readonly time: TimeTrust;
  readonly confirmations: Confirmations;
  readonly devices: DeviceHost;
  /** Stops what runs, closes the drivers, flushes what is stored. Idempotent. */
  close(): Promise<void>;
}

/**
 * Opens devices, reads stored limits, generations and time, and stops what a crash left running.
 *
 * @throws {Malformed} when stored state is damaged: better no action than fresh limits and revived grants.
 * @throws {DriverFailed}
 */
export async function openPermissions(options: PermissionsOptions): Promise<Permissions> {
  const { platform, self, audit } = options;
  const { clock, store, random, log, network } = platform;
  const inputs = new Inputs(clock);
  const time = await TimeTrust.open({ clock, store, trustClock: options.trustClock });
  const limits = await Limits.open({ clock, store, time });
  const generations = await Generations.open(store);
  const confirmations = new Confirmations(time);
  const { posture, domains, status } = options;
  const world: World = { inputs, time, posture, domains, status };
  const devices = await DeviceHost.open(options.devices, { clock, log, network, inputs });
  const pdp = new Pdp({
    self,
    world,
    random,
    generations,
    limits,
    confirmations,
    devices: devices.descriptions,
  });
  const pep = await Pep.open({
    platform,
    self,
    world,
    pdp,
    limits,
    confirmations,
    generations,
    devices,
    audit,
    closeSessions: options.closeSessions,
  });
  return {
    pep,
    pdp,
    inputs,
    time,
    confirmations,
    devices,
    close: async () => {
      await pep.close();
      await devices.close();
      await time.close();
    },
  };
}
