import { decode, encode } from '../../src/tpm/codec.ts';
import { bytesOf } from '../../src/tpm/combinators.ts';
import { taggedDigest } from '../../src/tpm/kdf.ts';
import type { TPMA_NV as Attributes, TPMS_NV_PUBLIC as NvPublic } from '../../src/tpm/structures.ts';
import { TPM_RH, TPMS_NV_PUBLIC } from '../../src/tpm/structures.ts';
import { RC, Refusal } from './refusal.ts';
import type { TpmSnapshot } from './state.ts';

/** Largest index in bytes (TPM_PT_NV_INDEX_MAX). */
export const nvIndexMax = 2048;
/** Most bytes read or written at a time (TPM_PT_NV_BUFFER_MAX). */
export const nvBufferMax = 1024;
/** An orderly counter is stored each time its lower bits are all 0 again (TPM_PT_ORDERLY_COUNT). */
export const orderlyCount = 255;

/** What can change of an index. */
interface NvContent {
  readonly publicArea: NvPublic;
  readonly data: Uint8Array;
}

/** An index of non-volatile memory. */
export interface NvIndex {
  readonly handle: number;
  publicArea: NvPublic;
  auth: Uint8Array;
  data: Uint8Array;
  /** Of an orderly index: what a power cut leaves; what it holds meanwhile is in RAM only (Part 1 §37.2.6). */
  kept: NvContent | undefined;
}

/** An index that was never written. */
export function newIndex(publicArea: NvPublic, auth: Uint8Array): NvIndex {
  const data = blank(publicArea);
  const kept = publicArea.attributes.orderly ? { publicArea, data } : undefined;
  return { handle: publicArea.nvIndex, publicArea, auth, data, kept };
}

/** The Name of an index; it changes with its attributes, so also when it is first written (Part 1 §16). */
export function nvName(index: NvIndex): Uint8Array {
  const { nameAlg } = index.publicArea;
  return taggedDigest(nameAlg, encode(TPMS_NV_PUBLIC, index.publicArea));
}

/** Sets and clears attributes. */
export function mark(index: NvIndex, attributes: Partial<Attributes>): void {
  index.publicArea = {
    ...index.publicArea,
    attributes: { ...index.publicArea.attributes, ...attributes },
  };
}

/** Writes a part of an index; whether that is to be stored at once. */
export function writeNv(index: NvIndex, offset: number, data: Uint8Array): boolean {
  const { attributes } = index.publicArea;
  // What was there before a first write is nobody's business.
  const updated = attributes.written ? index.data.slice() : blank(index.publicArea);
  updated.set(data, offset);
  index.data = updated;
  if (!attributes.written) mark(index, { written: true });
  if (index.kept === undefined) return true;
  if (attributes.nt !== 'counter') return false;
  const isRound = (numberOf(index) & BigInt(orderlyCount)) === 0n;
  if (attributes.written && !isRound) return false;
  keepNv(index);
  return true;
}

/** Writes the number that a counter or a bit field holds. */
export function writeNumber(index: NvIndex, value: bigint): boolean {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return writeNv(index, 0, bytes);
}

/** The number that a counter or a bit field holds. */
export function numberOf({ data }: NvIndex): bigint {
  return new DataView(data.buffer, data.byteOffset, 8).getBigUint64(0);
}

/** The value of a counter; `undefined` before its first increment, and for other indices. */
export function counterOf(index: NvIndex): bigint | undefined {
  const { nt, written } = index.publicArea.attributes;
  return nt === 'counter' && written ? numberOf(index) : undefined;
}

/** TPM2_Shutdown: what an orderly index holds survives. */
export function keepNv(index: NvIndex): void {
  if (index.kept !== undefined) index.kept = { publicArea: index.publicArea, data: index.data };
}

/** A power cut: an orderly index falls back to what was kept. */
export function loseRam(index: NvIndex): void {
  if (index.kept === undefined) return;
  index.publicArea = index.kept.publicArea;
  index.data = index.kept.data;
}

/** TPM2_Startup(CLEAR) for one index (Part 1 §37.2.7); `reset` when the TPM is reset, `orderly` after TPM2_Shutdown. */
export function startNv(index: NvIndex, reset: boolean, orderly: boolean): void {
  const { nt, clearStclear, orderly: inRam } = index.publicArea.attributes;
  if (nt !== 'counter' && (clearStclear || (inRam && reset))) mark(index, { written: false });
  mark(index, { readlocked: false });
  const { writedefine, written } = index.publicArea.attributes;
  if (!(writedefine && written)) mark(index, { writelocked: false });
  // How often it was incremented after it was last stored is not known: it continues above whatever it may have shown.
  const value = counterOf(index);
  if (inRam && !orderly && value !== undefined) writeNumber(index, value | BigInt(orderlyCount));
}

/** Whether `authHandle` may write the index at all (Part 3 §31.1); which auth value it needs was checked before. */
export function checkWriteAccess(index: NvIndex, authHandle: number): void {
  const { writelocked, ownerwrite, ppwrite } = index.publicArea.attributes;
  if (writelocked) throw new Refusal(RC.NV_LOCKED);
  checkAuthority(index, authHandle, ownerwrite, ppwrite);
}

/** Whether `authHandle` may read the index. */
export function checkReadAccess(index: NvIndex, authHandle: number): void {
  const { readlocked, ownerread, ppread, written } = index.publicArea.attributes;
  if (readlocked) throw new Refusal(RC.NV_LOCKED);
  checkAuthority(index, authHandle, ownerread, ppread);
  if (!written) throw new Refusal(RC.NV_UNINITIALIZED);
}

/** Bytes of an index. @throws Refusal NV_RANGE. */
export function nvContents(index: NvIndex, size: number, offset: number): Uint8Array {
  if (offset > index.data.length || size > index.data.length - offset) throw new Refusal(RC.NV_RANGE);
  return index.data.slice(offset, offset + size);
}

/** An index as it is stored. */
export function nvToSnapshot(index: NvIndex): TpmSnapshot['nv'][number] {
  const { publicArea, data } = index.kept ?? index;
  return { publicArea: bytesOf(TPMS_NV_PUBLIC, publicArea), auth: index.auth, data };
}

/** The inverse of {@link nvToSnapshot}. What an index of `before` has in RAM stays. */
export function nvFromSnapshot(
  stored: TpmSnapshot['nv'][number],
  before: ReadonlyMap<number, NvIndex>,
): NvIndex {
  const publicArea = decode(TPMS_NV_PUBLIC, stored.publicArea);
  const index = { ...newIndex(publicArea, stored.auth), data: stored.data };
  if (index.kept === undefined) return index;
  const kept = { publicArea, data: stored.data };
  const inRam = before.get(index.handle);
  return inRam?.kept === undefined ? { ...index, kept } : { ...inRam, auth: stored.auth, kept };
}

/** Erased flash reads as ones, RAM as zeros: what a partial first write leaves of the rest. */
function blank({ attributes, dataSize }: NvPublic): Uint8Array {
  return new Uint8Array(dataSize).fill(attributes.orderly ? 0 : 0xff);
}

function checkAuthority(
  index: NvIndex,
  authHandle: number,
  byOwner: boolean | undefined,
  byPlatform: boolean | undefined,
): void {
  const allowed =
    authHandle === TPM_RH.owner
      ? byOwner
      : authHandle === TPM_RH.platform
        ? byPlatform
        : authHandle === index.handle;
  if (allowed !== true) throw new Refusal(RC.NV_AUTHORIZATION);
}
