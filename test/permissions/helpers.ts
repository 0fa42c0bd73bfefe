import type { SimulatedPlatform } from '../../simulator/platform.ts';
import { simulatedPlatform } from '../../simulator/platform.ts';
import type { AuditEntry, AuditLog, AuditRecord } from '../../src/core/audit.ts';
import type {
  Condition,
  Device,
  DeviceDescription,
  Driver,
  DriverContext,
  Grant,
  HeldGrant,
  Running,
} from '../../src/grants/index.ts';
import type { DomainSource, PermissionsOptions, PostureSource } from '../../src/permissions/index.ts';
import { openPermissions } from '../../src/permissions/index.ts';

/** This agent, and those that ask it. */
export const self = 'spiffe://x/agent/vehicle';
export const alice = 'spiffe://x/agent/alice';
export const bob = 'spiffe://x/agent/bob';
/** What the simulated clock shows at first, in seconds. */
export const start = Date.UTC(2026, 10, 24, 10) / 1000;

/** A vehicle, a dog that sees, and a light: one of each kind of action. */
export const vehicle: DeviceDescription = {
  name: 'vehicle',
  title: 'Vehicle',
  risk: 'motion',
  deadMan: true,
  controlPeriodMs: 100,
  properties: { position: { type: 'position' }, clear: { type: 'boolean' }, level: { type: 'number' } },
  actions: {
    drive: { continuous: true, input: { speed: { type: 'number', minimum: 0, maximum: 10 } } },
    honk: { risk: 'comfort' },
    tilt: { risk: 'comfort', input: { angle: { type: 'integer', optional: true } } },
    stop: { safe: true },
  },
  events: { seen: {} },
};

/** A device whose driver writes down what it is told, and moves until stopped or unfed. */
export class Recorder implements Device {
  readonly description: DeviceDescription;
  readonly calls: string[] = [];
  /** How long `perform` takes: nothing, or until this resolves. */
  before: Promise<void> | undefined;
  /** What `stop` of a running action does. */
  stopping: () => Promise<void> = async () => {};
  feeds = 0;
  /** Called on each feed. */
  feeding: () => void = () => {};
  /** Ends the action that was started last, as if it were done. */
  finish: () => void = () => {};
  context: DriverContext | undefined;

  constructor(description: DeviceDescription = vehicle) {
    this.description = description;
  }

  async open(context: DriverContext): Promise<Driver> {
    this.context = context;
    this.calls.push('open');
    return {
      close: async () => {
        this.calls.push('close');
      },
      perform: async (action): Promise<Running | undefined> => {
        await this.before;
        this.calls.push(action);
        if (this.description.actions[action]?.continuous !== true) return undefined;
        let over = () => {};
        const done = new Promise<void>((resolve) => {
          over = resolve;
        });
        this.finish = over;
        return {
          done,
          feed: () => {
            this.feeds++;
            this.feeding();
          },
          stop: async () => {
            this.calls.push(`${action}:stop`);
            await this.stopping();
            over();
          },
        };
      },
    };
  }
}

/** An audit log in memory that can be made to fail. */
export class Audit implements AuditLog {
  readonly entries: AuditEntry[] = [];
  failing = false;
  /** Awaited before each append, when set. */
  gate: Promise<void> | undefined;

  async append(entry: AuditEntry): Promise<AuditRecord> {
    await this.gate;
    if (this.failing) throw new Error('the disk is full');
    this.entries.push(entry);
    return { ...entry, index: this.entries.length, at: 0, previous: '' };
  }

  head() {
    return { index: this.entries.length, hash: '' };
  }
}

/** Everything opened over a simulated platform, with a trusted clock unless said otherwise. */
export async function opened(
  options: Partial<PermissionsOptions> & { readonly platform?: SimulatedPlatform } = {},
) {
  const platform = options.platform ?? simulatedPlatform({ seed: 1 });
  const device = new Recorder();
  const audit = new Audit();
  const permissions = await openPermissions({
    self,
    audit,
    devices: [device],
    trustClock: true,
    ...options,
    platform,
  });
  const request = (action: string, rest: object = {}) => ({
    device: 'vehicle',
    action,
    subjects: [alice],
    ...(action === 'drive' ? { arguments: { speed: 1 } } : {}),
    ...rest,
  });
  return { ...permissions, platform, clock: platform.clock, device, audit, request };
}

/** A held grant of alice's over the vehicle. */
export function held(rest: Partial<Grant> = {}, more: Partial<HeldGrant> = {}): HeldGrant {
  return {
    id: 'token#0',
    subject: alice,
    family: 'token',
    ancestors: [],
    tags: { 'token:token': 0 },
    exp: start + 3600,
    ...more,
    grant: {
      type: 'fealty/action',
      locations: [self],
      device: 'vehicle',
      actions: ['drive', 'honk', 'tilt', 'stop'],
      ...rest,
    },
  };
}

/** The dog's lidar says that the way is clear, not older than a second. */
export const clear: Condition = {
  op: 'state',
  source: { device: 'vehicle' },
  property: 'clear',
  is: true,
  maxAgeMs: 1_000,
};

/** A domain whose mode a test sets. */
export class Domains implements DomainSource {
  readonly modes = new Map<string, 'observe' | 'suggest' | 'actuate' | 'none'>();
  #listeners = new Set<(task: string) => void>();

  mode(task: string) {
    return this.modes.get(task);
  }

  set(task: string, mode: 'observe' | 'suggest' | 'actuate' | 'none' | undefined) {
    if (mode === undefined) this.modes.delete(task);
    else this.modes.set(task, mode);
    for (const listener of this.#listeners) listener(task);
  }

  onChange(listener: (task: string) => void) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** A posture that a test sets. */
export class Posture implements PostureSource {
  result:
    | { readonly status: 'affirming' | 'warning' | 'contraindicated' | 'none'; readonly at: number }
    | undefined;
  #listeners = new Set<() => void>();

  current() {
    return this.result;
  }

  set(result: Posture['result']) {
    this.result = result;
    for (const listener of this.#listeners) listener();
  }

  onChange(listener: () => void) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
