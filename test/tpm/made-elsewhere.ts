import { concat } from '../../src/core/bytes.ts';
import type { Random } from '../../src/core/platform.ts';
import { encode } from '../../src/tpm/codec.ts';
import { nameOf } from '../../src/tpm/index.ts';
import { cfbEncrypt, digest, digestSize, hmac, kdfa } from '../../src/tpm/kdf.ts';
import { seedTo } from '../../src/tpm/seed.ts';
import type { TPMT_PUBLIC as Public } from '../../src/tpm/structures.ts';
import { TPM2B_DIGEST } from '../../src/tpm/structures.ts';

const none = new Uint8Array(0);
const zeroIv = new Uint8Array(16);

/** What TPM2_Import takes besides the handle. */
export interface Duplicate {
  readonly duplicate: Uint8Array;
  readonly inSymSeed: Uint8Array;
}

/** The inner wrapper of Part 1 §23.3.2.3, from the client's own functions. */
export function innerWrapped(objectPublic: Public, sensitive: Uint8Array, key: Uint8Array): Uint8Array {
  if (objectPublic.nameAlg === 'null') throw new TypeError('no nameAlg');
  const integrity = digest(objectPublic.nameAlg, sensitive, nameOf(objectPublic));
  return cfbEncrypt(key, zeroIv, concat(encode(TPM2B_DIGEST, integrity), sensitive));
}

/** The outer wrapper of Part 1 §23.3.2.2 to a storage key of which only the public part is known. */
export function outerWrapped(to: Public, objectPublic: Public, blob: Uint8Array, random: Random): Duplicate {
  if ((to.type !== 'rsa' && to.type !== 'ecc') || to.nameAlg === 'null')
    throw new TypeError('no asymmetric storage key');
  const { symmetric } = to.parameters;
  if (symmetric.algorithm !== 'aes') throw new TypeError('no cipher');
  const { seed, secret } = seedTo(to, 'DUPLICATE', random);
  const name = nameOf(objectPublic);
  const bits = digestSize(to.nameAlg) * 8;
  const encrypted = cfbEncrypt(
    kdfa(to.nameAlg, seed, 'STORAGE', name, none, symmetric.keyBits),
    zeroIv,
    blob,
  );
  const mac = hmac(to.nameAlg, kdfa(to.nameAlg, seed, 'INTEGRITY', none, none, bits), encrypted, name);
  return { duplicate: concat(encode(TPM2B_DIGEST, mac), encrypted), inSymSeed: secret };
}
