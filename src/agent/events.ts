import type { Decision, LeaseEnd } from '../permissions/index.ts';

/** What happened to an agent. Telling is all they do: nothing waits for a listener. */
export interface AgentEvents {
  /** It holds fresh credentials until `notAfter`, in milliseconds since 1970. */
  enrolled: [agentId: string, notAfter: number];
  /** The registry lists it until then, in milliseconds since 1970. */
  registered: [until: number];
  /** It holds a token for itself: identifier, end in milliseconds since 1970. */
  authorized: [token: string, until: number];
  /** It became a member of a task's domain. */
  joined: [task: string, domain: string];
  /** It is a member no more: everything of the task has stopped and is gone. */
  left: [task: string, reason: string];
  /** A message, an invitation or a handshake was refused: the check, and where it came from. */
  refused: [check: string, from: string];
  /** An action was permitted and begins now. */
  permitted: [decision: Decision];
  /** An action was refused. */
  denied: [decision: Decision];
  /** A permitted action is over, and why. */
  ended: [decision: Decision, end: LeaseEnd];
  /** Grants are gone: the tag, and how many. */
  revoked: [tag: string, grants: number];
  /** Something that is tried again by itself did not work. */
  failed: [what: string, reason: string];
}
