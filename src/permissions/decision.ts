import type { Arguments, ConfirmCondition, Risk } from '../grants/index.ts';
import type { Dependency, Explanation } from './evaluation.ts';
import type { Charge } from './limits.ts';

/** Somebody wants a device to do something. Nothing in it is an input of a condition. */
export interface ActionRequest {
  readonly device: string;
  readonly action: string;
  readonly arguments?: Arguments | undefined;
  /**
   * Every agent whose authority is needed, not empty: the one that asks and, when another acts for it, that one too.
   * Each must hold a grant that permits.
   */
  readonly subjects: readonly string[];
  /** Held grants that may be used (those of the token that came with the request). Without it: any the subjects hold. */
  readonly grants?: readonly string[] | undefined;
  /** Transaction identifier carried through every hop. */
  readonly txn?: string | undefined;
  readonly task?: string | undefined;
}

/** Why a decision came out so, from the first check to the last. */
export type Reason =
  /** Permitted. */
  | 'permitted'
  /** There is no such device, or it has no such action. */
  | 'unknown-action'
  /** An argument is missing, unknown, or not of its type and range. */
  | 'arguments'
  /** A house rule forbids it, or may: its condition is true or unknown. */
  | 'prohibited'
  /** A subject holds no grant for it. */
  | 'no-grant'
  /** The grant has ended. */
  | 'expired'
  /** It cannot be told whether the grant has ended: the clock is not trusted. */
  | 'time'
  /** Whether the grant was revoked was last known too long ago for an action of this risk. */
  | 'status'
  /** The grant does not cover these arguments. */
  | 'outside-grant'
  /** The condition is false. */
  | 'condition'
  /** The condition is neither true nor false. */
  | 'unknown'
  /** The limit is used up. */
  | 'limit'
  /** Everything else holds; a person has to confirm. */
  | 'confirmation';

/** What a person has to confirm before the same request is permitted. */
export interface ConfirmationNeeded {
  readonly by: ConfirmCondition['by'];
  /** SHA-256 (hex) of the canonical grants that ask for it. */
  readonly policy: string;
}

/** What was decided, and why. It never changes. */
export interface Decision {
  readonly id: string;
  readonly verdict: 'permit' | 'deny';
  readonly reason: Reason;
  /** The reason in a sentence, without names of inputs. */
  readonly message: string;
  /** The grant that permitted, or the grant or house rule that did not. */
  readonly rule: string | undefined;
  /** Grants that permitted, one for each subject. */
  readonly grants: readonly string[];
  readonly request: ActionRequest;
  readonly risk: Risk;
  /** The action brings the device into a safe state. */
  readonly safe: boolean;
  /** Milliseconds since 1970 as far as known: the lower bound. */
  readonly at: number;
  readonly explanation: Explanation;
  /** Earliest instant on the elapsed clock at which time alone can change it; `Infinity` when none. */
  readonly leaseUntil: number;
  /** Whose change can change it. */
  readonly dependencies: readonly Dependency[];
  /** What the permitting grants count, to be booked before the action. */
  readonly charges: readonly Charge[];
  /** For `confirmation`: what is missing. For a permit: what is used up by it. */
  readonly confirmations: readonly ConfirmationNeeded[];
}

/** The message of each reason. */
export const messages: Readonly<Record<Reason, string>> = {
  permitted: 'a grant permits it',
  'unknown-action': 'there is no such action',
  arguments: 'the arguments are not what the device takes',
  prohibited: 'a house rule forbids it',
  'no-grant': 'no grant covers it',
  expired: 'the grant has ended',
  time: 'the time is not known well enough',
  status: 'whether it was revoked is not known freshly enough',
  'outside-grant': 'the grant does not cover these arguments',
  condition: 'its condition does not hold',
  unknown: 'its condition cannot be told to hold',
  limit: 'its limit is used up',
  confirmation: 'a person has to confirm it',
};
