import { v } from './schema.ts';

/** WIT claim that lists what the ACA says an agent can do, sorted: the registry compares registrations with it. */
export const CAPABILITIES_CLAIM = 'fealty/capabilities';

/** A capability: lower-case words joined by dots, for example `lidar` or `arm.lift`; at most 64 characters. */
export const capabilitySchema = v.pipe(
  v.string(),
  v.maxLength(64),
  v.regex(/^[a-z][a-z0-9-]*(?:\.[a-z][a-z0-9-]*)*$/),
);

/** A set of capabilities: at most 64, sorted, none twice, so that two sets are equal exactly when their texts are. */
export const capabilitiesSchema = v.pipe(
  v.array(capabilitySchema),
  v.maxLength(64),
  v.check((list) => list.every((name, i) => i === 0 || (list[i - 1] ?? '') < name), 'sorted capabilities'),
);

/** `capabilities` sorted and without repetition. */
export function sortedCapabilities(capabilities: Iterable<string>): readonly string[] {
  return [...new Set(capabilities)].sort();
}
