import { equal, u64 } from '../../src/core/bytes.ts';
import type { TPMT_TK as Ticket } from '../../src/tpm/structures.ts';
import { digestSize } from './crypto/hash.ts';
import type { Entity } from './entity.ts';
import type { KeyHierarchy } from './hierarchy.ts';
import type { Machine } from './machine.ts';
import { hierarchyOf } from './object.ts';
import { isOver } from './policy-enforcement.ts';
import { parameterRefused, RC, Refusal } from './refusal.ts';
import type { Session } from './session.ts';
import type { Authorized } from './tickets.ts';
import { emptyTicket, makeAuthTicket } from './tickets.ts';

/** The most significant bit of a timeout says that it also ends with the next reset; its form is the TPM's own affair. */
const untilResetBit = 1n << 63n;

/** What an authorization is limited to, and the numbers of these parameters for response codes. */
export interface Limits {
  /** `undefined` where none is given (PolicyTicket). */
  readonly nonceTPM: Uint8Array | undefined;
  readonly cpHashA: Uint8Array;
  readonly expiresAt: number | undefined;
  readonly numbers: { readonly nonceTPM: number; readonly cpHashA: number; readonly expiresAt: number };
}

/**
 * The end of an authorization in milliseconds of TPM time: seconds from the session's start with its nonce, else from
 * the TPM's (Part 3 §23.2.4). A negative number of seconds means the same, and asks for a ticket.
 */
export function expiryOf(
  chip: Machine,
  session: Session,
  expiration: number,
  nonceTPM: Uint8Array,
): number | undefined {
  if (expiration === 0) return undefined;
  // Without nonce, the caller counts whole seconds: what it saw of the current one is not to be lost.
  const from = nonceTPM.length > 0 ? session.startedAt : chip.time % 1000;
  return from + Math.abs(expiration) * 1000;
}

/** Whether the session may take the authorization (Part 3 §23.2.2). @throws Refusal NONCE, EXPIRED, SIZE or CPHASH. */
export function checkLimits(chip: Machine, session: Session, limits: Limits): void {
  const { nonceTPM, cpHashA, expiresAt, numbers } = limits;
  if (nonceTPM !== undefined && nonceTPM.length > 0 && !equal(nonceTPM, session.nonceTpm))
    throw parameterRefused(RC.NONCE, numbers.nonceTPM);
  if (isOver(chip, session, expiresAt)) throw parameterRefused(RC.EXPIRED, numbers.expiresAt);
  if (cpHashA.length === 0) return;
  if (cpHashA.length !== digestSize(session.hash)) throw parameterRefused(RC.SIZE, numbers.cpHashA);
  const { limit } = session.policy;
  if (limit !== undefined && (limit.kind !== 'cpHash' || !equal(limit.digest, cpHashA)))
    throw new Refusal(RC.CPHASH);
}

/** Takes the limits over; the earliest end of all counts. */
export function takeLimits({ policy }: Session, cpHashA: Uint8Array, expiresAt: number | undefined): void {
  if (cpHashA.length > 0) policy.limit = { kind: 'cpHash', digest: cpHashA };
  if (expiresAt !== undefined) policy.expiresAt = Math.min(expiresAt, policy.expiresAt ?? expiresAt);
}

/** What PolicySigned and PolicySecret answer when a ticket is asked for; `undefined` instead of it: an empty one. */
export function ticketAnswer(
  chip: Machine,
  tag: Authorized['tag'],
  made: { readonly hierarchy: KeyHierarchy; readonly authorized: Omit<Authorized, 'tag'> } | undefined,
): { readonly timeout: Uint8Array; readonly policyTicket: Ticket } {
  if (made === undefined) return { timeout: new Uint8Array(), policyTicket: emptyTicket(tag) };
  const { expiresAt, untilReset } = made.authorized;
  return {
    timeout: u64(BigInt(expiresAt) | (untilReset ? untilResetBit : 0n)),
    policyTicket: makeAuthTicket(chip, made.hierarchy, { tag, ...made.authorized }),
  };
}

/** The inverse of the timeout that {@link ticketAnswer} gives. */
export function readTimeout(timeout: Uint8Array): {
  readonly expiresAt: number;
  readonly untilReset: boolean;
} {
  const value = new DataView(timeout.buffer, timeout.byteOffset, 8).getBigUint64(0);
  return { expiresAt: Number(value & ~untilResetBit), untilReset: (value & untilResetBit) !== 0n };
}

/** The hierarchy under whose proof tickets about an entity are made; what is in none is the owner's. */
export function hierarchyOfEntity({ handle, object, nv }: Entity): KeyHierarchy {
  if (object !== undefined) return object.hierarchy;
  if (nv !== undefined) return nv.publicArea.attributes.platformcreate === true ? 'platform' : 'owner';
  return hierarchyOf(handle) ?? 'owner';
}
