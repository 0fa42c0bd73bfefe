import type { webcrypto } from 'node:crypto';
import { constants, verify } from 'node:crypto';
import { keyObjectOfPublic } from '../public-keys.ts';
import type { SigningScheme } from '../sign.ts';
import { rawSignature, sign } from '../sign.ts';
import type { TPMI_ALG_HASH } from '../structures/algorithms.ts';
import type { TPMT_PUBLIC } from '../structures/keys.ts';
import type { AnyAlgorithm } from './algorithms.ts';
import { derivedLength, recordOf, tpmAlgorithm, tpmHash } from './algorithms.ts';
import { refuseTpmKeys, TpmCryptoKey, usable } from './key.ts';
import type { KeyRing } from './key-ring.ts';

type Subtle = webcrypto.SubtleCrypto;
type Identifier = webcrypto.AlgorithmIdentifier;

/**
 * SubtleCrypto over a {@link KeyRing}: what needs a private key of the TPM's algorithms goes to the TPM, all else to
 * software. A private key of those algorithms that was outside a TPM is not let in.
 */
export function tpmSubtle(keys: KeyRing): Subtle {
  const { software } = keys;
  const subtle = {
    async generateKey(algorithm: Identifier, extractable: boolean, usages: webcrypto.KeyUsage[]) {
      const name = tpmAlgorithm(algorithm);
      if (name === undefined) return await software.generateKey(algorithm, extractable, usages);
      if (extractable)
        throw new DOMException('a key in the TPM is never extractable: ask for `false`', 'NotSupportedError');
      return await keys.generate(name, recordOf(algorithm), usages);
    },

    async sign(algorithm: Identifier, key: webcrypto.CryptoKey, data: webcrypto.BufferSource) {
      if (!(key instanceof TpmCryptoKey)) return await software.sign(algorithm, key, data);
      return await signInTpm(keys, recordOf(algorithm), key, copyOf(data));
    },

    async deriveBits(algorithm: Identifier, key: webcrypto.CryptoKey, length: number | null) {
      if (!(key instanceof TpmCryptoKey)) return await software.deriveBits(algorithm as never, key, length);
      usable(key, tpmAlgorithm(algorithm), 'deriveBits');
      return await agreeInTpm(keys, recordOf(algorithm), key, length);
    },

    async deriveKey(
      algorithm: Identifier,
      key: webcrypto.CryptoKey,
      derived: Identifier,
      extractable: boolean,
      usages: webcrypto.KeyUsage[],
    ) {
      if (!(key instanceof TpmCryptoKey))
        return await software.deriveKey(algorithm, key, derived, extractable, usages);
      usable(key, tpmAlgorithm(algorithm), 'deriveKey');
      const bits = await agreeInTpm(keys, recordOf(algorithm), key, derivedLength(recordOf(derived)));
      return await software.importKey('raw', bits, derived, extractable, usages);
    },

    async exportKey(format: 'spki', key: webcrypto.CryptoKey) {
      refuseTpmKeys(key);
      return await software.exportKey(format, key);
    },

    async importKey(
      format: 'spki',
      data: webcrypto.BufferSource,
      algorithm: Identifier,
      extractable: boolean,
      usages: webcrypto.KeyUsage[],
    ) {
      const key = await software.importKey(format, data, algorithm, extractable, usages);
      return refuseOutsider(key);
    },

    async unwrapKey(...given: Parameters<Subtle['unwrapKey']>) {
      refuseTpmKeys(given[2]);
      return refuseOutsider(await software.unwrapKey(...given));
    },

    async wrapKey(...given: Parameters<Subtle['wrapKey']>) {
      refuseTpmKeys(given[1], given[2]);
      return await software.wrapKey(...given);
    },

    async verify(...given: Parameters<Subtle['verify']>) {
      refuseTpmKeys(given[1]);
      return await software.verify(...given);
    },

    async encrypt(...given: Parameters<Subtle['encrypt']>) {
      refuseTpmKeys(given[1]);
      return await software.encrypt(...given);
    },

    async decrypt(...given: Parameters<Subtle['decrypt']>) {
      refuseTpmKeys(given[1]);
      return await software.decrypt(...given);
    },

    async digest(...given: Parameters<Subtle['digest']>) {
      return await software.digest(...given);
    },
  };
  // the overloads of SubtleCrypto tie results to formats, which one implementation cannot say
  return subtle as unknown as Subtle;
}

async function signInTpm(
  keys: KeyRing,
  algorithm: AnyAlgorithm,
  key: TpmCryptoKey,
  data: Uint8Array,
): Promise<ArrayBuffer> {
  const name = usable(key, tpmAlgorithm(algorithm), 'sign');
  const ofKey = key.algorithm as AnyAlgorithm;
  const scheme: SigningScheme =
    name === 'ECDSA'
      ? { scheme: 'ecdsa', hashAlg: tpmHash(algorithm.hash) }
      : { scheme: name === 'RSA-PSS' ? 'rsapss' : 'rsassa', hashAlg: tpmHash(ofKey.hash) };
  return await keys.use(key, async (object) => {
    const signature = rawSignature(object.public, await sign(keys.tpm, object, data, scheme));
    // the TPM chooses how much salt it takes: as much as the digest has, or as fits
    if (name === 'RSA-PSS' && !hasSalt(object.public, scheme.hashAlg, data, signature, algorithm.saltLength))
      throw new DOMException('the TPM takes a salt of another length', 'NotSupportedError');
    return bufferOf(signature);
  });
}

function hasSalt(
  area: TPMT_PUBLIC,
  hash: TPMI_ALG_HASH,
  data: Uint8Array,
  signature: Uint8Array,
  saltLength: number | undefined,
): boolean {
  if (saltLength === undefined) throw new TypeError('`saltLength` is needed');
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  return verify(hash, data, { key: keyObjectOfPublic(area), padding, saltLength }, signature);
}

async function agreeInTpm(
  keys: KeyRing,
  algorithm: AnyAlgorithm,
  key: TpmCryptoKey,
  length: number | null,
): Promise<ArrayBuffer> {
  const other = algorithm.public;
  const curve = (key.algorithm as AnyAlgorithm).namedCurve;
  if (
    other?.type !== 'public' ||
    other.algorithm.name !== 'ECDH' ||
    (other.algorithm as AnyAlgorithm).namedCurve !== curve
  )
    throw new DOMException('`public` must be an ECDH key on the same curve', 'InvalidAccessError');
  const point = new Uint8Array(await keys.software.exportKey('raw', other)); // 0x04 ‖ x ‖ y
  const size = (point.length - 1) / 2;
  const bits = length ?? size * 8;
  if (bits > size * 8) throw new DOMException('more bits than the curve gives', 'OperationError');
  const secret = await keys.agree(key, { x: point.subarray(1, 1 + size), y: point.subarray(1 + size) });
  const out = secret.slice(0, Math.ceil(bits / 8));
  if (bits % 8 !== 0) out[out.length - 1] = (out[out.length - 1] ?? 0) & (0xff << (8 - (bits % 8)));
  return bufferOf(out);
}

/** A private key of the TPM's algorithms that came from outside. @throws {DOMException} `NotSupportedError` */
function refuseOutsider(key: webcrypto.CryptoKey): webcrypto.CryptoKey {
  if (key.type === 'private' && tpmAlgorithm(key.algorithm) !== undefined)
    throw new DOMException('a private key from outside is not made safe by the TPM', 'NotSupportedError');
  return key;
}

function copyOf(source: webcrypto.BufferSource): Uint8Array {
  return ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength).slice()
    : new Uint8Array(source).slice();
}

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer as ArrayBuffer;
}
