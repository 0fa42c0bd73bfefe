import { equal, u32 } from '../../src/core/bytes.ts';
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

function ticketDigest(
  chip: Machine,
  tag: Tag,
  handle: number,
  hierarchy: KeyHierarchy,
  data: readonly Uint8Array[],
): Uint8Array {
  // Every part with its length, so that no two lists of parts look alike.
  const framed = data.flatMap((part) => [u32(part.length), part]);
  return hmac('sha256', chip.hierarchies[hierarchy].proof, encode(TPM_ST, tag), u32(handle), ...framed);
}
