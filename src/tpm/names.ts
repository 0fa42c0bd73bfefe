import { equal, u32 } from '../core/bytes.ts';
import { encode } from './codec.ts';
import { bytesOf } from './combinators.ts';
import { taggedDigest } from './kdf.ts';
import { handleType } from './structures/handles.ts';
import { TPMT_PUBLIC } from './structures/keys.ts';
import { TPMS_NV_PUBLIC } from './structures/nv.ts';

/** The Name of an object: nameAlg ‖ H(public area) (Part 1 §16). Empty when `nameAlg` is `null`. */
export function nameOf(area: TPMT_PUBLIC): Uint8Array {
  if (area.nameAlg === 'null') return new Uint8Array(0);
  return taggedDigest(area.nameAlg, bytesOf(TPMT_PUBLIC, area));
}

/** The Name of an NV index: nameAlg ‖ H(NV public area). It changes with the first write (attribute `written`). */
export function nvNameOf(area: TPMS_NV_PUBLIC): Uint8Array {
  return taggedDigest(area.nameAlg, encode(TPMS_NV_PUBLIC, area));
}

/** The Qualified Name of a key in its parent's (for a primary key: `u32(hierarchy)`), Part 1 §26.5. */
export function qualifiedNameOf(parent: Uint8Array, area: TPMT_PUBLIC): Uint8Array {
  if (area.nameAlg === 'null') return new Uint8Array(0);
  return taggedDigest(area.nameAlg, parent, nameOf(area));
}

/** The Name of an entity whose Name is its handle (PCR, session, hierarchy); `undefined` for all others. */
export function nameOfHandle(handle: number): Uint8Array | undefined {
  const type = handleType(handle);
  return type === 'pcr' || type === 'hmacSession' || type === 'policySession' || type === 'permanent'
    ? u32(handle)
    : undefined;
}

/** Whether both public areas are the same, byte for byte. */
export function samePublic(a: TPMT_PUBLIC, b: TPMT_PUBLIC): boolean {
  return equal(encode(TPMT_PUBLIC, a), encode(TPMT_PUBLIC, b));
}
