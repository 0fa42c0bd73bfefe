import fc from 'fast-check';
import type { Condition, Grant, Limit, Source } from '../../src/grants/index.ts';
import { ACTION_DETAILS } from '../../src/grants/index.ts';

/** Sources that {@link anyInputs} may or may not know. */
export const source: fc.Arbitrary<Source> = fc.constantFrom(
  { device: 'alarm' },
  { device: 'dog' },
  { peer: 'spiffe://x/agent/dog', stream: 'lidar' },
);

const leaf: fc.Arbitrary<Condition> = fc.oneof(
  fc.record({
    op: fc.constant('state' as const),
    source,
    property: fc.constantFrom('clear', 'level'),
    is: fc.constantFrom<(string | number | boolean)[]>(true, false, 5),
    maxAgeMs: fc.constantFrom(1_000, 60_000),
  }),
  fc.record({
    op: fc.constant('state' as const),
    source,
    property: fc.constantFrom('clear', 'level'),
    lt: fc.integer({ min: 0, max: 10 }),
    maxAgeMs: fc.constantFrom(1_000, 60_000),
  }),
  fc.record({
    op: fc.constant('state' as const),
    source,
    property: fc.constant('level'),
    ge: fc.double({ min: 0, max: 10, noNaN: true }),
    maxAgeMs: fc.constant(1_000),
  }),
  fc.record({
    op: fc.constant('state' as const),
    source,
    property: fc.constant('level'),
    in: fc.array(fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constantFrom('a', 'it\'s "b"\\')), {
      minLength: 1,
      maxLength: 3,
    }),
    maxAgeMs: fc.constant(1_000),
  }),
  fc.record({
    op: fc.constant('event' as const),
    source,
    event: fc.constantFrom('off', 'seen'),
    withinMs: fc.constantFrom(1_000, 300_000),
  }),
  fc.record({
    op: fc.constant('window' as const),
    zone: fc.constantFrom('Europe/Berlin', 'Australia/Lord_Howe', 'UTC', 'America/Port-au-Prince'),
    days: fc.subarray(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const, { minLength: 1 }),
    from: fc.constantFrom('00:00', '07:00', '22:30'),
    to: fc.constantFrom('06:00', '09:15', '24:00'),
  }),
  fc.record({
    op: fc.constant('geo' as const),
    source,
    latitude: fc.constantFrom(52.5, 0, -33.25),
    longitude: fc.constantFrom(13.4, 179.9999, -180),
    radiusM: fc.constantFrom(10, 500.5),
    maxAgeMs: fc.constant(5_000),
  }),
  fc.record({
    op: fc.constant('posture' as const),
    atLeast: fc.constantFrom('affirming' as const, 'warning' as const),
    maxAgeMs: fc.constant(60_000),
  }),
  fc.record(
    {
      op: fc.constant('domain' as const),
      task: fc.constantFrom('rescue-7', 'task with "quotes"\n'),
      mode: fc.constantFrom('observe' as const, 'suggest' as const, 'actuate' as const),
    },
    { requiredKeys: ['op', 'task'] },
  ),
  fc.record({ op: fc.constant('expires' as const), at: fc.constantFrom(0, 1_795_514_400, 4_000_000_000) }),
  fc.record(
    {
      op: fc.constant('sun' as const),
      latitude: fc.constantFrom(52.5, -33.25),
      longitude: fc.constantFrom(13.4, -0.5),
      from: fc.constant('sunset' as const),
      to: fc.constant('sunrise' as const),
      fromOffsetMin: fc.constantFrom(-30, 15),
      toOffsetMin: fc.constantFrom(-30, 15),
    },
    { requiredKeys: ['op', 'latitude', 'longitude', 'from', 'to'] },
  ),
);

/** A random condition without `confirm`. */
export const condition: fc.Arbitrary<Condition> = fc.letrec<{ node: Condition }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    leaf,
    fc.record({
      op: fc.constantFrom('and' as const, 'or' as const),
      of: fc.array(tie('node'), { minLength: 1, maxLength: 3 }),
    }),
    fc.record({ op: fc.constant('not' as const), of: tie('node') }),
  ),
})).node;

const argumentLimit = fc.oneof(
  fc
    .tuple(fc.integer({ min: 0, max: 10 }), fc.integer({ min: 0, max: 10 }))
    .map(([a, b]) => ({ min: Math.min(a, b), max: Math.max(a, b) })),
  fc.record({ max: fc.integer({ min: 0, max: 10 }) }),
  fc.record({ oneOf: fc.uniqueArray(fc.integer({ min: 0, max: 10 }), { minLength: 1, maxLength: 4 }) }),
);

const limit: fc.Arbitrary<Limit> = fc.oneof(
  fc.record(
    {
      kind: fc.constant('count' as const),
      max: fc.integer({ min: 1, max: 4 }),
      perMs: fc.constantFrom(1_000, 60_000),
    },
    { requiredKeys: ['kind', 'max'] },
  ),
  fc.record({
    kind: fc.constant('volume' as const),
    argument: fc.constant('speed'),
    max: fc.integer({ min: 1, max: 20 }),
  }),
);

/** A random grant over the device `vehicle`. */
export const grant: fc.Arbitrary<Grant> = fc
  .record(
    {
      actions: fc.subarray(['drive', 'lift', 'honk'], { minLength: 1 }),
      speed: argumentLimit,
      condition,
      limits: fc.array(limit, { maxLength: 2 }),
      task: fc.constantFrom('rescue-7', 'rescue-8'),
      until: fc.constantFrom(1_795_514_000, 1_795_515_000, 1_795_516_000),
    },
    { requiredKeys: ['actions'] },
  )
  .map(({ speed, actions, ...rest }) => ({
    type: ACTION_DETAILS,
    locations: ['spiffe://x/agent/vehicle'],
    device: 'vehicle',
    actions,
    ...(speed !== undefined && actions.includes('drive') ? { arguments: { drive: { speed } } } : {}),
    ...rest,
  }));
