import type { KeyObject } from 'node:crypto';
import { concat } from '../../src/core/bytes.ts';
import type { TPMT_PUBLIC as Public, TPMT_SENSITIVE as Sensitive } from '../../src/tpm/structures.ts';
import { curves, eccPrivateKey, isCurve, onCurve, pad, publicPoint, scalarFrom } from './crypto/ecc.ts';
import { digest, isHash } from './crypto/hash.ts';
import { rsaPrimes, rsaPrivateKey, rsaPublicKey } from './crypto/rsa-key.ts';
import type { LoadedObject } from './object.ts';
import { RC, Refusal } from './refusal.ts';

/** Private keys by their public area: making one takes longer than a signature. */
const privateKeys = new WeakMap<Public, KeyObject>();

/** RSA primes already searched for, by seed: a primary key asked for again costs no second search. */
export type FoundPrimes = Map<string, ReturnType<typeof rsaPrimes>>;

const mostFoundPrimes = 16;

/** The private key of an object for `node:crypto`. @throws Refusal KEY when it is no private asymmetric key. */
export function privateKeyOf(object: LoadedObject): KeyObject {
  const { publicArea, sensitive } = object;
  let key = privateKeys.get(publicArea);
  if (key !== undefined) return key;
  if (publicArea.type === 'rsa' && sensitive?.sensitiveType === 'rsa') {
    key = rsaPrivateKey(publicArea.unique, sensitive.sensitive);
  } else if (publicArea.type === 'ecc' && sensitive?.sensitiveType === 'ecc') {
    const curve = publicArea.parameters.curveID;
    if (!isCurve(curve)) throw new Refusal(RC.CURVE);
    key = eccPrivateKey(curve, sensitive.sensitive, publicArea.unique);
  } else {
    throw new Refusal(RC.KEY);
  }
  privateKeys.set(publicArea, key);
  return key;
}

/**
 * The `unique` part of the public area and the sensitive part of a new asymmetric key.
 *
 * @param chance the key follows from these bytes alone.
 * @param memo where and under what the primes are remembered; `undefined` for a key that will not be asked for again.
 */
export function makeKey(
  template: Public,
  chance: (count: number) => Uint8Array,
  memo: { readonly found: FoundPrimes; readonly id: string } | undefined,
): { readonly publicArea: Public; readonly secret: Uint8Array } {
  if (template.type === 'ecc') {
    const curve = template.parameters.curveID;
    if (!isCurve(curve)) throw new Refusal(RC.CURVE);
    const secret = scalarFrom(curve, chance);
    return { publicArea: { ...template, unique: publicPoint(curve, secret) }, secret };
  }
  if (template.type !== 'rsa') throw new Refusal(RC.TYPE);
  const known = memo?.found.get(memo.id);
  const { p, n } = known ?? rsaPrimes(template.parameters.keyBits, chance);
  if (memo !== undefined && known === undefined) {
    if (memo.found.size >= mostFoundPrimes) memo.found.clear();
    memo.found.set(memo.id, { p, n });
  }
  return { publicArea: { ...template, unique: n }, secret: p };
}

/** Whether the private part belongs to the public one (Part 1 §27.5.3.2, TPM_RC_BINDING). */
export function isBound(publicArea: Public, sensitive: Sensitive): boolean {
  if (publicArea.type !== sensitive.sensitiveType) return false;
  if (publicArea.type === 'rsa') {
    try {
      rsaPrivateKey(publicArea.unique, sensitive.sensitive);
      return true;
    } catch {
      return false;
    }
  }
  if (publicArea.type === 'ecc') {
    const curve = publicArea.parameters.curveID;
    if (!isCurve(curve)) return false;
    const { size } = curves[curve];
    if (sensitive.sensitive.length > size) return false;
    try {
      const point = publicPoint(curve, pad(sensitive.sensitive, size));
      const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, pad(b, size)) === 0;
      return same(point.x, publicArea.unique.x) && same(point.y, publicArea.unique.y);
    } catch {
      return false;
    }
  }
  if (!isHash(publicArea.nameAlg)) return false;
  return Buffer.compare(uniqueOf(publicArea.nameAlg, sensitive), publicArea.unique) === 0;
}

/** `unique` of a symmetric object: the hash of its seed and secret (Part 1 §27.5.3.3). */
export function uniqueOf(nameAlg: Parameters<typeof digest>[0], sensitive: Sensitive): Uint8Array {
  return digest(nameAlg, concat(sensitive.seedValue, sensitive.sensitive));
}

/** Whether the public part alone is a possible key. @returns a response code when it is not. */
export function publicKeyFault(publicArea: Public): number | undefined {
  if (publicArea.type === 'ecc') {
    const curve = publicArea.parameters.curveID;
    if (!isCurve(curve)) return RC.CURVE;
    return onCurve(curve, publicArea.unique) ? undefined : RC.ECC_POINT;
  }
  if (publicArea.type === 'rsa') {
    if (publicArea.unique.length * 8 !== publicArea.parameters.keyBits) return RC.KEY;
    if (((publicArea.unique.at(-1) ?? 0) & 1) === 0 || (publicArea.unique[0] ?? 0) < 0x80) return RC.KEY;
    try {
      rsaPublicKey(publicArea.unique, publicArea.parameters.exponent);
    } catch {
      return RC.KEY;
    }
  }
  return undefined;
}
