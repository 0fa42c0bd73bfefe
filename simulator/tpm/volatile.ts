import { Malformed } from '../../src/core/errors.ts';
import { check, v } from '../../src/core/schema.ts';
import { frame, framed } from './frame.ts';
import type { Hierarchy } from './hierarchy.ts';
import type { Machine } from './machine.ts';
import type { NvIndex } from './nv.ts';
import { decodePlain, encodePlain, shapeOf } from './plain.ts';

/** Everything in a {@link Machine} that a power cut takes, member by member: a new one is a line here. */
const members = [
  'started',
  'powered',
  'locality',
  'physicalPresence',
  'afterOrderly',
  'fromThree',
  'enabled',
  'failuresSince',
  'lockoutSince',
  'banks',
  'pcrUpdateCounter',
  'pcrAuthority',
  'reallocated',
  'hcrtm',
  'objects',
  'sequences',
  'commitments',
  'sessions',
  'saved',
  'contextCounter',
  'objectContextCounter',
  'clearCount',
  'exclusiveAudit',
] as const satisfies readonly (keyof Machine)[];

const volatileSchema = v.strictObject({
  version: v.literal(1),
  /** TPMS_TIME_INFO.time. */
  time: v.pipe(v.number(), v.integer(), v.minValue(0)),
  epoch: v.bigint(),
  /** What orderly indices hold beyond what is stored of them, by handle. */
  ram: v.map(v.number(), v.record(v.string(), v.unknown())),
  nullHierarchy: v.record(v.string(), v.unknown()),
  members: v.record(v.string(), v.unknown()),
});

/** The volatile state as bytes: with the permanent one, all that a TPM is at a moment. */
export function encodeVolatile(chip: Machine): Uint8Array {
  // `null` stands for what is not there at the moment.
  const values = Object.fromEntries(members.map((name) => [name, chip[name] ?? null]));
  return frame(
    encodePlain({
      version: 1,
      time: chip.time,
      epoch: chip.timeEpoch,
      ram: ramOf(chip),
      nullHierarchy: chip.hierarchies.null,
      members: values,
    }),
  );
}

/** Whether `bytes` are of {@link encodeVolatile}; what they hold. @throws {Malformed} */
export function decodeVolatile(bytes: Uint8Array): v.InferOutput<typeof volatileSchema> {
  const content = framed(bytes);
  if (content === undefined) throw new Malformed('the volatile state of the software TPM is damaged');
  return check(volatileSchema, decodePlain(content), 'volatile state of the software TPM');
}

/** Goes on where {@link encodeVolatile} was. @throws {Malformed} */
export function resumeVolatile(chip: Machine, bytes: Uint8Array): void {
  const { time, epoch, ram, nullHierarchy, members: stored } = decodeVolatile(bytes);
  const values: Record<string, unknown> = {};
  for (const name of members) {
    const value = stored[name] ?? undefined;
    const comparable = value !== undefined && chip[name] !== undefined;
    if (!(name in stored) || (comparable && kindOf(value) !== kindOf(chip[name])))
      throw new Malformed('the volatile state of the software TPM is of another version');
    values[name] = value;
  }
  Object.assign(chip, values);
  for (const [handle, held] of ram) Object.assign(chip.nv.get(handle) ?? {}, held);
  chip.hierarchies.null = nullHierarchy as unknown as Hierarchy;
  chip.resumeTime(time, epoch);
}

/** Remembers the volatile state; the function that is returned brings it back. */
export function rememberVolatile(chip: Machine): () => void {
  // What an object is does not change while it is loaded; sessions do.
  const values = members.map((name) => [
    name,
    name === 'objects' ? new Map(chip.objects) : shapeOf<unknown>(chip[name]),
  ]);
  const nullHierarchy = { ...chip.hierarchies.null };
  const { time, timeEpoch } = chip;
  const ram = ramOf(chip);
  return () => {
    Object.assign(chip, Object.fromEntries(values));
    for (const [handle, held] of ram) Object.assign(chip.nv.get(handle) ?? {}, held);
    chip.hierarchies.null = nullHierarchy;
    chip.resumeTime(time, timeEpoch);
  };
}

function ramOf(chip: Machine): Map<number, Pick<NvIndex, 'publicArea' | 'data'>> {
  const orderly = [...chip.nv.values()].filter(({ kept }) => kept !== undefined);
  return new Map(orderly.map(({ handle, publicArea, data }) => [handle, { publicArea, data }]));
}

function kindOf(value: unknown): string {
  if (value instanceof Map) return 'map';
  return Array.isArray(value) ? 'list' : typeof value;
}
