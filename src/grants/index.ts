export { BOUNDS, readCondition, readGrant, readGrants, readLimit, readProhibition } from './check.ts';
export type {
  Condition,
  ConfirmCondition,
  DomainCondition,
  EventCondition,
  ExpiresCondition,
  GeoCondition,
  PostureCondition,
  Source,
  StateCondition,
  SunCondition,
  Weekday,
  WindowCondition,
} from './condition.ts';
export { checkAgainst, checkProhibition, readDescription } from './describe-check.ts';
export type {
  ActionDescription,
  Arguments,
  Device,
  DeviceDescription,
  DeviceReports,
  Driver,
  DriverContext,
  EventDescription,
  Position,
  PropertyDescription,
  Risk,
  Running,
  Twin,
  ValueSchema,
} from './device.ts';
export { defineDevice } from './device.ts';
export { GrantMalformed, GrantMismatch, GrantText, GrantWider } from './errors.ts';
export type { ArgumentLimit, Grant, HeldGrant, Prohibition } from './grant.ts';
export { ACTION_DETAILS } from './grant.ts';
export type { Limit } from './limit.ts';
export { isZone } from './meaning.ts';
export type { Narrowing } from './narrowing.ts';
export { narrow, narrows, narrowsAll, passes } from './narrowing.ts';
export { parseCondition, writeCondition } from './text.ts';
