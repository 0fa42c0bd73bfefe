import { fromHex } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import { canonicalBytes } from '../core/json.ts';
import { domainSeparated } from '../core/names.ts';
import { v } from '../core/schema.ts';

/**
 * What an agent measures before it uses it. `start` marks each start of the agent within one boot of the machine;
 * after it, what was measured before no longer runs.
 */
export const measurementKinds = ['start', 'bundle', 'configuration', 'driver', 'model', 'policy'] as const;
/** One of {@link measurementKinds}. */
export type MeasurementKind = (typeof measurementKinds)[number];

/** One entry of the runtime log. */
export interface Measurement {
  readonly kind: MeasurementKind;
  /** File, device or model name; for `start` the version of the agent. */
  readonly name: string;
  /** SHA-256 of what was measured, lower-case hex; 64 zeros for `start`. */
  readonly digest: string;
}

/** Largest number of entries in one boot. */
export const RUNTIME_LOG_MAX = 1024;

/** The PCR the agent extends by default. PCRs 16 to 23 can be reset by software, so they prove nothing. */
export const RUNTIME_PCR = 12;

/** Digest of a `start` entry: it measures nothing. */
export const NO_DIGEST = '0'.repeat(64);

/** The form of one entry. */
export const measurementSchema = v.strictObject({
  kind: v.picklist(measurementKinds),
  name: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
  digest: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
});

/** What the PCR is extended with for one entry: SHA-256("fealty/measurement/v1" ‖ 0 ‖ canonical JSON). */
export function measurementDigest(entry: Measurement): Uint8Array {
  return sha256(domainSeparated('measurement', canonicalBytes(entry)));
}

/** The value of a SHA-256 PCR that was zero and then extended with each entry (Part 1 §17.2). */
export function replay(entries: readonly Measurement[]): Uint8Array {
  let value: Uint8Array = new Uint8Array(32);
  for (const entry of entries) value = sha256(value, measurementDigest(entry));
  return value;
}

/** The entries since the last `start`: what runs now. */
export function current(entries: readonly Measurement[]): readonly Measurement[] {
  return entries.slice(entries.findLastIndex((entry) => entry.kind === 'start') + 1);
}

/** A measurement of `content`. */
export function measure(kind: MeasurementKind, name: string, content: Uint8Array): Measurement {
  return { kind, name, digest: Buffer.from(sha256(content)).toString('hex') };
}

/** PCR values as they travel: lower-case hex by decimal index. @throws {Malformed} */
export function readPcrs(values: Readonly<Record<string, string>>): ReadonlyMap<number, Uint8Array> {
  const read = new Map<number, Uint8Array>();
  for (const [name, value] of Object.entries(values)) {
    const index = Number(name);
    if (String(index) !== name || !Number.isInteger(index) || index < 0 || index > 23)
      throw new Malformed('not a PCR index');
    read.set(index, fromHex(value));
  }
  return read;
}
