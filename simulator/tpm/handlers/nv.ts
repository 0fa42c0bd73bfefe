import {
  TPM2_NV_DefineSpace,
  TPM2_NV_Read,
  TPM2_NV_ReadLock,
  TPM2_NV_ReadPublic,
  TPM2_NV_UndefineSpace,
  TPM2_NV_Write,
  TPM2_NV_WriteLock,
} from '../../../src/tpm/commands.ts';
import type { TPMS_NV_PUBLIC as NvPublic } from '../../../src/tpm/structures.ts';
import { TPM_RH } from '../../../src/tpm/structures.ts';
import { withoutTrailingZeros } from '../create.ts';
import { digestSize } from '../crypto/hash.ts';
import { nvOf } from '../entity.ts';
import { handler } from '../handler.ts';
import {
  checkReadAccess,
  checkWriteAccess,
  mark,
  newIndex,
  nvBufferMax,
  nvContents,
  nvIndexMax,
  nvName,
  writeNv,
} from '../nv.ts';
import { hasRoomForIndex } from '../nv-space.ts';
import { handleRefused, parameterRefused, RC, Refusal } from '../refusal.ts';

/** Part 3 §31: non-volatile memory: indices come and go, are read, written and locked. */
export const nvHandlers = [
  handler(TPM2_NV_DefineSpace, (chip, { authHandle, auth, publicInfo }) => {
    const platform = authHandle === TPM_RH.platform;
    const { nvIndex, nameAlg, attributes, authPolicy } = publicInfo;
    if (authPolicy.length !== 0 && authPolicy.length !== digestSize(nameAlg))
      throw parameterRefused(RC.SIZE, 2);
    const authValue = withoutTrailingZeros(auth);
    if (authValue.length > digestSize(nameAlg)) throw parameterRefused(RC.SIZE, 1);
    if (platform && !chip.enabled.platformNv) throw handleRefused(RC.HIERARCHY, 1);
    const fault = typeFault(publicInfo) ?? attributesFault(publicInfo);
    if (fault !== undefined) throw parameterRefused(fault, 2);
    if ((attributes.platformcreate ?? false) !== platform) throw handleRefused(RC.ATTRIBUTES, 1);
    if (attributes.policyDelete && !platform) throw parameterRefused(RC.ATTRIBUTES, 2);
    if (attributes.writeall && publicInfo.dataSize > nvBufferMax) throw parameterRefused(RC.SIZE, 2);
    if (chip.nv.has(nvIndex)) throw new Refusal(RC.NV_DEFINED);
    const index = newIndex(publicInfo, authValue);
    if (!hasRoomForIndex(chip, index)) throw new Refusal(RC.NV_SPACE);
    chip.nv.set(nvIndex, index);
    chip.dirty = true;
    return {};
  }),

  handler(TPM2_NV_UndefineSpace, (chip, { authHandle, nvIndex }) => {
    const { policyDelete, platformcreate } = nvOf(chip, nvIndex, 2).publicArea.attributes;
    if (policyDelete) throw handleRefused(RC.ATTRIBUTES, 2);
    if (platformcreate && authHandle !== TPM_RH.platform) throw new Refusal(RC.NV_AUTHORIZATION);
    chip.removeNv(nvIndex);
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
    const { nt } = attributes;
    if (nt === 'counter' || nt === 'bits' || nt === 'extend') throw new Refusal(RC.ATTRIBUTES);
    if (offset > dataSize) throw parameterRefused(RC.VALUE, 2);
    if (data.length > dataSize - offset) throw new Refusal(RC.NV_RANGE);
    if (attributes.writeall && data.length !== dataSize) throw new Refusal(RC.NV_RANGE);
    if (writeNv(index, offset, data)) chip.dirty = true;
    return {};
  }),

  handler(TPM2_NV_WriteLock, (chip, { authHandle, nvIndex }) => {
    const index = nvOf(chip, nvIndex, 2);
    // Locked already: that is what was asked for.
    if (index.publicArea.attributes.writelocked) return {};
    checkWriteAccess(index, authHandle);
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
    if (index.publicArea.attributes.readlocked) return {};
    try {
      checkReadAccess(index, authHandle);
    } catch (error) {
      // What was not written yet can be locked too.
      if (!(error instanceof Refusal) || error.code !== RC.NV_UNINITIALIZED) throw error;
    }
    if (!index.publicArea.attributes.readStclear) throw handleRefused(RC.ATTRIBUTES, 2);
    mark(index, { readlocked: true });
    chip.dirty = true;
    return {};
  }),
];

/** What the type of a new index does not go together with (Part 3 §31.3.1, Part 1 §37.2). */
function typeFault({ nameAlg, attributes, dataSize }: NvPublic): number | undefined {
  const { nt, clearStclear, noDa, authwrite, globallock, writedefine } = attributes;
  switch (nt) {
    case 'ordinary':
      return dataSize > nvIndexMax ? RC.SIZE : undefined;
    case 'extend':
      return dataSize !== digestSize(nameAlg) ? RC.SIZE : undefined;
    case 'bits':
      return dataSize !== 8 ? RC.SIZE : undefined;
    case 'counter':
      if (dataSize !== 8) return RC.SIZE;
      return clearStclear ? RC.ATTRIBUTES : undefined;
    case 'pinFail':
    case 'pinPass':
      if (dataSize !== 8) return RC.SIZE;
      // A PIN whose wrong use locks the TPM would count twice; one that its own value writes could be reset by it.
      if (nt === 'pinFail' && !noDa) return RC.ATTRIBUTES;
      return authwrite || globallock || writedefine ? RC.ATTRIBUTES : undefined;
  }
}

/** What no index can be: defined as locked or written, or never to be read or written. */
function attributesFault({ attributes }: NvPublic): number | undefined {
  const { written, writelocked, readlocked, clearStclear, writedefine } = attributes;
  const { ownerread, authread, policyread, ppread, ownerwrite, authwrite, policywrite, ppwrite } = attributes;
  const readable = ownerread || authread || policyread || ppread;
  const writable = ownerwrite || authwrite || policywrite || ppwrite;
  const wrong = written || writelocked || readlocked || !readable || !writable;
  return wrong || (clearStclear && writedefine) ? RC.ATTRIBUTES : undefined;
}
