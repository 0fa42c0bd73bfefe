import { concat } from '../../../src/core/bytes.ts';
import { CodecError, decode, encode } from '../../../src/tpm/codec.ts';
import {
  TPM2_Create,
  TPM2_CreateLoaded,
  TPM2_CreatePrimary,
  TPM2_Load,
  TPM2_LoadExternal,
  TPM2_ObjectChangeAuth,
  TPM2_ReadPublic,
  TPM2_Unseal,
} from '../../../src/tpm/commands.ts';
import type { TPMT_PUBLIC as Public, TPMT_SENSITIVE as Sensitive } from '../../../src/tpm/structures.ts';
import { TPM_RH, TPM2B_SENSITIVE, TPMT_PUBLIC } from '../../../src/tpm/structures.ts';
import { createObject, creationRecord, withoutTrailingZeros } from '../create.ts';
import { digestSize, isHash } from '../crypto/hash.ts';
import { entityOf, objectOf, sequenceOf } from '../entity.ts';
import { handler } from '../handler.ts';
import type { KeyHierarchy } from '../hierarchy.ts';
import { isBound, publicKeyFault } from '../key.ts';
import type { Machine } from '../machine.ts';
import type { LoadedObject } from '../object.ts';
import {
  handleName,
  hierarchyHandle,
  hierarchyOf,
  isStorageParent,
  nameOf,
  protectorOf,
  qualifiedNameOf,
} from '../object.ts';
import { handleRefused, parameterRefused, RC, Refusal } from '../refusal.ts';
import { needObjectSlot, takeObjectSlot } from '../slots.ts';
import { publicFault } from '../template.ts';
import { unwrapSensitive, wrapSensitive } from '../wrap.ts';

/** Part 3 §12 and §24.1: objects are made, loaded, read and unsealed. */
export const objectHandlers = [
  handler(TPM2_CreatePrimary, (chip, request) => {
    const hierarchy = primaryHierarchy(request.primaryHandle);
    needObjectSlot(chip);
    const { inSensitive, inPublic, outsideInfo, creationPCR } = request;
    const object = createObject(chip, hierarchy, inPublic, inSensitive, { inSensitive: 1, inPublic: 2 });
    const record = creationRecord(chip, object, hierarchy, outsideInfo, creationPCR);
    const objectHandle = takeObjectSlot(chip, object);
    return { objectHandle, outPublic: object.publicArea, ...record, name: object.name };
  }),

  handler(TPM2_Create, (chip, request) => {
    const parent = parentOf(chip, request.parentHandle);
    const { inSensitive, inPublic, outsideInfo, creationPCR } = request;
    const object = createObject(chip, parent, inPublic, inSensitive, { inSensitive: 1, inPublic: 2 });
    const record = creationRecord(chip, object, parent, outsideInfo, creationPCR);
    return { outPrivate: wrap(chip, parent, object), outPublic: object.publicArea, ...record };
  }),

  handler(TPM2_CreateLoaded, (chip, { parentHandle, inSensitive, inPublic }) => {
    let template: Public;
    try {
      template = decode(TPMT_PUBLIC, inPublic);
    } catch (error) {
      if (error instanceof CodecError) throw parameterRefused(RC.SIZE, 2);
      throw error;
    }
    const hierarchy = hierarchyOf(parentHandle);
    const parent = hierarchy ?? parentOf(chip, parentHandle);
    needObjectSlot(chip);
    const object = createObject(chip, parent, template, inSensitive, { inSensitive: 1, inPublic: 2 });
    const outPrivate = typeof parent === 'string' ? new Uint8Array() : wrap(chip, parent, object);
    const objectHandle = takeObjectSlot(chip, object);
    return { objectHandle, outPrivate, outPublic: object.publicArea, name: object.name };
  }),

  handler(TPM2_Load, (chip, { parentHandle, inPrivate, inPublic }) => {
    const parent = parentOf(chip, parentHandle);
    if (inPrivate.length === 0) throw parameterRefused(RC.SIZE, 1);
    const fault = publicFault(inPublic);
    if (fault !== undefined) throw parameterRefused(fault, 2);
    needObjectSlot(chip);
    const sensitive = unwrap(parent, inPrivate, nameOf(inPublic));
    if (sensitive.sensitiveType !== inPublic.type) throw parameterRefused(RC.TYPE, 1);
    const object: LoadedObject = {
      publicArea: inPublic,
      sensitive,
      name: nameOf(inPublic),
      qualifiedName: qualifiedNameOf(inPublic, parent.qualifiedName),
      hierarchy: parent.hierarchy,
      external: false,
    };
    return { objectHandle: takeObjectSlot(chip, object), name: object.name };
  }),

  handler(TPM2_LoadExternal, (chip, { inPrivate, inPublic, hierarchy }) => {
    const under = hierarchyOf(hierarchy);
    if (under === undefined) throw parameterRefused(RC.VALUE, 3);
    const { fixedTPM, fixedParent, restricted } = inPublic.objectAttributes;
    if (inPrivate !== undefined) {
      if (under !== 'null') throw parameterRefused(RC.HIERARCHY, 3);
      if (fixedTPM || fixedParent || restricted) throw parameterRefused(RC.ATTRIBUTES, 2);
    }
    if (inPublic.nameAlg !== 'null') {
      const fault = publicFault(inPublic);
      if (fault !== undefined) throw parameterRefused(fault, 2);
    }
    const fault = publicKeyFault(inPublic);
    if (fault !== undefined) throw parameterRefused(fault, 2);
    if (inPrivate !== undefined && !isBound(inPublic, inPrivate)) throw parameterRefused(RC.BINDING, 1);
    const object: LoadedObject = {
      publicArea: inPublic,
      sensitive: inPrivate && { ...inPrivate, authValue: withoutTrailingZeros(inPrivate.authValue) },
      name: nameOf(inPublic),
      qualifiedName: qualifiedNameOf(inPublic, handleName(hierarchyHandle[under])),
      hierarchy: under,
      external: true,
    };
    return { objectHandle: takeObjectSlot(chip, object), name: object.name };
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
    const object = objectOf(chip, objectHandle, 1);
    const parent = entityOf(chip, parentHandle, 2).object;
    const { nameAlg } = object.publicArea;
    if (object.sensitive === undefined || !isHash(nameAlg)) throw handleRefused(RC.TYPE, 1);
    if (parent === undefined || !isStorageParent(parent)) throw handleRefused(RC.TYPE, 2);
    const expected = qualifiedNameOf(object.publicArea, parent.qualifiedName);
    if (Buffer.compare(expected, object.qualifiedName) !== 0) throw handleRefused(RC.TYPE, 2);
    if (newAuth.length > digestSize(nameAlg)) throw parameterRefused(RC.SIZE, 1);
    const sensitive = { ...object.sensitive, authValue: withoutTrailingZeros(newAuth) };
    return { outPrivate: wrap(chip, parent, { ...object, sensitive }) };
  }),
];

function primaryHierarchy(handle: number): KeyHierarchy {
  const hierarchy = hierarchyOf(handle);
  if (hierarchy === undefined) throw handleRefused(RC.VALUE, 1);
  return hierarchy;
}

function parentOf(chip: Machine, handle: number): LoadedObject {
  if (handle === TPM_RH.lockout) throw handleRefused(RC.VALUE, 1);
  const parent = objectOf(chip, handle, 1);
  if (!isStorageParent(parent)) throw handleRefused(RC.TYPE, 1);
  return parent;
}

function wrap(chip: Machine, parent: LoadedObject, object: LoadedObject): Uint8Array {
  const protector = protectorOf(parent);
  if (protector === undefined || object.sensitive === undefined) throw handleRefused(RC.TYPE, 1);
  const sensitive = encode(TPM2B_SENSITIVE, object.sensitive);
  return wrapSensitive(protector, sensitive, object.name, chip.random.bytes(16));
}

function unwrap(parent: LoadedObject, inPrivate: Uint8Array, name: Uint8Array): Sensitive {
  const protector = protectorOf(parent);
  if (protector === undefined) throw handleRefused(RC.TYPE, 1);
  const opened = unwrapSensitive(protector, inPrivate, name);
  if (opened === undefined) throw parameterRefused(RC.INTEGRITY, 1);
  const sensitive = decode(TPM2B_SENSITIVE, concat(opened));
  if (sensitive === undefined) throw parameterRefused(RC.SIZE, 1);
  return sensitive;
}
