import type { TPMT_PUBLIC as Public, TPMT_PUBLIC_PARMS as PublicParms } from '../../src/tpm/structures.ts';
import { isCurve } from './crypto/ecc.ts';
import { isStorage, storageCipher } from './object.ts';
import { RC } from './refusal.ts';

/** RSA sizes this TPM makes. */
export const rsaSizes: readonly number[] = [1024, 2048, 3072, 4096];

/** Whether this TPM can have keys of these parameters (TPM2_TestParms). */
export function parametersFault(parms: PublicParms): number | undefined {
  return unknownFault(parms) ?? unusedFault(parms);
}

/** Sizes, curves and algorithms that this TPM does not have: what unmarshalling refuses (Part 2 §11, §12.2.3). */
export function unknownFault(parms: PublicParms): number | undefined {
  switch (parms.type) {
    case 'rsa':
      return rsaSizes.includes(parms.parameters.keyBits) ? undefined : RC.VALUE;
    case 'ecc': {
      const { curveID, scheme } = parms.parameters;
      if (!eccSchemes.includes(scheme.scheme)) return RC.SCHEME;
      return isCurve(curveID) ? undefined : RC.CURVE;
    }
    case 'keyedhash':
      return undefined;
    case 'symcipher':
      return parms.parameters.sym.algorithm === 'null' ? RC.SYMMETRIC : undefined;
  }
}

/** What can be written and that no key of this TPM has: another exponent, a KDF of its own. */
export function unusedFault(parms: PublicParms): number | undefined {
  if (parms.type === 'rsa') {
    const { exponent } = parms.parameters;
    return exponent === 0 || exponent === 65537 ? undefined : RC.RANGE;
  }
  return parms.type === 'ecc' && parms.parameters.kdf.scheme !== 'null' ? RC.KDF : undefined;
}

const eccSchemes: readonly string[] = ['null', 'ecdsa', 'ecdaa', 'ecschnorr', 'ecdh'];
const signSchemes: readonly string[] = ['rsassa', 'rsapss', 'ecdsa', 'ecdaa', 'ecschnorr', 'hmac'];

/** Schemes and ciphers must fit the use: a storage key has a cipher and no scheme, a restricted signer a scheme. */
export function schemeFault(template: Public): number | undefined {
  const { sign, decrypt, restricted } = template.objectAttributes;
  const cipher = storageCipher(template);
  const wrongCipher = cipher?.algorithm !== 'aes' || cipher.mode !== 'cfb';
  if (template.type === 'symcipher') return isStorage(template) && wrongCipher ? RC.SYMMETRIC : undefined;
  const { scheme } = template.parameters;
  const signs = signSchemes.includes(scheme.scheme);
  const none = scheme.scheme === 'null';
  const bothOrNeither = (sign ?? false) === (decrypt ?? false);
  if (template.type === 'keyedhash') {
    if (bothOrNeither) return none ? undefined : RC.SCHEME;
    if (sign) return signs ? undefined : RC.SCHEME;
    // What derives keys does so with the one KDF that this is specified for (Part 1 §28).
    return scheme.scheme !== 'xor' || (restricted && scheme.kdf !== 'kdf1_sp800_108') ? RC.SCHEME : undefined;
  }
  if (bothOrNeither ? !none : sign ? !signs && (restricted || !none) : restricted ? !none : signs)
    return RC.SCHEME;
  if (restricted && decrypt) return wrongCipher ? RC.SYMMETRIC : undefined;
  return template.parameters.symmetric.algorithm === 'null' ? undefined : RC.SYMMETRIC;
}
