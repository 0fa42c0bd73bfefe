import type { TPMT_PUBLIC as Public, TPMT_PUBLIC_PARMS as PublicParms } from '../../src/tpm/structures.ts';
import { isCurve } from './crypto/ecc.ts';
import { isStorage, storageCipher } from './object.ts';
import { RC } from './refusal.ts';

/** RSA sizes this TPM makes. */
export const rsaSizes: readonly number[] = [1024, 2048, 3072, 4096];
/** AES key sizes it has. */
export const aesSizes: readonly number[] = [128, 192, 256];

/** Whether this TPM can have keys of these parameters (TPM2_TestParms). */
export function parametersFault(parms: PublicParms): number | undefined {
  switch (parms.type) {
    case 'rsa': {
      const { keyBits, exponent, symmetric } = parms.parameters;
      if (!rsaSizes.includes(keyBits)) return RC.VALUE;
      if (exponent !== 0 && exponent !== 65537) return RC.RANGE;
      return symmetricFault(symmetric);
    }
    case 'ecc': {
      const { curveID, symmetric, kdf, scheme } = parms.parameters;
      if (!isCurve(curveID)) return RC.CURVE;
      if (kdf.scheme !== 'null') return RC.KDF;
      if (scheme.scheme !== 'null' && scheme.scheme !== 'ecdsa' && scheme.scheme !== 'ecdh') return RC.SCHEME;
      return symmetricFault(symmetric);
    }
    case 'keyedhash':
      return undefined;
    case 'symcipher':
      return parms.parameters.sym.algorithm === 'null' ? RC.SYMMETRIC : symmetricFault(parms.parameters.sym);
  }
}

/** Schemes and ciphers must fit the use: a storage key has a cipher and no scheme, a restricted signer a scheme. */
export function schemeFault(template: Public): number | undefined {
  const { sign, decrypt, restricted } = template.objectAttributes;
  const cipher = storageCipher(template);
  const wrongCipher = cipher?.algorithm !== 'aes' || cipher.mode !== 'cfb';
  if (template.type === 'symcipher') return isStorage(template) && wrongCipher ? RC.SYMMETRIC : undefined;
  if (template.type === 'keyedhash') {
    const { scheme } = template.parameters;
    if (sign === decrypt) return scheme.scheme === 'null' ? undefined : RC.SCHEME;
    if (sign) return scheme.scheme === 'hmac' ? undefined : RC.SCHEME;
    if (scheme.scheme !== 'xor') return RC.SCHEME;
    // A derivation parent: children are derived by KDFa.
    return restricted && scheme.kdf !== 'kdf1_sp800_108' ? RC.SCHEME : undefined;
  }
  const { symmetric, scheme } = template.parameters;
  const { scheme: name } = scheme;
  const signs = name === 'rsassa' || name === 'rsapss' || name === 'ecdsa';
  const decrypts = name === 'rsaes' || name === 'oaep' || name === 'ecdh';
  if ((sign ?? false) === (decrypt ?? false)) {
    if (name !== 'null') return RC.SCHEME;
  } else if (restricted ? (sign ? !signs : name !== 'null') : sign ? decrypts : signs) {
    return RC.SCHEME;
  }
  if (restricted && decrypt) return wrongCipher ? RC.SYMMETRIC : undefined;
  return symmetric.algorithm === 'null' ? undefined : RC.SYMMETRIC;
}

/** Whether this TPM has the block cipher. */
export function symmetricFault(symmetric: {
  readonly algorithm: string;
  readonly keyBits?: number;
}): number | undefined {
  if (symmetric.algorithm === 'null') return undefined;
  return aesSizes.includes(symmetric.keyBits ?? 0) ? undefined : RC.VALUE;
}
