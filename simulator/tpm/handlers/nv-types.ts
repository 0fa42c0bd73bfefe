import {
  TPM2_NV_ChangeAuth,
  TPM2_NV_Extend,
  TPM2_NV_GlobalWriteLock,
  TPM2_NV_Increment,
  TPM2_NV_SetBits,
  TPM2_NV_UndefineSpaceSpecial,
} from '../../../src/tpm/commands.ts';
import { withoutTrailingZeros } from '../create.ts';
import { digest, digestSize } from '../crypto/hash.ts';
import { nvOf } from '../entity.ts';
import { handler } from '../handler.ts';
import { checkWriteAccess, counterOf, mark, numberOf, writeNumber, writeNv } from '../nv.ts';
import { handleRefused, parameterRefused, RC } from '../refusal.ts';

/** Part 3 §31: indices that are not written but counted up, set bit by bit, or extended; and rarer commands. */
export const nvTypesHandlers = [
  handler(TPM2_NV_Increment, (chip, { authHandle, nvIndex }) => {
    const index = nvOf(chip, nvIndex, 2);
    checkWriteAccess(index, authHandle);
    if (index.publicArea.attributes.nt !== 'counter') throw handleRefused(RC.ATTRIBUTES, 2);
    const value = (counterOf(index) ?? chip.counterFloor) + 1n;
    if (writeNumber(index, value)) chip.dirty = true;
    return {};
  }),

  handler(TPM2_NV_SetBits, (chip, { authHandle, nvIndex, bits }) => {
    const index = nvOf(chip, nvIndex, 2);
    checkWriteAccess(index, authHandle);
    const { nt, written } = index.publicArea.attributes;
    if (nt !== 'bits') throw handleRefused(RC.ATTRIBUTES, 2);
    if (writeNumber(index, (written ? numberOf(index) : 0n) | bits)) chip.dirty = true;
    return {};
  }),

  handler(TPM2_NV_Extend, (chip, { authHandle, nvIndex, data }) => {
    const index = nvOf(chip, nvIndex, 2);
    checkWriteAccess(index, authHandle);
    const { nameAlg, attributes } = index.publicArea;
    if (attributes.nt !== 'extend') throw handleRefused(RC.ATTRIBUTES, 2);
    const old = attributes.written ? index.data : new Uint8Array(digestSize(nameAlg));
    if (writeNv(index, 0, digest(nameAlg, old, data))) chip.dirty = true;
    return {};
  }),

  handler(TPM2_NV_GlobalWriteLock, (chip) => {
    for (const index of chip.nv.values())
      if (index.publicArea.attributes.globallock) mark(index, { writelocked: true });
    chip.dirty = true;
    return {};
  }),

  handler(TPM2_NV_ChangeAuth, (chip, { nvIndex, newAuth }) => {
    const index = nvOf(chip, nvIndex, 1);
    const auth = withoutTrailingZeros(newAuth);
    if (auth.length > digestSize(index.publicArea.nameAlg)) throw parameterRefused(RC.SIZE, 1);
    index.auth = auth;
    chip.dirty = true;
    return {};
  }),

  handler(TPM2_NV_UndefineSpaceSpecial, (chip, { nvIndex }) => {
    const { policyDelete } = nvOf(chip, nvIndex, 1).publicArea.attributes;
    if (!policyDelete) throw handleRefused(RC.ATTRIBUTES, 1);
    chip.removeNv(nvIndex);
    return {};
  }),
];
