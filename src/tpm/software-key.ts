import type { KeyObject } from 'node:crypto';
import { fromBase64url } from '../core/bytes.ts';
import { digest, digestSize } from './kdf.ts';
import type { TPM_ECC_CURVE, TPMI_ALG_HASH } from './structures/algorithms.ts';
import type { TPMA_OBJECT } from './structures/attributes.ts';
import type { TPMT_PUBLIC, TPMT_SENSITIVE } from './structures/keys.ts';

/** A key that is still outside every TPM, both its halves. */
export interface SoftwareKey {
  readonly public: TPMT_PUBLIC;
  readonly sensitive: TPMT_SENSITIVE;
}

/** What a software key becomes in a TPM. */
export interface SoftwareKeyUse {
  /** Default: it signs. */
  readonly use?: 'sign' | 'decrypt' | undefined;
  /** Its auth value. Default: empty. */
  readonly auth?: Uint8Array | undefined;
  /** Default: none; then its auth value alone decides. */
  readonly authPolicy?: Uint8Array | undefined;
  /** Beside those that follow from the above. */
  readonly attributes?: TPMA_OBJECT | undefined;
  /** Default: `sha256`. */
  readonly nameAlg?: TPMI_ALG_HASH | undefined;
}

const none = new Uint8Array(0);

/** A private RSA or ECC key of Node in the form of a TPM. @throws {TypeError} for other keys, and RSA of three primes. */
export function softwareKey(key: KeyObject, options: SoftwareKeyUse = {}): SoftwareKey {
  if (key.type !== 'private') throw new TypeError('`key` must be a private key');
  const jwk = key.export({ format: 'jwk' });
  const { crv, x, y, d, n, e, p } = jwk;
  const common = commonOf(options);
  const sensitive = { authValue: options.auth ?? none, seedValue: none };
  const plain = { algorithm: 'null' } as const;
  const scheme = { scheme: 'null' } as const;
  if (jwk.kty === 'EC' && isCurve(crv) && x !== undefined && y !== undefined && d !== undefined)
    return {
      public: {
        type: 'ecc',
        ...common,
        parameters: { symmetric: plain, scheme, curveID: crv, kdf: scheme },
        unique: { x: fromBase64url(x), y: fromBase64url(y) },
      },
      sensitive: { sensitiveType: 'ecc', ...sensitive, sensitive: fromBase64url(d) },
    };
  if (jwk.kty === 'RSA' && n !== undefined && e !== undefined && p !== undefined && !('oth' in jwk)) {
    const modulus = fromBase64url(n);
    const exponent = fromBase64url(e).reduce((value, byte) => value * 256 + byte, 0);
    return {
      public: {
        type: 'rsa',
        ...common,
        parameters: {
          symmetric: plain,
          scheme,
          keyBits: modulus.length * 8,
          exponent: exponent === 65537 ? 0 : exponent,
        },
        unique: modulus,
      },
      sensitive: { sensitiveType: 'rsa', ...sensitive, sensitive: fromBase64url(p) },
    };
  }
  throw new TypeError('`key` must be an RSA key of two primes, or ECC on P-256, P-384 or P-521');
}

/**
 * Bytes as an HMAC key of a TPM; `seed` (as long as a digest of `nameAlg`, random) keeps the public area from telling
 * anything about them.
 */
export function softwareHmacKey(
  bytes: Uint8Array,
  seed: Uint8Array,
  options: SoftwareKeyUse & { readonly hash?: TPMI_ALG_HASH | undefined } = {},
): SoftwareKey {
  const { nameAlg = 'sha256', hash = 'sha256' } = options;
  if (seed.length !== digestSize(nameAlg)) throw new TypeError('`seed` must be as long as a digest');
  return {
    public: {
      type: 'keyedhash',
      ...commonOf(options),
      parameters: { scheme: { scheme: 'hmac', hashAlg: hash } },
      unique: digest(nameAlg, seed, bytes),
    },
    sensitive: {
      sensitiveType: 'keyedhash',
      authValue: options.auth ?? none,
      seedValue: seed,
      sensitive: bytes,
    },
  };
}

function commonOf(options: SoftwareKeyUse): Pick<TPMT_PUBLIC, 'nameAlg' | 'objectAttributes' | 'authPolicy'> {
  const { use = 'sign', auth, authPolicy, nameAlg = 'sha256' } = options;
  const byPolicy = authPolicy !== undefined;
  const objectAttributes: TPMA_OBJECT = {
    [use]: true,
    userWithAuth: !byPolicy,
    noDA: auth === undefined || auth.length === 0,
    ...options.attributes,
  };
  return { nameAlg, objectAttributes, authPolicy: authPolicy ?? none };
}

function isCurve(curve: unknown): curve is Extract<TPM_ECC_CURVE, 'P-256' | 'P-384' | 'P-521'> {
  return curve === 'P-256' || curve === 'P-384' || curve === 'P-521';
}
