import {
  TPM2_NV_DefineSpace,
  TPM2_NV_Increment,
  TPM2_NV_Read,
  TPM2_NV_ReadLock,
  TPM2_NV_ReadPublic,
  TPM2_NV_UndefineSpace,
  TPM2_NV_Write,
  TPM2_NV_WriteLock,
} from '../../../src/tpm/commands.ts';
import type { TPMS_NV_PUBLIC as NvPublic } from '../../../src/tpm/structures.ts';
import { TPM_HT, TPM_RH } from '../../../src/tpm/structures.ts';
import { withoutTrailingZeros } from '../create.ts';
import { digestSize } from '../crypto/hash.ts';
import { nvOf } from '../entity.ts';
import { handler } from '../handler.ts';
import {
  checkReadAccess,
  checkWriteAccess,
  counterOf,
  mark,
  mostIndices,
  nvBufferMax,
  nvContents,
  nvIndexMax,
  nvName,
} from '../nv.ts';
import { handleRefused, parameterRefused, RC, Refusal } from '../refusal.ts';

/** Part 3 §31: non-volatile memory, ordinary indices and counters. */
export const nvHandlers = [
  handler(TPM2_NV_DefineSpace, (chip, { authHandle, auth, publicInfo }) => {
    const platform = authHandle === TPM_RH.platform;
    if (!platform && authHandle !== TPM_RH.owner) throw handleRefused(RC.VALUE, 1);
    const fault = defineFault(publicInfo, platform);
    if (fault !== undefined) throw parameterRefused(fault, 2);
    if (auth.length > digestSize(publicInfo.nameAlg)) throw parameterRefused(RC.SIZE, 1);
    if (chip.nv.has(publicInfo.nvIndex)) throw new Refusal(RC.NV_DEFINED);
    if (chip.nv.size >= mostIndices) throw new Refusal(RC.NV_SPACE);
    chip.nv.set(publicInfo.nvIndex, {
      handle: publicInfo.nvIndex,
      publicArea: publicInfo,
      auth: withoutTrailingZeros(auth),
      // Erased flash reads as ones; nothing is readable before the first write anyway, but a part of it may be.
      data: new Uint8Array(publicInfo.dataSize).fill(0xff),
    });
    chip.dirty = true;
    return {};
  }),

  handler(TPM2_NV_UndefineSpace, (chip, { authHandle, nvIndex }) => {
    const index = nvOf(chip, nvIndex, 2);
    const { attributes } = index.publicArea;
    if (authHandle !== TPM_RH.platform && authHandle !== TPM_RH.owner) throw handleRefused(RC.VALUE, 1);
    if (attributes.policyDelete) throw handleRefused(RC.ATTRIBUTES, 2);
    if (attributes.platformcreate && authHandle !== TPM_RH.platform) throw new Refusal(RC.NV_AUTHORIZATION);
    chip.removeNv(nvIndex);
    chip.dirty = true;
    return {};
  }),

  handler(TPM2_NV_ReadPublic, (chip, { nvIndex }) => {
    const index = nvOf(chip, nvIndex, 1);
    return { nvPublic: index.publicArea, nvName: nvName(index) };
  }),

  handler(TPM2_NV_Write, (chip, { authHandle, nvIndex, data, offset }) => {
    const index = nvOf(chip, nvIndex, 2);
    const { attributes, dataSize } = index.publicArea;
    checkWriteAccess(index, authHandle);
    if (attributes.nt !== 'ordinary') throw handleRefused(RC.ATTRIBUTES, 2);
    if (data.length > nvBufferMax) throw parameterRefused(RC.SIZE, 1);
    if (offset > dataSize) throw parameterRefused(RC.VALUE, 2);
    if (data.length > dataSize - offset) throw new Refusal(RC.NV_RANGE);
    if (attributes.writeall && data.length !== dataSize) throw new Refusal(RC.NV_RANGE);
    const updated = index.data.slice();
    updated.set(data, offset);
    index.data = updated;
    if (!attributes.written) mark(index, { written: true });
    chip.dirty = true;
    return {};
  }),

  handler(TPM2_NV_Increment, (chip, { authHandle, nvIndex }) => {
    const index = nvOf(chip, nvIndex, 2);
    checkWriteAccess(index, authHandle);
    const { attributes } = index.publicArea;
    if (attributes.nt !== 'counter') throw handleRefused(RC.ATTRIBUTES, 2);
    const value = (counterOf(index) ?? chip.counterFloor) + 1n;
    const updated = new Uint8Array(8);
    new DataView(updated.buffer).setBigUint64(0, value);
    index.data = updated;
    if (!attributes.written) mark(index, { written: true });
    chip.dirty = true;
    return {};
  }),

  handler(TPM2_NV_WriteLock, (chip, { authHandle, nvIndex }) => {
    const index = nvOf(chip, nvIndex, 2);
    try {
      checkWriteAccess(index, authHandle);
    } catch (error) {
      // Locked already: that is what was asked for.
      if (error instanceof Refusal && error.code === RC.NV_LOCKED) return {};
      throw error;
    }
    const { writeStclear, writedefine } = index.publicArea.attributes;
    if (!writeStclear && !writedefine) throw handleRefused(RC.ATTRIBUTES, 2);
    mark(index, { writelocked: true });
    chip.dirty = true;
    return {};
  }),

  handler(TPM2_NV_Read, (chip, { authHandle, nvIndex, size, offset }) => {
    const index = nvOf(chip, nvIndex, 2);
    checkReadAccess(index, authHandle);
    if (size > nvBufferMax) throw parameterRefused(RC.VALUE, 1);
    if (offset > index.publicArea.dataSize) throw parameterRefused(RC.VALUE, 2);
    return { data: nvContents(index, size, offset) };
  }),

  handler(TPM2_NV_ReadLock, (chip, { authHandle, nvIndex }) => {
    const index = nvOf(chip, nvIndex, 2);
    try {
      checkReadAccess(index, authHandle);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.code === RC.NV_LOCKED) return {};
      if (error.code !== RC.NV_UNINITIALIZED) throw error;
    }
    if (!index.publicArea.attributes.readStclear) throw handleRefused(RC.ATTRIBUTES, 2);
    mark(index, { readlocked: true });
    chip.dirty = true;
    return {};
  }),
];

/** What is wrong with the public area of a new index (Part 3 §31.3.1). */
function defineFault({ nvIndex, nameAlg, attributes, authPolicy, dataSize }: NvPublic, platform: boolean) {
  if (nvIndex >>> 24 !== TPM_HT.nvIndex) return RC.VALUE;
  if (authPolicy.length !== 0 && authPolicy.length !== digestSize(nameAlg)) return RC.SIZE;
  const { nt, written, writelocked, readlocked, platformcreate, policyDelete, clearStclear, writedefine } =
    attributes;
  if (nt !== 'ordinary' && nt !== 'counter') return RC.ATTRIBUTES;
  if (written || writelocked || readlocked) return RC.ATTRIBUTES;
  const { ownerread, authread, policyread, ppread, ownerwrite, authwrite, policywrite, ppwrite } = attributes;
  if (!ownerread && !authread && !policyread && !ppread) return RC.ATTRIBUTES;
  if (!ownerwrite && !authwrite && !policywrite && !ppwrite) return RC.ATTRIBUTES;
  if ((platformcreate ?? false) !== platform || (policyDelete && !platform)) return RC.ATTRIBUTES;
  if (clearStclear && (nt === 'counter' || writedefine)) return RC.ATTRIBUTES;
  if (nt === 'counter' ? dataSize !== 8 : dataSize > nvIndexMax) return RC.SIZE;
  return undefined;
}
