import { v } from '../core/schema.ts';
import type { Condition } from './condition.ts';
import { GrantMalformed } from './errors.ts';
import type { Grant, Prohibition } from './grant.ts';
import { ACTION_DETAILS } from './grant.ts';
import type { Limit } from './limit.ts';
import { checkConditionMeaning, checkGrantMeaning } from './meaning.ts';

/** Bounds of everything that is read: enough for people, too small for an attack. */
export const BOUNDS = {
  /** Deepest nesting of `and`, `or`, `not`. */
  conditionDepth: 16,
  /** Conditions in one tree, leaves and branches. */
  conditionNodes: 256,
  /** Grants in one `authorization_details`. */
  grants: 512,
  /** Longest identifier or text. */
  text: 512,
  /** Longest list. */
  list: 64,
} as const;

/** A condition from outside. @throws {GrantMalformed} naming the path of what is wrong. */
export function readCondition(json: unknown): Condition {
  return read(ConditionSchema, json, (condition) => checkConditionMeaning(condition, '', 'grant'));
}

/** A limit from outside. @throws {GrantMalformed} */
export function readLimit(json: unknown): Limit {
  return read(LimitSchema, json, () => {});
}

/** One `authorization_details` object of ours, from outside. @throws {GrantMalformed} naming the path of what is wrong. */
export function readGrant(json: unknown): Grant {
  return read(GrantSchema, json, (grant) => checkGrantMeaning(grant, ''));
}

/** A whole `authorization_details` array, every member of it ours. @throws {GrantMalformed} */
export function readGrants(json: unknown): readonly Grant[] {
  return read(GrantsSchema, json, (grants) => {
    for (const [index, grant] of grants.entries()) checkGrantMeaning(grant, `${index}.`);
  });
}

/** A house rule from outside. @throws {GrantMalformed} */
export function readProhibition(json: unknown): Prohibition {
  return read(ProhibitionSchema, json, ({ condition }) => {
    if (condition !== undefined) checkConditionMeaning(condition, 'condition', 'prohibition');
  });
}

/** @internal Shape, then meaning; whatever is wrong becomes one error with its path. */
export function read<T>(schema: v.GenericSchema<unknown, T>, json: unknown, meaning: (value: T) => void): T {
  refuseDeep(json, '', 0, { nodes: 0 });
  const result = v.safeParse(schema, json, { abortEarly: true });
  if (!result.success) {
    const [issue] = result.issues;
    const path = v.getDotPath(issue) ?? '';
    if (issue.type === 'strict_object' && issue.expected === 'never')
      throw new GrantMalformed(path, 'is not a member this version knows');
    throw new GrantMalformed(path, issue.message);
  }
  meaning(result.output);
  return result.output;
}

/** Before any schema recurses: bounded depth and size, and no name that a record would silently drop. */
function refuseDeep(json: unknown, path: string, depth: number, seen: { nodes: number }): void {
  if (typeof json !== 'object' || json === null) return;
  if (depth > 2 * BOUNDS.conditionDepth + 8) throw new GrantMalformed('', 'is nested too deep');
  if (++seen.nodes > 16_384) throw new GrantMalformed('', 'is too large');
  for (const name of Object.getOwnPropertyNames(json)) {
    if (name === '__proto__' || name === 'constructor' || name === 'prototype')
      throw new GrantMalformed(`${path}${name}`, 'is not a name anything may have');
    refuseDeep((json as Record<string, unknown>)[name], `${path}${name}.`, depth + 1, seen);
  }
}

/** @internal Lower case with dashes: devices and actions. */
export const DashedName = v.pipe(
  v.string(),
  v.regex(/^[a-z][a-z0-9-]{0,63}$/, 'must be lower case with dashes, at most 64 characters'),
);
/** @internal Properties, events, arguments, streams. */
export const Name = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z][A-Za-z0-9_.-]{0,63}$/, 'must be a name of letters, digits, `_`, `.`, `-`'),
);
/** @internal */
export const Text = v.pipe(
  v.string(),
  v.minLength(1, 'must not be empty'),
  v.maxLength(BOUNDS.text, `must be at most ${BOUNDS.text} characters`),
);
/** @internal */
export const Finite = v.pipe(v.number(), v.finite('must be a finite number'));
const Seconds = v.pipe(
  v.number(),
  v.safeInteger('must be a whole number of seconds'),
  v.minValue(0, 'must not be negative'),
);
const Duration = v.pipe(
  v.number(),
  v.safeInteger('must be a whole number of milliseconds'),
  v.minValue(1, 'must be at least 1'),
);
const Scalar = v.union([v.pipe(v.string(), v.maxLength(BOUNDS.text)), Finite, v.boolean()]);
const Latitude = v.pipe(
  Finite,
  v.minValue(-90, 'must be at least -90'),
  v.maxValue(90, 'must be at most 90'),
);
const Longitude = v.pipe(
  Finite,
  v.minValue(-180, 'must be at least -180'),
  v.maxValue(180, 'must be at most 180'),
);
const OffsetMin = v.pipe(
  v.number(),
  v.safeInteger('must be a whole number of minutes'),
  v.minValue(-720, 'must be at least -720'),
  v.maxValue(720, 'must be at most 720'),
);
const list = <S extends v.GenericSchema>(item: S) =>
  v.pipe(
    v.array(item),
    v.minLength(1, 'must not be empty'),
    v.maxLength(BOUNDS.list, `must have at most ${BOUNDS.list} members`),
  );
const uniqueList = <S extends v.GenericSchema>(item: S) =>
  v.pipe(
    list(item),
    v.check((values) => new Set(values).size === values.length, 'must not name anything twice'),
  );

const Source = v.union(
  [v.strictObject({ device: DashedName }), v.strictObject({ peer: Text, stream: Name })],
  'must be `{ device }` or `{ peer, stream }`',
);

/** @internal The schema of {@link Condition}. */
export const ConditionSchema: v.GenericSchema<unknown, Condition> = v.lazy(() =>
  v.variant('op', [
    v.strictObject({ op: v.picklist(['and', 'or']), of: list(ConditionSchema) }),
    v.strictObject({ op: v.literal('not'), of: ConditionSchema }),
    v.strictObject({
      op: v.literal('window'),
      zone: Text,
      days: uniqueList(v.picklist(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'])),
      from: v.pipe(v.string(), v.regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'must be `HH:MM`')),
      to: v.pipe(v.string(), v.regex(/^(([01]\d|2[0-3]):[0-5]\d|24:00)$/, 'must be `HH:MM`')),
    }),
    v.strictObject({
      op: v.literal('sun'),
      latitude: Latitude,
      longitude: Longitude,
      from: v.picklist(['sunrise', 'sunset']),
      to: v.picklist(['sunrise', 'sunset']),
      fromOffsetMin: v.optional(OffsetMin),
      toOffsetMin: v.optional(OffsetMin),
    }),
    v.strictObject({ op: v.literal('event'), source: Source, event: Name, withinMs: Duration }),
    v.strictObject({
      op: v.literal('state'),
      source: Source,
      property: Name,
      is: v.optional(Scalar),
      lt: v.optional(Finite),
      le: v.optional(Finite),
      gt: v.optional(Finite),
      ge: v.optional(Finite),
      in: v.optional(list(v.union([v.string(), Finite]))),
      maxAgeMs: Duration,
    }),
    v.strictObject({
      op: v.literal('geo'),
      source: Source,
      latitude: Latitude,
      longitude: Longitude,
      radiusM: v.pipe(Finite, v.gtValue(0, 'must be more than 0')),
      maxAgeMs: Duration,
    }),
    v.strictObject({
      op: v.literal('posture'),
      atLeast: v.picklist(['affirming', 'warning']),
      maxAgeMs: Duration,
    }),
    v.strictObject({
      op: v.literal('domain'),
      task: Text,
      mode: v.optional(v.picklist(['observe', 'suggest', 'actuate'])),
    }),
    v.strictObject({ op: v.literal('expires'), at: Seconds }),
    v.strictObject({ op: v.literal('confirm'), by: Text }),
  ]),
);

/** @internal The schema of {@link Limit}. */
export const LimitSchema: v.GenericSchema<unknown, Limit> = v.pipe(
  v.strictObject({
    kind: v.picklist(['count', 'volume']),
    argument: v.optional(Name),
    max: v.pipe(Finite, v.gtValue(0, 'must be more than 0')),
    perMs: v.optional(Duration),
  }),
  v.check(
    ({ kind, argument }) => (kind === 'volume') === (argument !== undefined),
    'only a `volume` names an `argument`, and it must',
  ),
  v.check(
    ({ kind, max }) => kind === 'volume' || Number.isSafeInteger(max),
    'a `count` must be a whole number',
  ),
);

const ArgumentLimitSchema = v.pipe(
  v.strictObject({
    min: v.optional(Finite),
    max: v.optional(Finite),
    oneOf: v.optional(list(Scalar)),
  }),
  v.check(
    ({ min, max, oneOf }) => min !== undefined || max !== undefined || oneOf !== undefined,
    'must limit something',
  ),
  v.check(
    ({ min, max }) => min === undefined || max === undefined || min <= max,
    '`min` must not exceed `max`',
  ),
);

const GrantSchema: v.GenericSchema<unknown, Grant> = v.strictObject({
  type: v.literal(ACTION_DETAILS),
  locations: uniqueList(Text),
  device: DashedName,
  actions: uniqueList(DashedName),
  arguments: v.optional(v.record(DashedName, v.record(Name, ArgumentLimitSchema))),
  condition: v.optional(ConditionSchema),
  limits: v.optional(v.pipe(v.array(LimitSchema), v.maxLength(16, 'must have at most 16 members'))),
  task: v.optional(Text),
  until: v.optional(Seconds),
});

const GrantsSchema: v.GenericSchema<unknown, readonly Grant[]> = v.pipe(
  v.array(GrantSchema),
  v.minLength(1, 'must not be empty'),
  v.maxLength(BOUNDS.grants, `must have at most ${BOUNDS.grants} members`),
);

const ProhibitionSchema: v.GenericSchema<unknown, Prohibition> = v.strictObject({
  id: Text,
  device: v.union([v.literal('*'), DashedName], 'must be a device name or `*`'),
  actions: v.union([v.literal('*'), uniqueList(DashedName)], 'must be a list of actions or `*`'),
  condition: v.optional(ConditionSchema),
  reason: Text,
});
