import type { JsonObject } from './json.ts';

/**
 * The minimum fields of seed S2 section 10 (OB-06). Tokens appear as identifiers or hashes, never whole (OB-12).
 */
export interface AuditEntry {
  /** What kind of thing happened: `decision`, `outcome`, `credential`, `token`, `domain`, `revocation`, `configuration` … */
  readonly kind: string;
  /** Authenticated identifier of the agent that acted or asked. */
  readonly agent: string;
  /** On whose behalf, when not its own. */
  readonly subject?: string | undefined;
  /** Device, tool or endpoint. */
  readonly resource?: string | undefined;
  readonly action?: string | undefined;
  readonly decision?: 'permit' | 'deny' | undefined;
  /** Transaction or correlation identifier carried through every hop. */
  readonly txn?: string | undefined;
  readonly task?: string | undefined;
  /** Posture or risk state at that time. */
  readonly posture?: string | undefined;
  /** Remediation or revocation and its cause. */
  readonly cause?: string | undefined;
  /** Anything else that explains it (conditions with values and ages, hashes). */
  readonly detail?: JsonObject | undefined;
}

/** A record as it stands in the log. */
export interface AuditRecord extends AuditEntry {
  /** From 1, without gaps. */
  readonly index: number;
  /** Milliseconds since 1970 on the writer's clock. */
  readonly at: number;
  /** SHA-256 (hex) of the canonical JSON of the record before; 64 zeros for the first. */
  readonly previous: string;
}

/**
 * Where decisions are recorded *before* the action they permit.
 * `append` resolves only when the record is durable; if it rejects, the action must not happen.
 */
export interface AuditLog {
  append(entry: AuditEntry): Promise<AuditRecord>;
  /** Index and SHA-256 (hex) of the newest record. */
  head(): { readonly index: number; readonly hash: string };
}
