import type { TPMT_PUBLIC as Public, TPMT_SENSITIVE as Sensitive } from '../../src/tpm/structures.ts';
import type { Curve } from './crypto/ecc.ts';
import { curves, isCurve, onCurve, pad, publicPoint } from './crypto/ecc.ts';
import { digestSize, hashBlockSize, isHash } from './crypto/hash.ts';
import { toInteger } from './crypto/integer.ts';
import { rsaPrivateKey } from './crypto/rsa-key.ts';
import { uniqueOf } from './key.ts';
import { parameterRefused, RC, Refusal } from './refusal.ts';

/** Numbers of the parameters that hold the two parts of an object. */
export interface ObjectOperands {
  readonly publicArea: number;
  readonly sensitive: number;
}

/** Largest secret of a keyed hash without scheme: sealed data (MAX_SYM_DATA, Part 2 annex A). */
export const sealedMax = 128;

/**
 * Checks a key that was made elsewhere (Part 3 §12.2.1, §12.3.1, §13.3.1): sizes, and that the private part belongs to
 * the public one.
 *
 * @throws Refusal
 */
export function checkBinding(
  publicArea: Public,
  sensitive: Sensitive | undefined,
  operands: ObjectOperands,
): void {
  const { nameAlg } = publicArea;
  const size = isHash(nameAlg) ? digestSize(nameAlg) : undefined;
  if (sensitive !== undefined) {
    if (sensitive.sensitiveType !== publicArea.type) throw parameterRefused(RC.TYPE, operands.sensitive);
    if (size !== undefined && sensitive.authValue.length > size)
      throw parameterRefused(RC.SIZE, operands.sensitive);
  }
  if (publicArea.type === 'rsa') checkRsa(publicArea, sensitive, operands);
  else if (publicArea.type === 'ecc') checkEcc(publicArea, sensitive, operands);
  else checkSymmetric(publicArea, sensitive, operands);
  if (sensitive === undefined || size === undefined) return;
  const { restricted, decrypt } = publicArea.objectAttributes;
  const seed = sensitive.seedValue.length;
  // The seed of a parent protects its children.
  if (restricted && decrypt && (seed < size / 2 || seed > size))
    throw parameterRefused(RC.SIZE, operands.sensitive);
}

/** Checks that a parent's seed is no longer than a digest: longer than any TPM makes it. @throws Refusal */
export function checkSeed(publicArea: Public, sensitive: Sensitive, operands: ObjectOperands): void {
  const { nameAlg } = publicArea;
  if (isHash(nameAlg) && sensitive.seedValue.length > digestSize(nameAlg))
    throw parameterRefused(RC.KEY_SIZE, operands.sensitive);
}

/** Checks that the prime divides the modulus. @throws Refusal BINDING. */
export function checkPrime(publicArea: Public, sensitive: Sensitive | undefined): void {
  if (publicArea.type !== 'rsa' || sensitive === undefined) return;
  try {
    rsaPrivateKey(publicArea.unique, sensitive.sensitive);
  } catch {
    throw new Refusal(RC.BINDING);
  }
}

type Of<T extends Public['type']> = Public & { readonly type: T };

function checkRsa(publicArea: Of<'rsa'>, sensitive: Sensitive | undefined, operands: ObjectOperands): void {
  const { unique, parameters } = publicArea;
  const whole = parameters.keyBits / 8;
  const odd = ((unique.at(-1) ?? 0) & 1) === 1;
  if (unique.length !== whole || (unique[0] ?? 0) < 0x80 || !odd)
    throw parameterRefused(RC.KEY, operands.publicArea);
  if (sensitive === undefined) return;
  if (sensitive.sensitive.length * 2 !== whole || (sensitive.sensitive[0] ?? 0) < 0x80)
    throw parameterRefused(RC.KEY_SIZE, operands.sensitive);
}

function checkEcc(publicArea: Of<'ecc'>, sensitive: Sensitive | undefined, operands: ObjectOperands): void {
  const { parameters, unique, nameAlg } = publicArea;
  const curve = parameters.curveID;
  if (!isCurve(curve)) throw parameterRefused(RC.CURVE, operands.publicArea);
  const { size } = curves[curve];
  if (unique.x.length > size || unique.y.length > size) throw parameterRefused(RC.KEY, operands.publicArea);
  if (sensitive === undefined) {
    if (unique.x.length !== size || unique.y.length !== size)
      throw parameterRefused(RC.KEY, operands.publicArea);
    if (nameAlg !== 'null' && !onCurve(curve, unique))
      throw parameterRefused(RC.ECC_POINT, operands.publicArea);
    return;
  }
  if (!isScalar(curve, sensitive.sensitive)) throw new Refusal(RC.KEY_SIZE);
  if (nameAlg === 'null') return;
  const point = publicPoint(curve, pad(sensitive.sensitive, size));
  const same = (own: Uint8Array, given: Uint8Array) => toInteger(own) === toInteger(given);
  if (!same(point.x, unique.x) || !same(point.y, unique.y)) throw new Refusal(RC.BINDING);
}

function checkSymmetric(
  publicArea: Of<'keyedhash'> | Of<'symcipher'>,
  sensitive: Sensitive | undefined,
  operands: ObjectOperands,
): void {
  const { nameAlg, unique } = publicArea;
  if (sensitive === undefined) {
    if (unique.length !== (isHash(nameAlg) ? digestSize(nameAlg) : 0))
      throw parameterRefused(RC.KEY, operands.publicArea);
    return;
  }
  const length = sensitive.sensitive.length;
  const fits =
    publicArea.type === 'symcipher'
      ? publicArea.parameters.sym.algorithm !== 'null' && length * 8 === publicArea.parameters.sym.keyBits
      : length <= keyedHashMax(publicArea);
  if (!fits) throw parameterRefused(RC.KEY_SIZE, operands.sensitive);
  if (!isHash(nameAlg)) return;
  if (sensitive.seedValue.length !== digestSize(nameAlg))
    throw parameterRefused(RC.KEY_SIZE, operands.sensitive);
  if (Buffer.compare(uniqueOf(publicArea, sensitive), unique) !== 0) throw new Refusal(RC.BINDING);
}

/** The longest secret of a keyed hash: a block of its hash, or sealed data (Part 2 §12.3.2.3). */
export function keyedHashMax({ parameters: { scheme } }: Of<'keyedhash'>): number {
  return scheme.scheme === 'null' ? sealedMax : hashBlockSize(scheme.hashAlg);
}

function isScalar(curve: Curve, secret: Uint8Array): boolean {
  const { size, n } = curves[curve];
  const value = toInteger(secret);
  return secret.length <= size && value > 0n && value < n;
}
