import type { Condition } from './condition.ts';
import type { Limit } from './limit.ts';

/** The `type` of our `authorization_details` objects (RFC 9396 §2). */
export const ACTION_DETAILS = 'fealty/action';

/** What an argument of an action may be. A member that is absent does not limit. */
export interface ArgumentLimit {
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  readonly oneOf?: readonly (string | number | boolean)[] | undefined;
}

/**
 * One `authorization_details` object: which device and actions at which agent, with which arguments,
 * under which condition, how often, for which task, until when (design.md section 6).
 * *Who* is the token's `client_id` or the assignment's subject, never a member of this object.
 */
export interface Grant {
  readonly type: typeof ACTION_DETAILS;
  /** Agents that enforce it, by identifier (RFC 9396 `locations`). Not empty. */
  readonly locations: readonly string[];
  /** Name of the device at that agent, for example `arm`. */
  readonly device: string;
  /** Not empty. */
  readonly actions: readonly string[];
  /** By action, by argument. */
  readonly arguments?: Readonly<Record<string, Readonly<Record<string, ArgumentLimit>>>> | undefined;
  readonly condition?: Condition | undefined;
  readonly limits?: readonly Limit[] | undefined;
  /** Task it is for; gone when the task ends (CP-05). */
  readonly task?: string | undefined;
  /** NumericDate, seconds since 1970. */
  readonly until?: number | undefined;
}

/**
 * A prohibition: what no grant can widen (a house rule). It fires when its condition is true *or unknown*;
 * without a condition, always.
 */
export interface Prohibition {
  readonly id: string;
  /** Device name, or `*`. */
  readonly device: string;
  /** Actions, or `*`. */
  readonly actions: readonly string[] | '*';
  readonly condition?: Condition | undefined;
  /** Said to whoever is refused. */
  readonly reason: string;
}

/** A grant in the hands of its enforcement point: what is compiled and indexed. */
export interface HeldGrant {
  /** Unique: token `jti` or assignment id, with the index in its `authorization_details`: `<jti>#0`. */
  readonly id: string;
  readonly grant: Grant;
  /** Identifier of the agent that may use it. */
  readonly subject: string;
  /** Root of the family; limits are counted under it. */
  readonly family: string;
  /** Held grants it was narrowed from, nearest first; every one is evaluated too. */
  readonly ancestors: readonly HeldGrant[];
  /** Revocation tags with the generation at issue, for example `{ "task:rescue-7": 3, "client:spiffe://…": 1 }`. */
  readonly tags: Readonly<Record<string, number>>;
  /** NumericDate after which it is nothing, whatever `grant.until` says. */
  readonly exp: number;
}
