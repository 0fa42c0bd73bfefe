import { utf8 } from '../../src/core/bytes.ts';
import { CodecError, encode, Reader } from '../../src/tpm/codec.ts';
import type { TPMT_PUBLIC as Public } from '../../src/tpm/structures.ts';
import { TPMS_ECC_POINT } from '../../src/tpm/structures.ts';
import { curves, isCurve, onCurve, pad, publicPoint, scalarFrom, sharedSecret } from './crypto/ecc.ts';
import type { HashAlgorithm } from './crypto/hash.ts';
import { digestSize, isHash } from './crypto/hash.ts';
import { kdfE } from './crypto/kdf.ts';
import { belowModulus, decodeOaep, encodeOaep, rsaPrivate, rsaPublic } from './crypto/rsa.ts';
import { rsaPublicKey } from './crypto/rsa-key.ts';
import { privateKeyOf } from './key.ts';
import type { LoadedObject } from './object.ts';
import { RC } from './refusal.ts';

/** What a secret is shared for: the label goes into the derivation, so that one use never opens another. */
export type SecretUse = 'SECRET' | 'IDENTITY' | 'DUPLICATE';

/** A fresh seed that only the holder of `to`'s private key can learn (Part 1 annexes B.10 and C.6). */
export function shareSecret(
  to: Public,
  use: SecretUse,
  chance: (count: number) => Uint8Array,
): { readonly seed: Uint8Array; readonly secret: Uint8Array } | undefined {
  if (!isHash(to.nameAlg)) return undefined;
  if (to.type === 'rsa') {
    const hash = oaepHash(to, to.nameAlg);
    const seed = chance(digestSize(to.nameAlg));
    const block = encodeOaep(hash, seed, utf8(`${use}\0`), to.unique.length, chance(digestSize(hash)));
    if (block === undefined) return undefined;
    return { seed, secret: rsaPublic(rsaPublicKey(to.unique, to.parameters.exponent), block) };
  }
  if (to.type !== 'ecc') return undefined;
  const curve = to.parameters.curveID;
  if (!isCurve(curve) || !onCurve(curve, to.unique)) return undefined;
  const scalar = scalarFrom(curve, chance);
  const ephemeral = publicPoint(curve, scalar);
  const z = sharedSecret(curve, scalar, to.unique);
  const own = pad(to.unique.x, curves[curve].size);
  const seed = kdfE(to.nameAlg, z, use, ephemeral.x, own, digestSize(to.nameAlg) * 8);
  return { seed, secret: encode(TPMS_ECC_POINT, ephemeral) };
}

/** The seed of {@link shareSecret}, or the response code to refuse with. */
export function openSecret(key: LoadedObject, use: SecretUse, secret: Uint8Array): Uint8Array | number {
  const { publicArea } = key;
  if (!isHash(publicArea.nameAlg)) return RC.KEY;
  if (publicArea.type === 'rsa') {
    if (secret.length !== publicArea.unique.length) return RC.SIZE;
    if (!belowModulus(secret, publicArea.unique)) return RC.VALUE;
    const block = rsaPrivate(privateKeyOf(key), secret);
    const seed = decodeOaep(oaepHash(publicArea, publicArea.nameAlg), block, utf8(`${use}\0`));
    return seed === undefined || seed.length > digestSize(publicArea.nameAlg) ? RC.VALUE : seed;
  }
  if (publicArea.type !== 'ecc' || key.sensitive?.sensitiveType !== 'ecc') return RC.KEY;
  const curve = publicArea.parameters.curveID;
  if (!isCurve(curve)) return RC.KEY;
  let point: { readonly x: Uint8Array; readonly y: Uint8Array };
  try {
    point = TPMS_ECC_POINT.read(new Reader(secret));
  } catch (error) {
    if (error instanceof CodecError) return error.fault === 'short' ? RC.INSUFFICIENT : RC.SIZE;
    throw error;
  }
  if (!onCurve(curve, point)) return RC.ECC_POINT;
  const { size } = curves[curve];
  const z = sharedSecret(curve, pad(key.sensitive.sensitive, size), point);
  const own = pad(publicArea.unique.x, size);
  return kdfE(publicArea.nameAlg, z, use, pad(point.x, size), own, digestSize(publicArea.nameAlg) * 8);
}

function oaepHash(key: Public & { readonly type: 'rsa' }, nameAlg: HashAlgorithm): HashAlgorithm {
  const { scheme } = key.parameters;
  return scheme.scheme === 'oaep' ? scheme.hashAlg : nameAlg;
}
