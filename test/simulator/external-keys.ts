import type { Curve } from '../../simulator/tpm/crypto/ecc.ts';
import { publicPoint, scalarFrom } from '../../simulator/tpm/crypto/ecc.ts';
import { digest } from '../../simulator/tpm/crypto/hash.ts';
import { seededBytes } from '../../simulator/tpm/crypto/kdf.ts';
import { rsaPrimes } from '../../simulator/tpm/crypto/rsa-key.ts';
import { concat, utf8 } from '../../src/core/bytes.ts';
import type { TPMT_PUBLIC, TPMT_SENSITIVE } from '../../src/tpm/structures.ts';

const none = new Uint8Array();
const chance = seededBytes(utf8('keys from outside'), 'test');
const plain = { algorithm: 'null' } as const;
const secret = { authValue: none, seedValue: none };

/** A key that any TPM can load: both parts, made outside. */
export interface ExternalKey<T extends TPMT_PUBLIC['type'] = TPMT_PUBLIC['type']> {
  readonly inPrivate: TPMT_SENSITIVE;
  readonly inPublic: TPMT_PUBLIC & { readonly type: T };
}

type Parameters<T extends TPMT_PUBLIC['type']> = (TPMT_PUBLIC & { readonly type: T })['parameters'];
type Uses = { readonly sign?: boolean; readonly decrypt?: boolean };

/** What every such key shares. */
const common = (uses: Uses) =>
  ({ nameAlg: 'sha256', objectAttributes: { userWithAuth: true, ...uses }, authPolicy: none }) as const;

/** An ECC key with a scalar of its own. */
export function eccKey(
  curveID: Curve,
  scheme: Parameters<'ecc'>['scheme'] = { scheme: 'null' },
  uses: Uses = { sign: true },
): ExternalKey<'ecc'> {
  const sensitive = scalarFrom(curveID, chance);
  const parameters = { symmetric: plain, scheme, curveID, kdf: { scheme: 'null' } } as const;
  return {
    inPrivate: { ...secret, sensitiveType: 'ecc', sensitive },
    inPublic: { ...common(uses), type: 'ecc', parameters, unique: publicPoint(curveID, sensitive) },
  };
}

const primes = new Map<number, ReturnType<typeof rsaPrimes>>();

/** The RSA key of a size; the same each time, for they take long to find. */
export function rsaKey(
  keyBits = 1024,
  scheme: Parameters<'rsa'>['scheme'] = { scheme: 'null' },
  uses: Uses = { sign: true, decrypt: true },
): ExternalKey<'rsa'> {
  const { p, n } = primes.get(keyBits) ?? rsaPrimes(keyBits, seededBytes(utf8('RSA'), 'test'));
  primes.set(keyBits, { p, n });
  const parameters = { symmetric: plain, scheme, keyBits, exponent: 0 } as const;
  return {
    inPrivate: { ...secret, sensitiveType: 'rsa', sensitive: p },
    inPublic: { ...common(uses), type: 'rsa', parameters, unique: n },
  };
}

/** An AES key. */
export function symmetricKey(
  sensitive: Uint8Array,
  mode: 'cfb' | 'cbc' | 'ctr' | 'ofb' | 'ecb' | 'null' = 'null',
): ExternalKey<'symcipher'> {
  const seedValue = chance(32);
  const sym = { algorithm: 'aes', keyBits: sensitive.length * 8, mode } as const;
  return {
    inPrivate: { ...secret, seedValue, sensitiveType: 'symcipher', sensitive },
    inPublic: {
      ...common({ sign: true, decrypt: true }),
      type: 'symcipher',
      parameters: { sym },
      unique: digest('sha256', concat(seedValue, sensitive)),
    },
  };
}

/** A key for HMACs. Without a hash of its own it signs and decrypts, which is how a key has no scheme. */
export function hmacKey(sensitive: Uint8Array, hashAlg?: 'sha256' | 'sha384'): ExternalKey<'keyedhash'> {
  const seedValue = chance(32);
  return {
    inPrivate: { ...secret, seedValue, sensitiveType: 'keyedhash', sensitive },
    inPublic: {
      ...common(hashAlg ? { sign: true } : { sign: true, decrypt: true }),
      type: 'keyedhash',
      parameters: { scheme: hashAlg ? { scheme: 'hmac', hashAlg } : { scheme: 'null' } },
      unique: digest('sha256', concat(seedValue, sensitive)),
    },
  };
}
