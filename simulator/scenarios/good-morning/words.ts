import type { Condition, Grant, Prohibition } from '../../../src/grants/index.ts';
import type { Routine } from '../../../src/hub/index.ts';
import { zoneClock } from '../../../src/permissions/zone.ts';

/** Names of the story, once. */
export const TRUST_DOMAIN = 'home.example';
/** The hub, as everybody knows it. */
export const HUB_ID = `spiffe://${TRUST_DOMAIN}/agent/hub`;
/** Where the house is, for whoever asks what time it is. */
export const ZONE = 'Europe/Berlin';
/** What the hub is when it leaves the maker's line. */
export const PRODUCT = { serial: 'HUB-0023', model: 'Home hub 2' };
/** Where the authority answers, inside the hub itself. */
export const AUTHORITY_URL = 'https://hub.home.example';

const WORKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri'] as const;

/** The morning: workdays from 07:00 to 07:30, within five minutes of the alarm, while somebody is at home. */
export const MORNING: Condition = {
  op: 'and',
  of: [
    { op: 'window', zone: ZONE, days: WORKDAYS, from: '07:00', to: '07:30' },
    { op: 'event', source: { device: 'thermostat' }, event: 'alarm-off', withinMs: 5 * 60_000 },
    {
      op: 'state',
      source: { device: 'thermostat' },
      property: 'occupied',
      is: true,
      maxAgeMs: 2 * 60_000,
    },
  ],
};

function granted(
  device: string,
  action: string,
  limits: Readonly<Record<string, { readonly min?: number; readonly max?: number }>>,
): Grant {
  return {
    type: 'fealty/action',
    locations: [HUB_ID],
    device,
    actions: [action],
    arguments: { [action]: limits },
    condition: MORNING,
  };
}

/** What the owner grants the hub, once. */
export const OWNERS_GRANTS: readonly Grant[] = [
  granted('bedroom-light', 'set-brightness', { level: { max: 80 } }),
  granted('thermostat', 'set-temperature', { target: { max: 22 } }),
  granted('coffee-maker', 'brew', { cups: { max: 2 } }),
  granted('blinds', 'set-open', { percent: { min: 0, max: 100 } }),
];

/** What the owner grants on top, without any condition, and in vain. */
export const UNLOCK_GRANT: Grant = {
  type: 'fealty/action',
  locations: [HUB_ID],
  device: 'front-door',
  actions: ['unlock'],
};

/** The house rule: no grant widens it. */
export const HOUSE_RULE: Prohibition = {
  id: 'front-door-by-hand',
  device: 'front-door',
  actions: ['unlock'],
  reason: 'the front door is opened by hand, never by a program',
};

/** What is chosen by chance: how bright, how warm, how many cups. */
export interface Taste {
  readonly level: number;
  readonly target: number;
  readonly cups: number;
}

/** What the home does by itself. */
export function routinesOf({ level, target, cups }: Taste): readonly Routine[] {
  return [
    {
      name: 'good-morning',
      trigger: { event: { device: 'thermostat', event: 'alarm-off' } },
      actions: [
        { device: 'bedroom-light', action: 'set-brightness', arguments: { level } },
        { device: 'thermostat', action: 'set-temperature', arguments: { target } },
        { device: 'coffee-maker', action: 'brew', arguments: { cups } },
        { device: 'blinds', action: 'set-open', arguments: { percent: 100 } },
      ],
    },
    {
      name: 'bright-morning',
      actions: [
        { device: 'bedroom-light', action: 'set-brightness', arguments: { level: 100 } },
        { device: 'thermostat', action: 'set-temperature', arguments: { target: 26 } },
        { device: 'coffee-maker', action: 'brew', arguments: { cups: 6 } },
      ],
    },
    { name: 'open-house', actions: [{ device: 'front-door', action: 'unlock' }] },
  ];
}

/**
 * A wall-clock time in the house, in milliseconds since 1970.
 *
 * @param day `2026-10-23` @param time `07:05:30` or `07:05`
 */
export function berlin(day: string, time: string): number {
  const asUtc = Date.parse(`${day}T${time.padEnd(8, ':00')}Z`);
  const wanted = Number(time.slice(0, 2)) * 60 + Number(time.slice(3, 5));
  for (const offset of [1, 2]) {
    const at = asUtc - offset * 3_600_000;
    if (zoneClock(ZONE).fields(at).minute === wanted) return at;
  }
  throw new TypeError(`there is no ${time} in ${ZONE} on ${day}`);
}
