/**
 * When a grant may be used: typed JSON inside `authorization_details` (CP-01, CP-03).
 * Evaluated in three-valued (Kleene) logic: what is missing, stale, of the wrong type or not yet trusted is *unknown*,
 * and unknown never permits.
 */
export type Condition =
  | { readonly op: 'and' | 'or'; readonly of: readonly Condition[] }
  | { readonly op: 'not'; readonly of: Condition }
  | WindowCondition
  | SunCondition
  | EventCondition
  | StateCondition
  | GeoCondition
  | PostureCondition
  | DomainCondition
  | ExpiresCondition
  | ConfirmCondition;

/** `mon` … `sun`. */
export type Weekday = 'mon' | 'tue' | 'wed' | 'thu' | 'fri' | 'sat' | 'sun';

/** Local wall-clock window, half-open [from, to); one over midnight belongs to the day on which it starts. */
export interface WindowCondition {
  readonly op: 'window';
  /** IANA time zone, for example `Europe/Berlin`. */
  readonly zone: string;
  /** Not empty. */
  readonly days: readonly Weekday[];
  /** `HH:MM`. */
  readonly from: string;
  /** `HH:MM`, not equal to `from`; `24:00` is allowed. */
  readonly to: string;
}

/** Between two solar instants at a place, with offsets in minutes. */
export interface SunCondition {
  readonly op: 'sun';
  readonly latitude: number;
  readonly longitude: number;
  /** True from this instant … */
  readonly from: 'sunrise' | 'sunset';
  /** … until this one. */
  readonly to: 'sunrise' | 'sunset';
  readonly fromOffsetMin?: number | undefined;
  readonly toOffsetMin?: number | undefined;
}

/** An event of a source happened at most `withinMs` ago. */
export interface EventCondition {
  readonly op: 'event';
  readonly source: Source;
  /** Name of the event in the device's description, for example `alarm-off`. */
  readonly event: string;
  readonly withinMs: number;
}

/** A property of a source compares so, and was reported at most `maxAgeMs` ago. */
export interface StateCondition {
  readonly op: 'state';
  readonly source: Source;
  readonly property: string;
  /** Exactly one comparison. */
  readonly is?: string | number | boolean | undefined;
  readonly lt?: number | undefined;
  readonly le?: number | undefined;
  readonly gt?: number | undefined;
  readonly ge?: number | undefined;
  readonly in?: readonly (string | number)[] | undefined;
  readonly maxAgeMs: number;
}

/** The whole error circle of a position fix lies inside a circle: distance + accuracy ≤ radius. */
export interface GeoCondition {
  readonly op: 'geo';
  readonly source: Source;
  readonly latitude: number;
  readonly longitude: number;
  readonly radiusM: number;
  readonly maxAgeMs: number;
}

/** The verifier's attestation result of this agent is at least so good and at most so old. */
export interface PostureCondition {
  readonly op: 'posture';
  readonly atLeast: 'affirming' | 'warning';
  readonly maxAgeMs: number;
}

/** This agent is a live member of the task's domain, at least in this mode. */
export interface DomainCondition {
  readonly op: 'domain';
  readonly task: string;
  /** Default: `actuate`. */
  readonly mode?: 'observe' | 'suggest' | 'actuate' | undefined;
}

/** Before this instant (NumericDate, seconds since 1970). */
export interface ExpiresCondition {
  readonly op: 'expires';
  readonly at: number;
}

/** A person confirmed this very action out of band. Only at the top-level `and`, asked last. */
export interface ConfirmCondition {
  readonly op: 'confirm';
  /** Who may confirm, an identifier of a person or role of the owner. */
  readonly by: string;
}

/**
 * Where an input comes from: a device of this agent, or a stream of a named peer in the task's domain.
 * Never the caller.
 */
export type Source = { readonly device: string } | { readonly peer: string; readonly stream: string };
