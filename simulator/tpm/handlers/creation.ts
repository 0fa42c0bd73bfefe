import type { Codec } from '../../../src/tpm/codec.ts';
import { decode } from '../../../src/tpm/codec.ts';
import { TPM2_Create, TPM2_CreateLoaded, TPM2_CreatePrimary } from '../../../src/tpm/commands.ts';
import type { TPMS_SENSITIVE_CREATE as SensitiveCreate } from '../../../src/tpm/structures.ts';
import { TPMT_PUBLIC } from '../../../src/tpm/structures.ts';
import { createObject, creationRecord, placed } from '../create.ts';
import { derivedTemplate, deriveObject, withoutNames } from '../derive.ts';
import { objectOf } from '../entity.ts';
import { handler } from '../handler.ts';
import type { KeyHierarchy } from '../hierarchy.ts';
import type { LoadedObject } from '../object.ts';
import { hierarchyOf, isDerivationParent, isStorageParent } from '../object.ts';
import { asParameter } from '../operand.ts';
import { protect } from '../protect.ts';
import { handleRefused, RC } from '../refusal.ts';
import { needObjectSlot, takeObjectSlot } from '../slots.ts';

const blamed = { inSensitive: 1, inPublic: 2 };

/** Part 3 §12.1, §12.9 and §24.1: objects are made. */
export const creationHandlers = [
  handler(TPM2_CreatePrimary, (chip, request) => {
    const hierarchy = primaryHierarchy(request.primaryHandle);
    needObjectSlot(chip);
    const { inSensitive, inPublic, outsideInfo, creationPCR } = request;
    const object = createObject(chip, hierarchy, inPublic, inSensitive, blamed);
    const record = creationRecord(chip, object, hierarchy, outsideInfo, creationPCR);
    const objectHandle = takeObjectSlot(chip, object);
    return { objectHandle, outPublic: object.publicArea, ...record, name: object.name };
  }),

  handler(TPM2_Create, (chip, request) => {
    const parent = objectOf(chip, request.parentHandle, 1);
    if (!isStorageParent(parent)) throw handleRefused(RC.TYPE, 1);
    // The new object is not loaded, but it is made where a loaded one would be.
    needObjectSlot(chip);
    const { inSensitive, inPublic, outsideInfo, creationPCR } = request;
    const object = createObject(chip, parent, inPublic, inSensitive, blamed);
    const record = creationRecord(chip, object, parent, outsideInfo, creationPCR);
    return { outPrivate: protect(chip, parent, object), outPublic: object.publicArea, ...record };
  }),

  handler(TPM2_CreateLoaded, (chip, { parentHandle, inSensitive, inPublic }) => {
    const parent = hierarchyOf(parentHandle) ?? objectOf(chip, parentHandle, 1);
    const derives = typeof parent !== 'string' && isDerivationParent(parent);
    if (typeof parent !== 'string' && !derives && !isStorageParent(parent)) throw handleRefused(RC.TYPE, 1);
    needObjectSlot(chip);
    const object = derives
      ? derived(parent, inPublic, inSensitive)
      : createObject(chip, parent, readTemplate(TPMT_PUBLIC, inPublic), inSensitive, blamed);
    const wrapped = typeof parent === 'string' || derives ? new Uint8Array() : protect(chip, parent, object);
    const objectHandle = takeObjectSlot(chip, object);
    return { objectHandle, outPrivate: wrapped, outPublic: object.publicArea, name: object.name };
  }),
];

function primaryHierarchy(handle: number): KeyHierarchy {
  const hierarchy = hierarchyOf(handle);
  if (hierarchy === undefined) throw handleRefused(RC.VALUE, 1);
  return hierarchy;
}

function derived(parent: LoadedObject, inPublic: Uint8Array, inSensitive: SensitiveCreate): LoadedObject {
  const template = readTemplate(derivedTemplate, inPublic);
  return placed(deriveObject(parent, withoutNames(template), template.unique, inSensitive), parent);
}

/** TPM2B_TEMPLATE's content, whose type depends on the parent; a fault in it is one of parameter 2. */
function readTemplate<T>(codec: Codec<T>, inPublic: Uint8Array): T {
  return asParameter(2, () => decode(codec, inPublic));
}
