import { u64 } from '../../src/core/bytes.ts';
import type { Random } from '../../src/core/platform.ts';
import type { Curve } from './crypto/ecc.ts';
import { scalarFrom } from './crypto/ecc.ts';
import { kdfA } from './crypto/kdf.ts';

/** So many commitments can be open at once; the next one ends the oldest. */
const window = 128;

/**
 * The ephemeral scalars that TPM2_Commit and TPM2_EC_Ephemeral have shown the points of, each good for one use
 * (Part 1 annex C.2). Only a counter is kept of each: the scalar follows from it.
 */
export interface Commitments {
  readonly nonce: Uint8Array;
  counter: number;
  /** Those not used yet: the counter by its lower 16 bits, which is what callers know. */
  readonly open: Map<number, number>;
}

/** No commitment; what was committed before can never be used again. */
export function freshCommitments(random: Random): Commitments {
  return { nonce: random.bytes(64), counter: 0, open: new Map() };
}

/** The scalar of the commitment that {@link commit} would make now. `name` is that of the key it is for, if any. */
export function nextScalar({ nonce, counter }: Commitments, curve: Curve, name: Uint8Array): Uint8Array {
  return scalarOf(nonce, counter, curve, name);
}

/** Makes it a commitment. @returns the counter to ask for it by. */
export function commit(commitments: Commitments): number {
  const counter = commitments.counter++;
  commitments.open.delete((counter - window) & 0xffff);
  commitments.open.set(counter & 0xffff, counter);
  return counter & 0xffff;
}

/** The scalar of an open commitment; `undefined` when there is none of that counter. */
export function committedScalar(
  { nonce, open }: Commitments,
  counter: number,
  curve: Curve,
  name: Uint8Array,
): Uint8Array | undefined {
  const full = open.get(counter);
  return full === undefined ? undefined : scalarOf(nonce, full, curve, name);
}

/** A commitment that was used is no more. */
export function endCommitment(commitments: Commitments, counter: number): void {
  commitments.open.delete(counter);
}

function scalarOf(nonce: Uint8Array, counter: number, curve: Curve, name: Uint8Array): Uint8Array {
  return scalarFrom(curve, (count) => kdfA('sha512', nonce, 'ECDAA Commit', name, u64(counter), count * 8));
}
