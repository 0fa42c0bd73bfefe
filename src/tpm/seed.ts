import { constants, createECDH, publicEncrypt } from 'node:crypto';
import { concat, utf8 } from '../core/bytes.ts';
import { Malformed } from '../core/errors.ts';
import type { Random } from '../core/platform.ts';
import { encode } from './codec.ts';
import { padLeft } from './integers.ts';
import { digest, digestSize, kdfe } from './kdf.ts';
import { coordinateSize, nodeCurve, rsaKey } from './public-keys.ts';
import type { TPMI_ALG_HASH } from './structures/algorithms.ts';
import type { TPMT_PUBLIC } from './structures/keys.ts';
import { TPMS_ECC_POINT } from './structures/keys.ts';

/** A secret shared with the holder of a decryption key: the secret itself, and the form in which it travels. */
export interface SharedSeed {
  readonly seed: Uint8Array;
  /** TPM2B_ENCRYPTED_SECRET, without its size. */
  readonly secret: Uint8Array;
}

/**
 * A fresh secret that only the holder of the key `to` learns (Part 1 annexes B.10 and C.6): OAEP for RSA, one-pass ECDH
 * with KDFe for ECC. `label` says what for: `SECRET` (session salt), `IDENTITY` (credential), `DUPLICATE`.
 *
 * @throws {Malformed} when `to` is no such key.
 */
export function seedTo(
  to: TPMT_PUBLIC,
  label: 'SECRET' | 'IDENTITY' | 'DUPLICATE',
  random: Random,
): SharedSeed {
  if (to.nameAlg === 'null' || to.objectAttributes.decrypt !== true)
    throw new Malformed('not a decryption key');
  if (to.type === 'rsa') {
    const seed = random.bytes(digestSize(to.nameAlg));
    return { seed, secret: rsaOaep(to.unique, to.parameters.exponent, to.nameAlg, label, seed, random) };
  }
  if (to.type !== 'ecc') throw new Malformed('neither an RSA nor an ECC key');
  const size = coordinateSize(to.parameters.curveID);
  const ecdh = createECDH(nodeCurve(to.parameters.curveID));
  ephemeral(ecdh, size, random);
  const own = new Uint8Array(ecdh.getPublicKey());
  const x = own.subarray(1, 1 + size);
  const y = own.subarray(1 + size);
  const theirs = concat(Uint8Array.of(4), padLeft(to.unique.x, size), padLeft(to.unique.y, size));
  let z: Uint8Array;
  try {
    z = new Uint8Array(ecdh.computeSecret(theirs));
  } catch (cause) {
    throw new Malformed('the public key is no point on its curve', { cause });
  }
  const seed = kdfe(to.nameAlg, z, label, x, padLeft(to.unique.x, size), digestSize(to.nameAlg) * 8);
  return { seed, secret: encode(TPMS_ECC_POINT, { x, y }) };
}

/** FIPS 186-5 A.2.2: until the bytes are a scalar of the curve. */
function ephemeral(ecdh: ReturnType<typeof createECDH>, size: number, random: Random): void {
  for (;;) {
    const scalar = random.bytes(size);
    if (size === 66) scalar[0] = (scalar[0] ?? 0) & 1; // 521 bits
    try {
      ecdh.setPrivateKey(scalar);
      return;
    } catch {
      // not in [1, n-1]: about once in 2^32
    }
  }
}

/** RSAES-OAEP (RFC 8017 §7.1.1) with its seed from `random`, so that a simulation can be repeated. */
function rsaOaep(
  modulus: Uint8Array,
  exponent: number,
  algorithm: TPMI_ALG_HASH,
  label: string,
  message: Uint8Array,
  random: Random,
): Uint8Array {
  const hashSize = digestSize(algorithm);
  const dataSize = modulus.length - hashSize - 1;
  if (modulus.length < 128 || dataSize < hashSize + 1 + message.length)
    throw new Malformed('the RSA key is too short');
  const data = new Uint8Array(dataSize);
  data.set(digest(algorithm, utf8(`${label}\0`)));
  data[dataSize - message.length - 1] = 1;
  data.set(message, dataSize - message.length);
  const seed = random.bytes(hashSize);
  const maskedData = xor(data, mgf1(algorithm, seed, dataSize));
  const maskedSeed = xor(seed, mgf1(algorithm, maskedData, hashSize));
  const key = rsaKey(modulus, exponent);
  return new Uint8Array(
    publicEncrypt(
      { key, padding: constants.RSA_NO_PADDING },
      concat(Uint8Array.of(0), maskedSeed, maskedData),
    ),
  );
}

function mgf1(algorithm: TPMI_ALG_HASH, seed: Uint8Array, length: number): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (let at = 0, counter = 0; at < length; at += digestSize(algorithm), counter++)
    blocks.push(
      digest(algorithm, seed, Uint8Array.of(counter >>> 24, counter >>> 16, counter >>> 8, counter)),
    );
  return concat(...blocks).subarray(0, length);
}

function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, i) => byte ^ (b[i] ?? 0));
}
