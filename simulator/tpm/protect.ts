import { decode, encode, Reader } from '../../src/tpm/codec.ts';
import type { TPMT_PUBLIC as Public, TPMT_SENSITIVE as Sensitive } from '../../src/tpm/structures.ts';
import { TPM2B_DIGEST, TPM2B_SENSITIVE } from '../../src/tpm/structures.ts';
import { digestSize, isHash } from './crypto/hash.ts';
import type { Machine } from './machine.ts';
import type { LoadedObject } from './object.ts';
import { protectorOf } from './object.ts';
import { asParameter } from './operand.ts';
import { parameterRefused, RC, Refusal } from './refusal.ts';
import { ivSize, unwrapSensitive, wrapSensitive } from './wrap.ts';

/** An object that has both parts. */
export interface WholeObject {
  readonly publicArea: Public;
  readonly sensitive: Sensitive | undefined;
  readonly name: Uint8Array;
}

/** TPM2B_PRIVATE's content: the object as only its parent can open it (Part 1 §23.3). */
export function protect(chip: Machine, parent: LoadedObject, object: WholeObject): Uint8Array {
  const protector = protectorOf(parent);
  if (protector === undefined || object.sensitive === undefined) throw new Refusal(RC.TYPE);
  const sensitive = sensitiveBytes(object.publicArea, object.sensitive);
  return wrapSensitive(protector, sensitive, object.name, chip.random.bytes(ivSize));
}

/** The inverse of {@link protect}; `operand` is the number of the parameter. @throws Refusal */
export function unprotect(
  parent: LoadedObject,
  inPrivate: Uint8Array,
  name: Uint8Array,
  operand: number,
): Sensitive {
  const protector = protectorOf(parent);
  if (protector === undefined) throw new Refusal(RC.TYPE);
  return readSensitive(
    opened(operand, inPrivate, () => unwrapSensitive(protector, inPrivate, name)),
    operand,
  );
}

/** What `unwrap` takes out of a blob that begins with an integrity value. @throws Refusal blaming `operand`. */
export function opened(operand: number, blob: Uint8Array, unwrap: () => Uint8Array | undefined): Uint8Array {
  asParameter(operand, () => TPM2B_DIGEST.read(new Reader(blob)));
  const content = unwrap();
  if (content === undefined) throw parameterRefused(RC.INTEGRITY, operand);
  return content;
}

/** TPM2B_SENSITIVE with the auth value filled up with zeros, so that its length does not show (Part 1 §23.3.2). */
export function sensitiveBytes(publicArea: Public, sensitive: Sensitive): Uint8Array {
  const authValue = new Uint8Array(isHash(publicArea.nameAlg) ? digestSize(publicArea.nameAlg) : 0);
  if (sensitive.authValue.length > authValue.length) return encode(TPM2B_SENSITIVE, sensitive);
  authValue.set(sensitive.authValue);
  return encode(TPM2B_SENSITIVE, { ...sensitive, authValue });
}

/** The inverse of {@link sensitiveBytes}, zeros still there. @throws Refusal blaming parameter `operand`. */
export function readSensitive(bytes: Uint8Array, operand: number): Sensitive {
  // Here the size is looked at first: the structure is all there is.
  const size = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
  if (bytes.length >= 2 && size !== bytes.length - 2) throw parameterRefused(RC.SIZE, operand);
  const sensitive = bytes.length < 2 ? undefined : asParameter(operand, () => decode(TPM2B_SENSITIVE, bytes));
  if (sensitive === undefined) throw parameterRefused(RC.INSUFFICIENT, operand);
  return sensitive;
}
