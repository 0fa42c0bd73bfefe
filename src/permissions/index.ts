export type { AuthZenDecision } from './authzen.ts';
export { evaluateAllAuthZen, evaluateAuthZen } from './authzen.ts';
export type { Confirmation } from './confirmation.ts';
export { Confirmations, policyDigest } from './confirmation.ts';
export type { ActionRequest, ConfirmationNeeded, Decision, Reason } from './decision.ts';
export {
  DriverFailed,
  GrantElsewhere,
  GrantRevoked,
  NotRecorded,
  PermissionDenied,
  StillRunning,
  TooMany,
} from './errors.ts';
export type { Dependency, Explanation } from './evaluation.ts';
export { duration } from './evaluation.ts';
export { explain } from './explain.ts';
export { Generations } from './generations.ts';
export { DeviceHost } from './host.ts';
export type { Cell, ReportOptions } from './inputs.ts';
export { Inputs } from './inputs.ts';
export type { DecideOptions, JudgeOptions } from './judge.ts';
export type { LeaseEnd } from './lease.ts';
export type { Charge } from './limits.ts';
export { Limits } from './limits.ts';
export type { Permissions, PermissionsOptions } from './open.ts';
export { openPermissions } from './open.ts';
export type { PdpOptions } from './pdp.ts';
export { Pdp } from './pdp.ts';
export type { PepOptions, PermissionEvents } from './pep.ts';
export { Pep } from './pep.ts';
export type { Outcome, RunningAction } from './perform.ts';
export type { DomainSource, PostureSource, StatusSource, World } from './sources.ts';
export type { Supposed } from './suppose.ts';
export { supposing } from './suppose.ts';
export { TimeTrust } from './time.ts';
