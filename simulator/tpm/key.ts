import type { KeyObject } from 'node:crypto';
import type { TPMT_PUBLIC as Public, TPMT_SENSITIVE as Sensitive } from '../../src/tpm/structures.ts';
import { eccPrivateKey, isCurve, publicPoint, scalarFrom } from './crypto/ecc.ts';
import { digest, hmac, isHash } from './crypto/hash.ts';
import { rsaPrimes, rsaPrivateKey } from './crypto/rsa-key.ts';
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

/**
 * `unique` of a symmetric object (Part 1 §27.5.3.3): the hash of its seed and secret. The seed of a parent has more uses,
 * so there it is the key of an HMAC.
 */
export function uniqueOf({ nameAlg, objectAttributes }: Public, sensitive: Sensitive): Uint8Array {
  if (!isHash(nameAlg)) throw new Refusal(RC.HASH);
  const { restricted, decrypt } = objectAttributes;
  return restricted && decrypt
    ? hmac(nameAlg, sensitive.seedValue, sensitive.sensitive)
    : digest(nameAlg, sensitive.seedValue, sensitive.sensitive);
}
