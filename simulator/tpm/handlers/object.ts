import { equal } from '../../../src/core/bytes.ts';
import {
  TPM2_Load,
  TPM2_LoadExternal,
  TPM2_ObjectChangeAuth,
  TPM2_ReadPublic,
  TPM2_Unseal,
} from '../../../src/tpm/commands.ts';
import type { TPMT_PUBLIC as Public, TPMT_SENSITIVE as Sensitive } from '../../../src/tpm/structures.ts';
import { publicFault } from '../attributes.ts';
import type { ObjectOperands } from '../binding.ts';
import { checkBinding, checkPrime, checkSeed } from '../binding.ts';
import { authValueOf, placed, withoutTrailingZeros } from '../create.ts';
import { isHash } from '../crypto/hash.ts';
import { entityOf, isEnabled, objectOf, sequenceOf } from '../entity.ts';
import { handler } from '../handler.ts';
import type { LoadedObject } from '../object.ts';
import { hierarchyOf, isStorageParent, nameOf, qualifiedNameOf } from '../object.ts';
import { protect, unprotect } from '../protect.ts';
import { handleRefused, parameterRefused, RC, Refusal } from '../refusal.ts';
import { needObjectSlot, takeObjectSlot } from '../slots.ts';
import { schemeFault, unknownFault, unusedFault } from '../template.ts';

/** Part 3 §12: objects are loaded, read and unsealed. */
export const objectHandlers = [
  handler(TPM2_Load, (chip, { parentHandle, inPrivate, inPublic }) => {
    needObjectSlot(chip);
    if (inPrivate.length === 0) throw parameterRefused(RC.SIZE, 1);
    const parent = objectOf(chip, parentHandle, 1);
    if (!isStorageParent(parent)) throw handleRefused(RC.TYPE, 1);
    if (inPublic.nameAlg === 'null') throw parameterRefused(RC.HASH, 2);
    const sensitive = unprotect(parent, inPrivate, nameOf(inPublic), 1);
    checkObject(inPublic, sensitive, parent, { publicArea: 2, sensitive: 1 });
    const object = placed({ publicArea: inPublic, sensitive }, parent);
    return { objectHandle: takeObjectSlot(chip, object), name: object.name };
  }),

  handler(TPM2_LoadExternal, (chip, { inPrivate, inPublic, hierarchy }) => {
    const under = hierarchyOf(hierarchy);
    if (under === undefined) throw parameterRefused(RC.VALUE, 3);
    if (!isEnabled(chip, under)) throw parameterRefused(RC.HIERARCHY, 3);
    needObjectSlot(chip);
    if (inPrivate !== undefined) {
      if (under !== 'null') throw parameterRefused(RC.HIERARCHY, 3);
      const { fixedTPM, fixedParent, restricted } = inPublic.objectAttributes;
      if (fixedTPM || fixedParent || restricted) throw parameterRefused(RC.ATTRIBUTES, 2);
    }
    checkObject(inPublic, inPrivate, undefined, { publicArea: 2, sensitive: 1 });
    const name = nameOf(inPublic);
    const object: LoadedObject = {
      publicArea: inPublic,
      sensitive: inPrivate && { ...inPrivate, authValue: withoutTrailingZeros(inPrivate.authValue) },
      name,
      // It hangs nowhere.
      qualifiedName: name,
      hierarchy: under,
      external: true,
      stClear: inPublic.objectAttributes.stClear === true,
    };
    return { objectHandle: takeObjectSlot(chip, object), name };
  }),

  handler(TPM2_ReadPublic, (chip, { objectHandle }) => {
    if (sequenceOf(chip, objectHandle) !== undefined) throw new Refusal(RC.SEQUENCE);
    const { publicArea, name, qualifiedName } = objectOf(chip, objectHandle, 1);
    return { outPublic: publicArea, name, qualifiedName };
  }),

  handler(TPM2_Unseal, (chip, { itemHandle }) => {
    const { publicArea, sensitive } = objectOf(chip, itemHandle, 1);
    if (publicArea.type !== 'keyedhash' || sensitive === undefined) throw handleRefused(RC.TYPE, 1);
    const { sign, decrypt, restricted } = publicArea.objectAttributes;
    if (sign || decrypt || restricted) throw handleRefused(RC.ATTRIBUTES, 1);
    return { outData: sensitive.sensitive };
  }),

  handler(TPM2_ObjectChangeAuth, (chip, { objectHandle, parentHandle, newAuth }) => {
    if (sequenceOf(chip, objectHandle) !== undefined) throw handleRefused(RC.TYPE, 1);
    const object = objectOf(chip, objectHandle, 1);
    const parent = entityOf(chip, parentHandle, 2).object;
    const { nameAlg } = object.publicArea;
    const authValue = authValueOf(nameAlg, newAuth);
    if (authValue === undefined) throw parameterRefused(RC.SIZE, 1);
    // What has no Name has no qualified one either, by which its parent could be told.
    const named = isHash(nameAlg) && parent !== undefined && object.sensitive !== undefined;
    if (!named || !equal(qualifiedNameOf(object.publicArea, parent.qualifiedName), object.qualifiedName))
      throw handleRefused(RC.TYPE, 2);
    return {
      outPrivate: protect(chip, parent, { ...object, sensitive: { ...object.sensitive, authValue } }),
    };
  }),
];

/**
 * Checks an object that comes in, by its attributes and by its parts (Part 3 §12.2.1). What a fixed parent protects was
 * checked when it was made or imported.
 *
 * @param parent `undefined` for an object without one.
 */
export function checkObject(
  publicArea: Public,
  sensitive: Sensitive | undefined,
  parent: LoadedObject | undefined,
  operands: ObjectOperands,
): void {
  const nameless = publicArea.nameAlg === 'null';
  if (sensitive !== undefined && !nameless) checkSeed(publicArea, sensitive, operands);
  const fault =
    sensitive === undefined || nameless
      ? (unknownFault(publicArea) ?? schemeFault(publicArea) ?? unusedFault(publicArea))
      : publicFault(publicArea, parent);
  if (fault !== undefined) throw parameterRefused(fault, operands.publicArea);
  if (parent?.publicArea.objectAttributes.fixedTPM) return;
  checkBinding(publicArea, sensitive, operands);
  checkPrime(publicArea, sensitive);
}
