import { concat, equal } from '../../src/core/bytes.ts';
import { Reader } from '../../src/tpm/codec.ts';
import type { TPMT_SYM_DEF_OBJECT as SymmetricDefinition } from '../../src/tpm/structures.ts';
import { TPM2B_DIGEST } from '../../src/tpm/structures.ts';
import { aesCfbDecrypt, aesCfbEncrypt } from './crypto/cipher.ts';
import type { HashAlgorithm } from './crypto/hash.ts';
import { digest } from './crypto/hash.ts';
import type { Machine } from './machine.ts';
import type { LoadedObject } from './object.ts';
import { isStorage, storageKeyBits } from './object.ts';
import { asParameter } from './operand.ts';
import { opened } from './protect.ts';
import { handleRefused, parameterRefused, RC, Refusal } from './refusal.ts';
import { shareSecret } from './secret.ts';
import type { Protector } from './wrap.ts';
import { sized, unwrapOnce, wrapOnce } from './wrap.ts';

/** Bytes of the key of an inner wrapper; `undefined` when there is to be none. */
export function innerKeySize(symmetric: SymmetricDefinition): number | undefined {
  return symmetric.algorithm === 'null' ? undefined : symmetric.keyBits / 8;
}

/** The inner wrapper (Part 1 §23.3.2.3): integrity by the object's own nameAlg, encrypted with a key the caller knows. */
export function wrapInner(
  hash: HashAlgorithm,
  sensitive: Uint8Array,
  name: Uint8Array,
  key: Uint8Array,
): Uint8Array {
  return aesCfbEncrypt(key, concat(sized(digest(hash, sensitive, name)), sensitive));
}

/** What is in an inner wrapper. @throws Refusal blaming parameter `operand`. */
export function unwrapInner(
  hash: HashAlgorithm,
  wrapped: Uint8Array,
  name: Uint8Array,
  key: Uint8Array,
  operand: number,
): Uint8Array {
  const from = new Reader(aesCfbDecrypt(key, wrapped));
  const integrity = asParameter(operand, () => TPM2B_DIGEST.read(from));
  const sensitive = from.bytes(from.remaining);
  if (!equal(integrity, digest(hash, sensitive, name))) throw parameterRefused(RC.INTEGRITY, operand);
  return sensitive;
}

/** The outer wrapper (Part 1 §23.3.2.2): only the new parent can open it. Without one, the blob as it is. */
export function wrapOuter(
  chip: Machine,
  newParent: LoadedObject | undefined,
  blob: Uint8Array,
  name: Uint8Array,
): { readonly wrapped: Uint8Array; readonly secret: Uint8Array } {
  if (newParent === undefined) return { wrapped: blob, secret: new Uint8Array() };
  const shared = shareSecret(newParent.publicArea, 'DUPLICATE', (count) => chip.random.bytes(count));
  if (shared === undefined) throw new Refusal(RC.KEY);
  return { wrapped: wrapOnce(protectorWith(newParent, shared.seed), blob, name), secret: shared.secret };
}

/** What is in an outer wrapper made with `seed`. @throws Refusal blaming parameter `operand`. */
export function unwrapOuter(
  parent: LoadedObject,
  blob: Uint8Array,
  seed: Uint8Array,
  name: Uint8Array,
  operand: number,
): Uint8Array {
  return opened(operand, blob, () => unwrapOnce(protectorWith(parent, seed), blob, name));
}

/** Checks that handle number `index` is a key that a secret can be shared with; its public part will do. @throws Refusal */
export function checkSharingParent(parent: LoadedObject, index: number): void {
  if (!isStorage(parent.publicArea) || parent.publicArea.type === 'symcipher')
    throw handleRefused(RC.TYPE, index);
}

function protectorWith({ publicArea }: LoadedObject, seed: Uint8Array): Protector {
  const keyBits = storageKeyBits(publicArea);
  if (keyBits === undefined || publicArea.nameAlg === 'null') throw new Refusal(RC.TYPE);
  return { hash: publicArea.nameAlg, seed, keyBits };
}
