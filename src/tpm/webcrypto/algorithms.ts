import type { webcrypto } from 'node:crypto';
import type { TPMI_ALG_HASH } from '../structures/algorithms.ts';
import type { TPMA_OBJECT } from '../structures/attributes.ts';
import type { TPMT_PUBLIC } from '../structures/keys.ts';

const names = ['ECDSA', 'ECDH', 'RSASSA-PKCS1-v1_5', 'RSA-PSS'] as const;

/** The algorithms of WebCrypto whose private keys are in the TPM. */
export type TpmAlgorithm = (typeof names)[number];

/** An algorithm with whatever parameters one of WebCrypto's algorithms has. */
export interface AnyAlgorithm extends webcrypto.Algorithm {
  readonly namedCurve?: string;
  readonly hash?: webcrypto.HashAlgorithmIdentifier;
  readonly modulusLength?: number;
  readonly publicExponent?: Uint8Array;
  readonly saltLength?: number;
  readonly length?: number;
  readonly public?: webcrypto.CryptoKey;
}

/** The algorithm of a key in the TPM. */
export type TpmKeyAlgorithm = webcrypto.EcKeyImportParams | webcrypto.RsaHashedImportParams;

/** An algorithm as a record, also when only its name was given. */
export function recordOf(algorithm: webcrypto.AlgorithmIdentifier): AnyAlgorithm {
  return typeof algorithm === 'string' ? { name: algorithm } : algorithm;
}

const hashes: Readonly<Record<string, Exclude<TPMI_ALG_HASH, 'sha1'>>> = {
  'SHA-256': 'sha256',
  'SHA-384': 'sha384',
  'SHA-512': 'sha512',
};

const curves = ['P-256', 'P-384', 'P-521'] as const;

/** Which of the TPM's algorithms this is, in whatever case it is written; `undefined` for all others. */
export function tpmAlgorithm(algorithm: webcrypto.AlgorithmIdentifier): TpmAlgorithm | undefined {
  const name = String(recordOf(algorithm).name).toLowerCase();
  return names.find((one) => one.toLowerCase() === name);
}

/** The TPM's name of a hash. @throws {DOMException} `NotSupportedError`, also for SHA-1. */
export function tpmHash(hash: webcrypto.HashAlgorithmIdentifier | undefined): Exclude<TPMI_ALG_HASH, 'sha1'> {
  const name = String(hash === undefined ? hash : recordOf(hash).name);
  const found = hashes[name.toUpperCase()];
  if (found === undefined)
    throw new DOMException(
      `keys in the TPM sign SHA-256, SHA-384 and SHA-512, not ${name}`,
      'NotSupportedError',
    );
  return found;
}

/** The template of a new key: for signing or key agreement, and for nothing else. */
export function templateOf(name: TpmAlgorithm, algorithm: AnyAlgorithm, noDA: boolean): TPMT_PUBLIC {
  const objectAttributes: TPMA_OBJECT = {
    fixedTPM: true,
    fixedParent: true,
    sensitiveDataOrigin: true,
    userWithAuth: true,
    noDA,
    ...(name === 'ECDH' ? { decrypt: true } : { sign: true }),
  };
  const common = { nameAlg: 'sha256', objectAttributes, authPolicy: new Uint8Array(0) } as const;
  if (name === 'ECDSA' || name === 'ECDH') {
    const curveID = curves.find((one) => one === algorithm.namedCurve);
    if (curveID === undefined)
      throw new DOMException(`the TPM has no curve ${algorithm.namedCurve}`, 'NotSupportedError');
    return {
      ...common,
      type: 'ecc',
      parameters: {
        symmetric: { algorithm: 'null' },
        scheme: { scheme: 'null' }, // ECDSA names its hash when it signs
        curveID,
        kdf: { scheme: 'null' },
      },
      unique: { x: new Uint8Array(0), y: new Uint8Array(0) },
    };
  }
  const keyBits = algorithm.modulusLength ?? 0;
  if (![2048, 3072, 4096].includes(keyBits) || !isF4(algorithm.publicExponent))
    throw new DOMException(
      'RSA keys in the TPM have 2048, 3072 or 4096 bits and exponent 65537',
      'NotSupportedError',
    );
  return {
    ...common,
    type: 'rsa',
    parameters: {
      symmetric: { algorithm: 'null' },
      scheme: { scheme: name === 'RSA-PSS' ? 'rsapss' : 'rsassa', hashAlg: tpmHash(algorithm.hash) },
      keyBits,
      exponent: 0,
    },
    unique: new Uint8Array(0),
  };
}

/** What a public key of a new pair is imported with. */
export function importAlgorithm(name: TpmAlgorithm, algorithm: AnyAlgorithm): TpmKeyAlgorithm {
  if (name === 'ECDSA' || name === 'ECDH') return { name, namedCurve: algorithm.namedCurve ?? '' };
  return { name, hash: algorithm.hash ?? '' };
}

/**
 * Divides the usages of a new pair among its keys.
 *
 * @throws {DOMException} `SyntaxError` for a usage the algorithm does not have, or when the private key would have none.
 */
export function usagesOf(
  name: TpmAlgorithm,
  usages: readonly webcrypto.KeyUsage[],
): { readonly private: webcrypto.KeyUsage[]; readonly public: webcrypto.KeyUsage[] } {
  const ofPrivate: readonly webcrypto.KeyUsage[] = name === 'ECDH' ? ['deriveKey', 'deriveBits'] : ['sign'];
  const ofPublic: readonly webcrypto.KeyUsage[] = name === 'ECDH' ? [] : ['verify'];
  const wrong = usages.find((one) => !ofPrivate.includes(one) && !ofPublic.includes(one));
  if (wrong !== undefined) throw new DOMException(`no ${name} key is for ${wrong}`, 'SyntaxError');
  const found = ofPrivate.filter((one) => usages.includes(one));
  if (found.length === 0) throw new DOMException('the private key would be for nothing', 'SyntaxError');
  return { private: found, public: ofPublic.filter((one) => usages.includes(one)) };
}

/** Bits of a derived key (WebCrypto §"get key length"); `null` for all there are. */
export function derivedLength(algorithm: AnyAlgorithm): number | null {
  const name = algorithm.name.toUpperCase();
  if (name.startsWith('AES-')) return algorithm.length ?? 0;
  if (name !== 'HMAC') return null;
  if (algorithm.length !== undefined) return algorithm.length;
  const hash = algorithm.hash === undefined ? '' : recordOf(algorithm.hash).name;
  return /384|512/.test(hash) ? 1024 : 512; // the block of the hash
}

function isF4(exponent: Uint8Array | undefined): boolean {
  if (exponent === undefined) return false;
  let value = 0n;
  for (const byte of exponent) value = (value << 8n) | BigInt(byte);
  return value === 65_537n;
}
