import { concat } from '../../src/core/bytes.ts';
import { decode, encode } from '../../src/tpm/codec.ts';
import type { TPMA_NV as Attributes, TPMS_NV_PUBLIC as NvPublic } from '../../src/tpm/structures.ts';
import { TPM_RH, TPMS_NV_PUBLIC } from '../../src/tpm/structures.ts';
import { digest } from './crypto/hash.ts';
import { encodedOnce } from './encoded.ts';
import { algorithmId } from './object.ts';
import { RC, Refusal } from './refusal.ts';
import type { TpmSnapshot } from './state.ts';

/** Largest index in bytes (TPM_PT_NV_INDEX_MAX). */
export const nvIndexMax = 2048;
/** Most bytes read or written at a time (TPM_PT_NV_BUFFER_MAX). */
export const nvBufferMax = 1024;
/** Indices there is room for. */
export const mostIndices = 128;

/** An index of non-volatile memory. */
export interface NvIndex {
  readonly handle: number;
  publicArea: NvPublic;
  readonly auth: Uint8Array;
  data: Uint8Array;
}

/** The Name of an index; it changes with its attributes, so also when it is first written (Part 1 §16). */
export function nvName(index: NvIndex): Uint8Array {
  const { nameAlg } = index.publicArea;
  return concat(algorithmId(nameAlg), digest(nameAlg, encode(TPMS_NV_PUBLIC, index.publicArea)));
}

/** Sets and clears attributes. */
export function mark(index: NvIndex, attributes: Partial<Attributes>): void {
  index.publicArea = {
    ...index.publicArea,
    attributes: { ...index.publicArea.attributes, ...attributes },
  };
}

/** TPM2_Startup(CLEAR) for one index: locks of the last run end (Part 1 §37.2.7). */
export function startNv(index: NvIndex): void {
  const { writedefine, written, clearStclear } = index.publicArea.attributes;
  if (clearStclear) mark(index, { written: false });
  mark(index, { readlocked: false });
  if (!(writedefine && written)) mark(index, { writelocked: false });
}

/** Whether `authHandle` may write the index at all (Part 3 §31.1); which auth value it needs was checked before. */
export function checkWriteAccess(index: NvIndex, authHandle: number): void {
  const { attributes } = index.publicArea;
  if (authHandle === TPM_RH.owner ? !attributes.ownerwrite : false) throw new Refusal(RC.NV_AUTHORIZATION);
  if (authHandle === TPM_RH.platform ? !attributes.ppwrite : false) throw new Refusal(RC.NV_AUTHORIZATION);
  checkKnown(index, authHandle);
  if (attributes.writelocked) throw new Refusal(RC.NV_LOCKED);
}

/** Whether `authHandle` may read the index. */
export function checkReadAccess(index: NvIndex, authHandle: number): void {
  const { attributes } = index.publicArea;
  if (authHandle === TPM_RH.owner ? !attributes.ownerread : false) throw new Refusal(RC.NV_AUTHORIZATION);
  if (authHandle === TPM_RH.platform ? !attributes.ppread : false) throw new Refusal(RC.NV_AUTHORIZATION);
  checkKnown(index, authHandle);
  if (attributes.readlocked) throw new Refusal(RC.NV_LOCKED);
  if (!attributes.written) throw new Refusal(RC.NV_UNINITIALIZED);
}

/** The value of a counter; `undefined` before its first increment, and for other indices. */
export function counterOf({ publicArea, data }: NvIndex): bigint | undefined {
  if (publicArea.attributes.nt !== 'counter' || !publicArea.attributes.written) return undefined;
  return new DataView(data.buffer, data.byteOffset, 8).getBigUint64(0);
}

/** Bytes of an index. @throws Refusal NV_RANGE. */
export function nvContents(index: NvIndex, size: number, offset: number): Uint8Array {
  if (offset > index.data.length || size > index.data.length - offset) throw new Refusal(RC.NV_RANGE);
  return index.data.slice(offset, offset + size);
}

/** An index as it is stored. */
export function nvToSnapshot(index: NvIndex): TpmSnapshot['nv'][number] {
  return {
    publicArea: encodedOnce(TPMS_NV_PUBLIC, index.publicArea),
    auth: index.auth,
    data: index.data,
  };
}

/** The inverse of {@link nvToSnapshot}. */
export function nvFromSnapshot(stored: TpmSnapshot['nv'][number]): NvIndex {
  const publicArea = decode(TPMS_NV_PUBLIC, stored.publicArea);
  return { handle: publicArea.nvIndex, publicArea, auth: stored.auth, data: stored.data };
}

function checkKnown(index: NvIndex, authHandle: number): void {
  if (authHandle !== TPM_RH.owner && authHandle !== TPM_RH.platform && authHandle !== index.handle)
    throw new Refusal(RC.NV_AUTHORIZATION);
}
