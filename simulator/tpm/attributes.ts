import type { TPMT_PUBLIC as Public } from '../../src/tpm/structures.ts';
import { digestSize, isHash } from './crypto/hash.ts';
import type { LoadedObject } from './object.ts';
import { isDerivationParent, isStorage, storageKeyBits } from './object.ts';
import { RC } from './refusal.ts';
import { schemeFault, unknownFault, unusedFault } from './template.ts';

/**
 * What speaks against making an object from this template (Part 3 §12.1.1): whether its secret may be given, and then
 * everything of {@link publicFault}.
 *
 * @param dataSize bytes of the secret the caller gives.
 * @param parent `undefined` for a primary object.
 */
export function creationFault(
  template: Public,
  dataSize: number,
  parent: LoadedObject | undefined,
): number | undefined {
  const fault = unknownFault(template);
  if (fault !== undefined) return fault;
  const { sensitiveDataOrigin, restricted, fixedTPM, fixedParent, sign, decrypt } = template.objectAttributes;
  if (!sensitiveDataOrigin && dataSize === 0) return RC.ATTRIBUTES;
  if (parent !== undefined && sensitiveDataOrigin && dataSize !== 0) return RC.ATTRIBUTES;
  if (!sensitiveDataOrigin) {
    if (template.type === 'rsa' || template.type === 'ecc') return RC.ATTRIBUTES;
    // What the TPM vouches for, it must have made.
    if (restricted && (fixedTPM || fixedParent)) return RC.ATTRIBUTES;
  } else if (template.type === 'keyedhash' && !sign && !decrypt) {
    // Sealed data is the caller's; the TPM has none to make up.
    return RC.ATTRIBUTES;
  }
  return publicFault(template, parent);
}

/** What is wrong with a public area, and with its place below `parent` (Part 2 §8.3.3). */
export function publicFault(publicArea: Public, parent: LoadedObject | undefined): number | undefined {
  return (
    unknownFault(publicArea) ??
    attributesFault(publicArea, parent) ??
    schemeFault(publicArea) ??
    protectionFault(publicArea, parent) ??
    unusedFault(publicArea)
  );
}

function attributesFault(publicArea: Public, parent: LoadedObject | undefined): number | undefined {
  const { nameAlg, authPolicy, objectAttributes: own, type } = publicArea;
  if (!isHash(nameAlg)) return RC.HASH;
  if (authPolicy.length !== 0 && authPolicy.length !== digestSize(nameAlg)) return RC.SIZE;
  const above = parent?.publicArea.objectAttributes;
  // Below a parent fixed to this TPM, fixedParent is fixedTPM; below any other, fixedTPM would be a lie.
  if (above === undefined || above.fixedTPM ? differ(own.fixedTPM, own.fixedParent) : own.fixedTPM)
    return RC.ATTRIBUTES;
  if (!differ(own.sign, own.decrypt) && (own.restricted || (type !== 'keyedhash' && !own.sign)))
    return RC.ATTRIBUTES;
  // What never leaves needs no protection on the way; below what may leave, all children are protected alike.
  if (own.fixedTPM && own.encryptedDuplication) return RC.ATTRIBUTES;
  if (above !== undefined && !above.fixedTPM && differ(own.encryptedDuplication, above.encryptedDuplication))
    return RC.ATTRIBUTES;
  if (parent !== undefined && isDerivationParent(parent))
    if (differ(own.fixedTPM, above?.fixedTPM) || !own.fixedParent) return RC.ATTRIBUTES;
  // Tied to a firmware: this TPM has but one.
  return own.firmwareLimited || own.svnLimited ? RC.ATTRIBUTES : undefined;
}

/** A storage key that is fixed below its parent protects as the parent does. */
function protectionFault(publicArea: Public, parent: LoadedObject | undefined): number | undefined {
  if (parent === undefined || !publicArea.objectAttributes.fixedParent || !isStorage(publicArea))
    return undefined;
  if (publicArea.nameAlg !== parent.publicArea.nameAlg) return RC.HASH;
  return storageKeyBits(publicArea) === storageKeyBits(parent.publicArea) ? undefined : RC.SYMMETRIC;
}

function differ(a: boolean | undefined, b: boolean | undefined): boolean {
  return (a === true) !== (b === true);
}
