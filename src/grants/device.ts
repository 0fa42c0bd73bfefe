/**
 * The contract of a device, for whoever writes one: a subset of W3C WoT Thing Description 1.1 plus a risk class.
 * With `defineTwin` and `controllerDevice` it is the whole of `fealty/device`, and imports nothing of the runtime.
 */
export { controllerDevice } from './device-controller.ts';
export type { TwinBehaviour } from './device-twin.ts';
export { defineTwin } from './device-twin.ts';

/** How bad a wrong action is, from harmless to dangerous. */
export type Risk = 'info' | 'comfort' | 'access' | 'safety' | 'motion';

/** JSON Schema subset for one value (WoT DataSchema). */
export interface ValueSchema {
  readonly type: 'boolean' | 'integer' | 'number' | 'string';
  /** UCUM or plain unit, for example `Cel`, `m`, `%`. */
  readonly unit?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly enum?: readonly (string | number)[];
  readonly description?: string;
}

/** What can be read. A `position` is a {@link Position}; a geofence asks the property that is *named* `position`. */
export interface PropertyDescription extends Omit<ValueSchema, 'type'> {
  readonly type: ValueSchema['type'] | 'position';
  readonly observable?: boolean;
}

/** What can be done. */
export interface ActionDescription {
  readonly description?: string;
  /** Arguments by name; all are required unless `optional`. */
  readonly input?: Readonly<Record<string, ValueSchema & { readonly optional?: boolean }>>;
  /** Overrides the device's risk class. */
  readonly risk?: Risk;
  /** It brings the device into a safe state (stop, close gas): it skips prohibitions, limits, confirmation and audit failure. */
  readonly safe?: boolean;
  /** It runs until stopped, under a lease; otherwise it is done when `perform` resolves. */
  readonly continuous?: boolean;
}

/** What can happen. */
export interface EventDescription {
  readonly description?: string;
  readonly data?: Readonly<Record<string, ValueSchema>>;
}

/** What a device is and offers. */
export interface DeviceDescription {
  /** Lower case with dashes, unique at its agent. */
  readonly name: string;
  readonly title: string;
  readonly risk: Risk;
  readonly properties: Readonly<Record<string, PropertyDescription>>;
  readonly actions: Readonly<Record<string, ActionDescription>>;
  readonly events: Readonly<Record<string, EventDescription>>;
  /** How often a running action is fed, in milliseconds. Default: 100. */
  readonly controlPeriodMs?: number;
  /** True when the driver stops by itself if it is not fed. A device without may not have risk class `motion`. */
  readonly deadMan?: boolean;
}

/** Arguments of one action. */
export type Arguments = Readonly<Record<string, string | number | boolean>>;

/** A position fix, as the value of a property of a geographic source. */
export interface Position {
  readonly latitude: number;
  readonly longitude: number;
  readonly accuracyM: number;
}

/** How a driver tells the runtime what it sees. */
export interface DeviceReports {
  /** A property has this value now. */
  property(name: string, value: string | number | boolean | Position): void;
  /** An event happened now. */
  event(name: string, data?: Arguments): void;
  /**
   * From now on every event is reported (true), or events may be missed (false: the link to the hardware is down).
   * As long as a driver does not say true, an event that does not come is unknown, not absent.
   */
  watching?(all: boolean): void;
}

/** What a driver gets from the runtime. */
export interface DriverContext {
  readonly reports: DeviceReports;
  /** Calls `run` every `ms` until the driver is closed; the driver has no other timer. */
  every(ms: number, run: () => void): () => void;
  /** Asks the hardware's controller over HTTP (plain on loopback, https elsewhere); rejects when it does not answer. */
  http(request: ControllerRequest): Promise<{ readonly status: number; readonly body: string }>;
}

/** One request of a driver to its controller; bodies are JSON text. */
export interface ControllerRequest {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly body?: string;
}

/** A running action, in the driver's hands. */
export interface Running {
  /** Called each control period; when it is no longer called, the driver must stop by itself (dead man). */
  feed(): void;
  /** Stop now. Resolved when it has stopped. Idempotent. */
  stop(): Promise<void>;
  /** Resolved when the action is over by itself, or stopped. */
  readonly done: Promise<void>;
}

/** The thing that moves the hardware (or its twin). */
export interface Driver {
  /** Does a one-shot action, or starts a continuous one. */
  perform(action: string, input: Arguments): Promise<Running | undefined>;
  /** Whatever runs is stopped and the hardware let go. */
  close(): Promise<void>;
}

/** A device: description, and how its driver is opened. */
export interface Device {
  readonly description: DeviceDescription;
  open(context: DriverContext): Promise<Driver>;
}

/** A simulated body: a device whose driver is software, with handles to set what it senses. */
export interface Twin extends Device {
  /** Sets a sensed value, as the world would. */
  sense(property: string, value: string | number | boolean | Position): void;
  /** Makes an event happen. */
  happen(event: string, data?: Arguments): void;
  /** Sensors fall silent (or speak again): nothing is reported any more. */
  mute(silent: boolean): void;
  /** What the body did, oldest first, for stories. */
  readonly journal: readonly { readonly at: 'start' | 'stop' | 'done'; readonly action: string }[];
}

/** Checks that the description is consistent; a mistake is a `TypeError` that names it. Returns the device. */
export function defineDevice<D extends Device>(device: D): D {
  const { description } = device;
  const named = (name: string) => /^[a-z][a-z0-9-]*$/.test(name);
  if (!named(description.name))
    throw new TypeError(`device name \`${description.name}\` must be lower case with dashes`);
  if (description.risk === 'motion' && description.deadMan !== true)
    throw new TypeError(`\`${description.name}\` moves, so it must have \`deadMan: true\``);
  for (const [name, action] of Object.entries(description.actions)) {
    if (!named(name)) throw new TypeError(`action name \`${name}\` must be lower case with dashes`);
    if (action.risk === 'motion' && description.deadMan !== true)
      throw new TypeError(`\`${description.name}.${name}\` moves, so the device must have \`deadMan: true\``);
  }
  const period = description.controlPeriodMs ?? 100;
  if (!(period >= 1 && period <= 10_000))
    throw new TypeError('`controlPeriodMs` must be between 1 and 10,000');
  return device;
}
