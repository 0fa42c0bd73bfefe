import type {
  TPMT_PUBLIC as Public,
  TPMT_PUBLIC_PARMS as PublicParms,
  TPMS_SENSITIVE_CREATE as SensitiveCreate,
} from '../../src/tpm/structures.ts';
import { isCurve } from './crypto/ecc.ts';
import { digestSize, isHash } from './crypto/hash.ts';
import { isStorage } from './object.ts';
import { RC } from './refusal.ts';

/** RSA sizes this TPM makes. */
export const rsaSizes: readonly number[] = [1024, 2048, 3072, 4096];
/** AES key sizes it has. */
export const aesSizes: readonly number[] = [128, 192, 256];

/** The response code that speaks against making this object, and whether it blames inPublic or inSensitive. */
export interface TemplateFault {
  readonly code: number;
  readonly in: 'public' | 'sensitive';
}

/**
 * What is wrong with a template (Part 3 §12.1, Part 2 §8.3.3), or `undefined`.
 *
 * @param parentFixed whether the parent is fixed to this TPM; hierarchies are.
 */
export function templateFault(
  template: Public,
  create: SensitiveCreate,
  parentFixed: boolean,
): TemplateFault | undefined {
  const code = publicFault(template) ?? attributesFault(template, parentFixed);
  if (code !== undefined) return { code, in: 'public' };
  const sensitive = sensitiveFault(template, create);
  return sensitive === undefined ? undefined : { code: sensitive, in: 'sensitive' };
}

/** What is wrong with a public area by itself, wherever it came from. */
export function publicFault(template: Public): number | undefined {
  const { nameAlg, authPolicy, objectAttributes } = template;
  if (!isHash(nameAlg)) return RC.HASH;
  if (authPolicy.length !== 0 && authPolicy.length !== digestSize(nameAlg)) return RC.SIZE;
  const { sign, decrypt, restricted } = objectAttributes;
  if (template.type === 'rsa' || template.type === 'ecc') {
    if (!sign && !decrypt) return RC.ATTRIBUTES;
    if (restricted && sign && decrypt) return RC.ATTRIBUTES;
  } else if (template.type === 'keyedhash') {
    if (restricted && sign === decrypt) return RC.ATTRIBUTES;
    if (sign && decrypt) return RC.ATTRIBUTES;
  } else if (!decrypt || sign) {
    return RC.ATTRIBUTES;
  }
  return parametersFault(template) ?? useFault(template);
}

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
function useFault(template: Public): number | undefined {
  const { sign, decrypt, restricted } = template.objectAttributes;
  if (template.type === 'rsa' || template.type === 'ecc') {
    const { symmetric, scheme } = template.parameters;
    if (isStorage(template)) {
      if (symmetric.algorithm === 'null' || symmetric.mode !== 'cfb') return RC.SYMMETRIC;
      return scheme.scheme === 'null' ? undefined : RC.SCHEME;
    }
    if (symmetric.algorithm !== 'null') return RC.SYMMETRIC;
    const { scheme: name } = scheme;
    const signs = name === 'rsassa' || name === 'rsapss' || name === 'ecdsa';
    const decrypts = name === 'rsaes' || name === 'oaep' || name === 'ecdh';
    if (restricted && !signs) return RC.SCHEME;
    if (sign && decrypt) return name === 'null' ? undefined : RC.SCHEME;
    if (sign ? decrypts : signs) return RC.SCHEME;
    return undefined;
  }
  if (template.type === 'symcipher') {
    const { sym } = template.parameters;
    return restricted && (sym.algorithm !== 'aes' || sym.mode !== 'cfb') ? RC.SYMMETRIC : undefined;
  }
  const { scheme } = template.parameters.scheme;
  if (sign) return scheme === 'hmac' || (scheme === 'null' && !restricted) ? undefined : RC.SCHEME;
  if (decrypt) return scheme === 'xor' || (scheme === 'null' && !restricted) ? undefined : RC.SCHEME;
  return scheme === 'null' ? undefined : RC.SCHEME;
}

function symmetricFault(symmetric: {
  readonly algorithm: string;
  readonly keyBits?: number;
  readonly mode?: string;
}): number | undefined {
  if (symmetric.algorithm === 'null') return undefined;
  if (!aesSizes.includes(symmetric.keyBits ?? 0)) return RC.VALUE;
  return symmetric.mode === 'null' ? RC.MODE : undefined;
}

function attributesFault({ objectAttributes }: Public, parentFixed: boolean): number | undefined {
  const { fixedTPM, fixedParent, firmwareLimited, svnLimited } = objectAttributes;
  if (firmwareLimited || svnLimited) return RC.ATTRIBUTES;
  // Below a parent fixed to this TPM, fixedParent is fixedTPM; below any other, fixedTPM would be a lie.
  if (parentFixed ? (fixedTPM ?? false) !== (fixedParent ?? false) : fixedTPM === true) return RC.ATTRIBUTES;
  return undefined;
}

function sensitiveFault(template: Public, create: SensitiveCreate): number | undefined {
  const { sensitiveDataOrigin, sign, decrypt, restricted } = template.objectAttributes;
  if (isHash(template.nameAlg) && create.userAuth.length > digestSize(template.nameAlg)) return RC.SIZE;
  if (template.type === 'rsa' || template.type === 'ecc') {
    if (!sensitiveDataOrigin) return RC.ATTRIBUTES;
    return create.data.length === 0 ? undefined : RC.SIZE;
  }
  if (sensitiveDataOrigin ? create.data.length !== 0 : create.data.length === 0) return RC.ATTRIBUTES;
  if (template.type === 'keyedhash') {
    const sealed = !sign && !decrypt;
    if (sealed && sensitiveDataOrigin) return RC.ATTRIBUTES;
    if (sealed && create.data.length > 128) return RC.SIZE;
    return undefined;
  }
  const { sym } = template.parameters;
  if (create.data.length !== 0 && sym.algorithm === 'aes' && create.data.length * 8 !== sym.keyBits)
    return RC.KEY_SIZE;
  return restricted && !sensitiveDataOrigin ? RC.ATTRIBUTES : undefined;
}
