import { equal, u32, u64 } from '../../src/core/bytes.ts';
import { encode } from '../../src/tpm/codec.ts';
import type { TPM_ST as Tag, TPMT_TK as Ticket } from '../../src/tpm/structures.ts';
import { TPM_RH, TPM_ST } from '../../src/tpm/structures.ts';
import { hmac } from './crypto/hash.ts';
import type { KeyHierarchy } from './hierarchy.ts';
import type { Machine } from './machine.ts';
import { hierarchyHandle, hierarchyOf } from './object.ts';

/** A ticket: this TPM's own word, under the proof of a hierarchy, that it has seen `data` (Part 1 §11.4.6.3). */
export function makeTicket(
  chip: Machine,
  tag: Tag,
  hierarchy: KeyHierarchy,
  ...data: readonly Uint8Array[]
): Ticket {
  const handle = hierarchyHandle[hierarchy];
  return { tag, hierarchy: handle, digest: ticketDigest(chip, tag, handle, hierarchy, data) };
}

/** A ticket that says nothing. */
export function emptyTicket(tag: Tag): Ticket {
  return { tag, hierarchy: TPM_RH.null, digest: new Uint8Array() };
}

/** Whether this TPM made the ticket for exactly this data. */
export function checkTicket(
  chip: Machine,
  ticket: Ticket,
  tag: Tag,
  ...data: readonly Uint8Array[]
): boolean {
  const hierarchy = hierarchyOf(ticket.hierarchy);
  return (
    hierarchy !== undefined &&
    ticket.tag === tag &&
    equal(ticket.digest, ticketDigest(chip, tag, ticket.hierarchy, hierarchy, data))
  );
}

/** What an authorization by signature or secret, that can be used again by its ticket, was about (Part 2 §10.7.5). */
export interface Authorized {
  readonly tag: 'authSigned' | 'authSecret';
  /** When it ends, in milliseconds of TPM time. */
  readonly expiresAt: number;
  /** Whether it also ends with the next TPM reset or restart. */
  readonly untilReset: boolean;
  readonly cpHashA: Uint8Array;
  readonly policyRef: Uint8Array;
  /** The Name of who authorised. */
  readonly name: Uint8Array;
}

/** TPMT_TK_AUTH: this TPM has seen the authorization. Only in this run, and before its end, is it worth anything. */
export function makeAuthTicket(chip: Machine, hierarchy: KeyHierarchy, authorized: Authorized): Ticket {
  return makeTicket(chip, authorized.tag, hierarchy, ...partsOf(chip, authorized));
}

/** Whether this TPM made the ticket for exactly this authorization. */
export function checkAuthTicket(chip: Machine, ticket: Ticket, authorized: Authorized): boolean {
  return checkTicket(chip, ticket, authorized.tag, ...partsOf(chip, authorized));
}

function partsOf(chip: Machine, { expiresAt, untilReset, cpHashA, policyRef, name }: Authorized) {
  const reset = untilReset ? [u32(chip.totalResetCount)] : [];
  return [cpHashA, policyRef, name, u64(BigInt(expiresAt)), u64(chip.timeEpoch), ...reset];
}

function ticketDigest(
  chip: Machine,
  tag: Tag,
  handle: number,
  hierarchy: KeyHierarchy,
  data: readonly Uint8Array[],
): Uint8Array {
  // Every part with its length, so that no two lists of parts look alike.
  const framed = data.flatMap((part) => [u32(part.length), part]);
  return hmac('sha512', chip.hierarchies[hierarchy].proof, encode(TPM_ST, tag), u32(handle), ...framed);
}
