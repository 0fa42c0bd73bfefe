import { TPM2_Duplicate, TPM2_Import, TPM2_Rewrap } from '../../../src/tpm/commands.ts';
import { TPM_RH } from '../../../src/tpm/structures.ts';
import { isHash } from '../crypto/hash.ts';
import {
  checkSharingParent,
  innerKeySize,
  unwrapInner,
  unwrapOuter,
  wrapInner,
  wrapOuter,
} from '../duplicate.ts';
import { objectOf } from '../entity.ts';
import { handler } from '../handler.ts';
import type { Machine } from '../machine.ts';
import type { LoadedObject } from '../object.ts';
import { isStorageParent, nameOf } from '../object.ts';
import { protect, readSensitive, sensitiveBytes } from '../protect.ts';
import { handleRefused, parameterRefused, RC } from '../refusal.ts';
import { openSecret } from '../secret.ts';
import { checkObject } from './object.ts';

const none = new Uint8Array();

/** Part 3 §13: objects leave for another parent and come in. */
export const duplicationHandlers = [
  handler(TPM2_Duplicate, (chip, { objectHandle, newParentHandle, encryptionKeyIn, symmetricAlg }) => {
    const keySize = innerKeySize(symmetricAlg);
    const { publicArea, sensitive, name } = objectOf(chip, objectHandle, 1);
    const { fixedParent, encryptedDuplication } = publicArea.objectAttributes;
    if (fixedParent) throw handleRefused(RC.ATTRIBUTES, 1);
    if (!isHash(publicArea.nameAlg) || sensitive === undefined) throw handleRefused(RC.TYPE, 1);
    const newParent = parentOrNone(chip, newParentHandle, 2);
    if (newParent !== undefined) checkSharingParent(newParent, 2);
    if (encryptedDuplication) {
      if (keySize === undefined) throw parameterRefused(RC.SYMMETRIC, 2);
      if (newParent === undefined) throw handleRefused(RC.HIERARCHY, 2);
    }
    if (encryptionKeyIn.length !== 0 && encryptionKeyIn.length !== keySize)
      throw parameterRefused(RC.SIZE, 1);
    let blob = sensitiveBytes(publicArea, sensitive);
    let encryptionKeyOut: Uint8Array = none;
    if (keySize !== undefined) {
      const given = encryptionKeyIn.length > 0;
      const key = given ? encryptionKeyIn : chip.random.bytes(keySize);
      if (!given) encryptionKeyOut = key;
      blob = wrapInner(publicArea.nameAlg, blob, name, key);
    }
    const { wrapped, secret } = wrapOuter(chip, newParent, blob, name);
    return { encryptionKeyOut, duplicate: wrapped, outSymSeed: secret };
  }),

  handler(TPM2_Rewrap, (chip, { oldParent, newParent, inDuplicate, name, inSymSeed }) => {
    const from = parentOrNone(chip, oldParent, 1);
    const to = parentOrNone(chip, newParent, 2);
    if ((inSymSeed.length === 0) !== (from === undefined)) throw handleRefused(RC.HANDLE, 1);
    let blob = inDuplicate;
    if (from !== undefined) {
      checkSharingParent(from, 1);
      const seed = openSecret(from, 'DUPLICATE', inSymSeed);
      if (typeof seed === 'number') throw parameterRefused(RC.VALUE, 3);
      blob = unwrapOuter(from, inDuplicate, seed, name, 1);
    }
    if (to !== undefined) checkSharingParent(to, 2);
    const { wrapped, secret } = wrapOuter(chip, to, blob, name);
    return { outDuplicate: wrapped, outSymSeed: secret };
  }),

  handler(TPM2_Import, (chip, request) => {
    const { encryptionKey, objectPublic, duplicate, inSymSeed, symmetricAlg } = request;
    const keySize = innerKeySize(symmetricAlg);
    const { fixedTPM, fixedParent, encryptedDuplication } = objectPublic.objectAttributes;
    if (fixedTPM || fixedParent) throw parameterRefused(RC.ATTRIBUTES, 2);
    const parent = objectOf(chip, request.parentHandle, 1);
    if (!isStorageParent(parent)) throw handleRefused(RC.TYPE, 1);
    if (encryptionKey.length !== (keySize ?? 0)) throw parameterRefused(RC.SIZE, 1);
    if (encryptedDuplication && keySize === undefined) throw parameterRefused(RC.ATTRIBUTES, 1);
    let blob = duplicate;
    const name = nameOf(objectPublic);
    if (inSymSeed.length !== 0) {
      if (parent.publicArea.type === 'symcipher') throw handleRefused(RC.TYPE, 1);
      const seed = openSecret(parent, 'DUPLICATE', inSymSeed);
      if (typeof seed === 'number') throw parameterRefused(seed, 4);
      blob = unwrapOuter(parent, duplicate, seed, name, 3);
    } else if (encryptedDuplication) {
      throw parameterRefused(RC.ATTRIBUTES, 4);
    }
    if (!isHash(objectPublic.nameAlg)) throw parameterRefused(RC.HASH, 2);
    if (keySize !== undefined) blob = unwrapInner(objectPublic.nameAlg, blob, name, encryptionKey, 3);
    const sensitive = readSensitive(blob, 3);
    // A parent fixed to this TPM vouches for its children, which are not checked again when loaded.
    if (parent.publicArea.objectAttributes.fixedTPM)
      checkObject(objectPublic, sensitive, undefined, { publicArea: 2, sensitive: 3 });
    return { outPrivate: protect(chip, parent, { publicArea: objectPublic, sensitive, name }) };
  }),
];

function parentOrNone(chip: Machine, handle: number, index: number): LoadedObject | undefined {
  return handle === TPM_RH.null ? undefined : objectOf(chip, handle, index);
}
