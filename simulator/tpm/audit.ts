import { concat, u32 } from '../../src/core/bytes.ts';
import { TPM2_SetCommandCodeAuditStatus } from '../../src/tpm/commands.ts';
import type { Authorization } from './authorization.ts';
import { having } from './authorization.ts';
import type { HashAlgorithm } from './crypto/hash.ts';
import { digest, digestSize } from './crypto/hash.ts';
import type { Answered, Invocation } from './invocation.ts';
import { cpHash, rpHash } from './invocation.ts';
import type { Machine } from './machine.ts';
import { SESSION } from './session.ts';

/** Command audit (Part 1 §32): a log, kept as one digest, of the commands that the owner wants to be seen. */
export interface CommandAudit {
  hash: HashAlgorithm;
  /** Codes of the audited commands, besides TPM2_SetCommandCodeAuditStatus, which always is. */
  readonly commands: readonly number[];
  /** How many logs were begun. */
  counter: number;
  /** The log; empty before its first entry. TPM2_Shutdown(STATE) keeps it, a TPM reset ends it. */
  digest: Uint8Array;
}

const none = new Uint8Array();
const always = TPM2_SetCommandCodeAuditStatus.code;

/** The command audit of a new TPM. */
export function freshAudit(): CommandAudit {
  return { hash: 'sha512', commands: [], counter: 0, digest: none };
}

/** Codes of all audited commands, ascending. */
export function auditedCommands(chip: Machine): readonly number[] {
  return [...chip.audit.commands, always].filter((code) => chip.implemented.has(code)).sort((a, b) => a - b);
}

/** The hash over {@link auditedCommands}, as TPM2_GetCommandAuditDigest tells it. */
export function auditedCommandsDigest(chip: Machine): Uint8Array {
  return digest(chip.audit.hash, concat(...auditedCommands(chip).map(u32)));
}

/** A successful command goes into the log, if it is audited. */
export function auditCommand(chip: Machine, invocation: Invocation, answered: Answered): void {
  const { audit } = chip;
  const { code } = invocation.command;
  if (code !== always && !audit.commands.includes(code)) return;
  // The command that changed the hash is in no log: the old one is over, the new one begins after it.
  if (audit.hash !== invocation.auditHash) return;
  if (audit.digest.length === 0) {
    audit.digest = new Uint8Array(digestSize(audit.hash));
    audit.counter++;
  }
  audit.digest = extended(audit.hash, audit.digest, invocation, answered);
  chip.dirty = true;
}

/**
 * The audit session of a successful command, if it has one, takes it up (Part 1 §33). A command without one ends the
 * exclusiveness of whichever session had it; so do those of Part 3 that take no sessions at all, which do not count.
 */
export function auditSession(
  chip: Machine,
  invocation: Invocation,
  answered: Answered,
  authorizations: readonly Authorization[],
): void {
  const one = having(authorizations, SESSION.audit);
  if (one?.session === undefined) {
    chip.exclusiveAudit = undefined;
    return;
  }
  const { session, attributes } = one;
  if (session.auditDigest === undefined || attributes & SESSION.auditReset) {
    session.auditDigest = new Uint8Array(digestSize(session.hash));
    // From now on the session is about what was done, no longer about the entity it was bound to.
    session.bound = undefined;
    chip.exclusiveAudit = session.handle;
  } else if (chip.exclusiveAudit !== session.handle) {
    chip.exclusiveAudit = undefined;
  }
  session.auditDigest = extended(session.hash, session.auditDigest, invocation, answered);
}

/** TPMA_SESSION of the answer: as sent, and for an audit session whether it is exclusive (Part 2 §8.4). */
export function answeredAttributes(chip: Machine, { session, attributes }: Authorization): number {
  if (session === undefined || !(attributes & SESSION.audit)) return attributes;
  const exclusive = chip.exclusiveAudit === session.handle;
  return exclusive ? attributes | SESSION.auditExclusive : attributes & ~SESSION.auditExclusive;
}

function extended(hash: HashAlgorithm, before: Uint8Array, invocation: Invocation, answered: Answered) {
  return digest(hash, before, cpHash(invocation, hash), rpHash(answered, hash));
}
