import type { Session } from './session.ts';

/** Whoever keeps account of what a session audits. */
export interface AuditTrail {
  /** A command is about to be sent. With `reset`, the TPM begins its digest anew with it. */
  asked(cpHash: Uint8Array, reset: boolean): void;
  /** Its answer came, and was checked. */
  answered(rpHash: Uint8Array): void;
}

/** Attributes a session is used with in one command. */
export interface SessionUse {
  /** The auth value of the entity authorized. Default: empty. */
  readonly auth?: Uint8Array | undefined;
  /** Its auth value once the command has succeeded (TPM2_HierarchyChangeAuth). Default: unchanged. */
  readonly authAfter?: Uint8Array | undefined;
  /** Encrypt the first parameter of the command. */
  readonly encryptRequest?: boolean;
  /** Have the first parameter of the answer encrypted. */
  readonly encryptResponse?: boolean;
  /**
   * Have the TPM prove, by the HMAC of its answer, what it was asked and what it says, and add both to the audit digest of
   * the session; an `AuditTrail` computes that digest here too.
   */
  readonly audit?: boolean | AuditTrail;
  /** Refuse the command (EXCLUSIVE) when another one came between since the session began to audit. */
  readonly auditExclusive?: boolean;
  /** Begin the audit digest anew with this command. */
  readonly auditReset?: boolean;
  /** Let the TPM forget the session with this command. */
  readonly last?: boolean;
}

/** What accompanies a command: a password, or a session in one use. */
export type Authorization =
  | { readonly kind: 'password'; readonly auth: Uint8Array }
  | { readonly kind: 'session'; readonly session: Session; readonly use: SessionUse };

/**
 * The auth value itself, readable by whoever listens: for empty auth values, the default, and hardly for others
 * (an HMAC session proves knowledge of the value without sending it).
 */
export function password(auth: Uint8Array = new Uint8Array(0)): Authorization {
  return { kind: 'password', auth };
}

/** A session in one use. */
export function using(session: Session, use: SessionUse = {}): Authorization {
  return { kind: 'session', session, use };
}
