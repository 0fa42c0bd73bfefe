export type { Check } from './checks.ts';
export { CHECKS } from './checks.ts';
export type { DeviceIdentity } from './device-identity.ts';
export { openDeviceIdentity } from './device-identity.ts';
export type { VoucherCheck } from './errors.ts';
export {
  CredentialsRefused,
  EnrolmentRefused,
  NotManufactured,
  RegistrarFailed,
  VoucherRefused,
  WrongAuthority,
} from './errors.ts';
export type { Enrolled, PledgeOptions } from './pledge.ts';
export { Pledge } from './pledge.ts';
export { renewalTime } from './pledge-credentials.ts';
export type { EnrolmentEvent, EnrolmentState } from './state.ts';
export { ENROLMENT_STATES, enrolment, next } from './state.ts';
