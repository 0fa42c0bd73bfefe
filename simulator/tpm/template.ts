import type {
  TPMT_PUBLIC as Public,
  TPMT_PUBLIC_PARMS as PublicParms,
  TPMS_SENSITIVE_CREATE as SensitiveCreate,
} from '../../src/tpm/structures.ts';
import { isCurve } from './crypto/ecc.ts';
import { digestSize, isHash } from './crypto/hash.ts';
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
  const { nameAlg, authPolicy } = template;
  const unknown = unknownFault(template);
  if (unknown !== undefined) return unknown;
  if (!isHash(nameAlg)) return RC.HASH;
  if (authPolicy.length !== 0 && authPolicy.length !== digestSize(nameAlg)) return RC.SIZE;
  return useFault(template) ?? schemeFault(template) ?? unusedFault(template);
}

/** Whether this TPM can have keys of these parameters (TPM2_TestParms). */
export function parametersFault(parms: PublicParms): number | undefined {
  return unknownFault(parms) ?? unusedFault(parms);
}

/** Sizes, curves and algorithms that this TPM does not have: what unmarshalling refuses (Part 2 §11, §12.2.3). */
function unknownFault(parms: PublicParms): number | undefined {
  switch (parms.type) {
    case 'rsa': {
      const { keyBits, symmetric } = parms.parameters;
      return symmetricFault(symmetric) ?? (rsaSizes.includes(keyBits) ? undefined : RC.VALUE);
    }
    case 'ecc': {
      const { curveID, symmetric, scheme } = parms.parameters;
      const fault = symmetricFault(symmetric);
      if (fault !== undefined) return fault;
      if (!eccSchemes.includes(scheme.scheme)) return RC.SCHEME;
      return isCurve(curveID) ? undefined : RC.CURVE;
    }
    case 'keyedhash':
      return undefined;
    case 'symcipher':
      return parms.parameters.sym.algorithm === 'null' ? RC.SYMMETRIC : symmetricFault(parms.parameters.sym);
  }
}

/** What can be written and that no key of this TPM has: another exponent, a KDF of its own. */
function unusedFault(parms: PublicParms): number | undefined {
  if (parms.type === 'rsa') {
    const { exponent } = parms.parameters;
    return exponent === 0 || exponent === 65537 ? undefined : RC.RANGE;
  }
  return parms.type === 'ecc' && parms.parameters.kdf.scheme !== 'null' ? RC.KDF : undefined;
}

/** Attributes that contradict each other (Part 2 §8.3.3). `sign` of a symmetric key is leave to encrypt. */
function useFault({ type, objectAttributes }: Public): number | undefined {
  const { sign, decrypt, restricted } = objectAttributes;
  if (type !== 'keyedhash' && !sign && !decrypt) return RC.ATTRIBUTES;
  return restricted && (sign ?? false) === (decrypt ?? false) ? RC.ATTRIBUTES : undefined;
}

const eccSchemes: readonly string[] = ['null', 'ecdsa', 'ecdaa', 'ecschnorr', 'ecdh'];
const signSchemes: readonly string[] = ['rsassa', 'rsapss', 'ecdsa', 'ecdaa', 'ecschnorr', 'hmac'];

/** Schemes and ciphers must fit the use: a storage key has a cipher and no scheme, a restricted signer a scheme. */
function schemeFault(template: Public): number | undefined {
  const { sign, decrypt, restricted } = template.objectAttributes;
  const parent = restricted === true && decrypt === true;
  if (template.type === 'symcipher') {
    const { sym } = template.parameters;
    return parent && (sym.algorithm !== 'aes' || sym.mode !== 'cfb') ? RC.SYMMETRIC : undefined;
  }
  const { scheme } = template.parameters;
  const signs = signSchemes.includes(scheme.scheme);
  if (template.type === 'keyedhash') {
    if ((sign ?? false) === (decrypt ?? false)) return scheme.scheme === 'null' ? undefined : RC.SCHEME;
    if (sign) return signs ? undefined : RC.SCHEME;
    // What derives keys does so with the one KDF that this is specified for (Part 1 §28).
    return scheme.scheme !== 'xor' || (restricted && scheme.kdf !== 'kdf1_sp800_108') ? RC.SCHEME : undefined;
  }
  const { symmetric } = template.parameters;
  const none = scheme.scheme === 'null';
  if (sign && decrypt ? !none : sign ? !signs && (restricted || !none) : restricted ? !none : signs)
    return RC.SCHEME;
  if (parent) return symmetric.algorithm === 'null' || symmetric.mode !== 'cfb' ? RC.SYMMETRIC : undefined;
  return symmetric.algorithm === 'null' ? undefined : RC.SYMMETRIC;
}

function symmetricFault(symmetric: {
  readonly algorithm: string;
  readonly keyBits?: number;
}): number | undefined {
  return symmetric.algorithm === 'null' || aesSizes.includes(symmetric.keyBits ?? 0) ? undefined : RC.VALUE;
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
