/**
 * The life of a device's credential, as data; the documentation and the tests are made from this table.
 *
 * What each state promises is on the disk *before* the effect that depends on it, so power may fail in every one:
 *
 * - `shipped`: nothing of any owner. Effect: ask for a voucher.
 * - `vouched`: a verified voucher is stored. Effect: draw auth values.
 * - `proving`: the auth values are stored. Effect: make LAK and LDevID, begin, activate; software keys are fresh in each
 *   attempt.
 * - `enrolled`: credentials are stored, and the TPM remembers the owner. Effect: none until they are renewed.
 * - `renewing`: as `enrolled`, and a renewal is under way. Effect: renew; after a power cut it is asked for again.
 * - `lapsed`: the owner revoked it: it keeps its keys and asks for nothing until a person releases it.
 */
export const enrolment = {
  shipped: { vouched: 'vouched' },
  vouched: { prepared: 'proving', released: 'shipped' },
  proving: { issued: 'enrolled', refused: 'shipped', released: 'shipped' },
  enrolled: { expiring: 'renewing', cleared: 'shipped', released: 'shipped' },
  renewing: {
    issued: 'enrolled',
    refused: 'enrolled',
    revoked: 'lapsed',
    cleared: 'shipped',
    released: 'shipped',
  },
  lapsed: { released: 'shipped' },
} as const;

/** A state of {@link enrolment}. */
export type EnrolmentState = keyof typeof enrolment;

/** Something that moves a device from one state to another. */
export type EnrolmentEvent = {
  [S in EnrolmentState]: keyof (typeof enrolment)[S];
}[EnrolmentState];

/** Every state, in the order of a device's life. */
export const ENROLMENT_STATES = Object.keys(enrolment) as readonly EnrolmentState[];

/** Where `event` leads from `state`; `undefined` when it means nothing there. */
export function next(state: EnrolmentState, event: EnrolmentEvent): EnrolmentState | undefined {
  const row: Readonly<Partial<Record<EnrolmentEvent, EnrolmentState>>> = enrolment[state];
  return Object.hasOwn(row, event) ? row[event] : undefined;
}
