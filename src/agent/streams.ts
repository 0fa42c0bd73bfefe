import { messageOf } from '../core/errors.ts';
import type { Log, Platform } from '../core/platform.ts';
import { check, v } from '../core/schema.ts';
import type { Membership } from '../domains/index.ts';
import type { Condition, Device, DeviceReports, HeldGrant, Source } from '../grants/index.ts';
import type { Inputs } from '../permissions/index.ts';
import { BadConfiguration } from './errors.ts';
import type { StreamOptions } from './options.ts';

/** Most events in one report. */
const EVENTS_MAX = 16;

const position = v.strictObject({ latitude: v.number(), longitude: v.number(), accuracyM: v.number() });
const value = v.union([v.string(), v.number(), v.boolean(), v.null(), position]);
const name = v.pipe(v.string(), v.maxLength(64));

/** What one message of a stream says: properties as they are now, and what has just happened. */
const reportSchema = v.strictObject({
  properties: v.optional(v.record(name, value)),
  events: v.optional(v.pipe(v.array(name), v.maxLength(EVENTS_MAX))),
});

type Report = v.InferOutput<typeof reportSchema>;

/** Listens to what the agent's own devices report, and passes it on to every membership as streams. */
export class OwnStreams {
  readonly #streams: Readonly<Record<string, StreamOptions>>;
  readonly #log: Log;
  readonly #memberships = new Set<Membership>();
  readonly #waiting = new Map<string, Report>();

  /** @throws {BadConfiguration} when a stream is of a device, a property or an event that is not there. */
  constructor(
    streams: Readonly<Record<string, StreamOptions>>,
    devices: readonly Device[],
    platform: Pick<Platform, 'log'>,
  ) {
    this.#streams = streams;
    this.#log = platform.log;
    for (const [stream, { device, properties, events = [] }] of Object.entries(streams)) {
      const description = devices.find((one) => one.description.name === device)?.description;
      if (description === undefined)
        throw new BadConfiguration(`stream \`${stream}\` is of \`${device}\`, which is not here`);
      const missing =
        properties.find((property) => !(property in description.properties)) ??
        events.find((event) => !(event in description.events));
      if (missing !== undefined)
        throw new BadConfiguration(`\`${device}\` of stream \`${stream}\` has no \`${missing}\``);
    }
  }

  /** The devices, with an ear on what they report. */
  heard(devices: readonly Device[]): readonly Device[] {
    return devices.map((device) => ({
      ...device,
      open: (context) => {
        const { reports } = context;
        const told: DeviceReports = {
          ...reports,
          property: (property, now) => {
            reports.property(property, now);
            this.#tell(device.description.name, (stream) =>
              stream.properties.includes(property) ? { properties: { [property]: now } } : undefined,
            );
          },
          event: (event, data) => {
            reports.event(event, data);
            this.#tell(device.description.name, (stream) =>
              stream.events?.includes(event) ? { events: [event] } : undefined,
            );
          },
        };
        return device.open({ ...context, reports: told });
      },
    }));
  }

  /** From now on this membership hears the streams too. @returns the end of it. */
  join(membership: Membership): () => void {
    this.#memberships.add(membership);
    return () => this.#memberships.delete(membership);
  }

  /** What a device reports in one go travels as one message: telemetry of one topic that waits is replaced by newer. */
  #tell(device: string, reportOf: (stream: StreamOptions) => Report | undefined): void {
    for (const [name, stream] of Object.entries(this.#streams)) {
      if (stream.device !== device) continue;
      const report = reportOf(stream);
      if (report === undefined) continue;
      const waiting = this.#waiting.get(name);
      if (waiting === undefined) queueMicrotask(() => this.#send(name, stream.lifeMs ?? 2_000));
      this.#waiting.set(name, {
        properties: { ...waiting?.properties, ...report.properties },
        events: [...(waiting?.events ?? []), ...(report.events ?? [])].slice(0, EVENTS_MAX),
      });
    }
  }

  #send(name: string, lifeMs: number): void {
    const report = this.#waiting.get(name);
    this.#waiting.delete(name);
    if (report === undefined) return;
    // An event happens once, so it goes as control; a property is said again soon.
    const control = (report.events?.length ?? 0) > 0;
    for (const membership of this.#memberships)
      membership.publish(name, report, { lifeMs, control }).catch((error: unknown) =>
        // Not a member any more, or out of reach: its conditions at the others become unknown, as they should.
        this.#log.debug('a report was not told', { stream: name, error: messageOf(error) }),
      );
  }
}

/** Feeds what peers say on the streams that held grants name into the inputs of conditions. */
export class PeerStreams {
  readonly #membership: Membership;
  readonly #inputs: Inputs;
  readonly #platform: Platform;
  readonly #open = new Map<string, Promise<() => Promise<void>>>();

  constructor(membership: Membership, inputs: Inputs, platform: Platform) {
    this.#membership = membership;
    this.#inputs = inputs;
    this.#platform = platform;
  }

  /** Listens to the streams that conditions of `held` look at, and to no others. */
  async follow(held: readonly HeldGrant[]): Promise<void> {
    const wanted = new Set(
      held
        .flatMap(({ grant, ancestors }) =>
          [grant, ...ancestors.map((one) => one.grant)].flatMap((one) => sourcesOf(one.condition)),
        )
        .flatMap((source) => ('peer' in source ? [source.stream] : [])),
    );
    for (const [stream, subscription] of this.#open)
      if (!wanted.has(stream)) {
        this.#open.delete(stream);
        await (await subscription)();
      }
    await Promise.all(
      [...wanted]
        .filter((stream) => !this.#open.has(stream))
        .map(async (stream) => {
          const subscribed = this.#membership.subscribe(stream, (body, from, { sentAt }) =>
            this.#hear(stream, from, sentAt, body),
          );
          this.#open.set(stream, subscribed);
          await subscribed;
        }),
    );
  }

  #hear(stream: string, from: string, sentAt: number, body: unknown): void {
    let report: Report;
    try {
      report = check(reportSchema, body, 'report');
    } catch (error) {
      this.#platform.log.debug('a report of a peer is refused', { stream, from, error: messageOf(error) });
      return;
    }
    const source: Source = { peer: from, stream };
    // Its age counts from when the peer made it, so that a broker cannot make old news young by holding it back.
    const ageMs = Math.max(0, this.#platform.clock.now() - sentAt);
    for (const [property, now] of Object.entries(report.properties ?? {}))
      this.#inputs.report(source, property, now, { ageMs });
    for (const event of report.events ?? []) this.#inputs.happened(source, event, { ageMs });
  }
}

/** Every source that a condition looks at. */
export function sourcesOf(condition: Condition | undefined): readonly Source[] {
  if (condition === undefined) return [];
  if (condition.op === 'and' || condition.op === 'or') return condition.of.flatMap(sourcesOf);
  if (condition.op === 'not') return sourcesOf(condition.of);
  return 'source' in condition ? [condition.source] : [];
}
