/**
 * The life of a device's credential, as data; the documentation and the tests are made from this table.
 *
 * What each state promises is on the disk *before* the effect that depends on it, so power may fail in every one:
 *
 * - `shipped`: nothing of any owner. Effect: ask for a voucher.
 * - `vouched`: a verified voucher is stored. Effect: make LAK and LDevID in the TPM, begin.
 * - `proving`: the key blobs are stored. Effect: begin and activate; software keys are fresh in each attempt.
 * - `enrolled`: credentials and ownership are stored.
 * - `renewing`: as `enrolled`, and a renewal is under way. Effect: renew; after a power cut it is asked again.
 * - `lapsed`: the owner revoked it: it keeps its keys, asks for nothing, and waits for a new voucher.
 */
export const enrolment = {
  shipped: { vouched: 'vouched' },
  vouched: { prepared: 'proving', refused: 'shipped' },
  proving: { issued: 'enrolled', refused: 'shipped' },
  enrolled: { expiring: 'renewing', cleared: 'shipped', revoked: 'lapsed' },
  renewing: { issued: 'enrolled', refused: 'enrolled', cleared: 'shipped', revoked: 'lapsed' },
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
