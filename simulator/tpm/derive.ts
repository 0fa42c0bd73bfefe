import { CodecError, Reader } from '../../src/tpm/codec.ts';
import { tagged } from '../../src/tpm/combinators.ts';
import type {
  TPMS_DERIVE as Derive,
  TPMT_PUBLIC as Public,
  TPMS_SENSITIVE_CREATE as SensitiveCreate,
} from '../../src/tpm/structures.ts';
import {
  TPM2B_DIGEST,
  TPMA_OBJECT,
  TPMI_ALG_HASH_NULL,
  TPMI_ALG_PUBLIC,
  TPMS_DERIVE,
  TPMS_ECC_PARMS,
  TPMS_KEYEDHASH_PARMS,
  TPMS_RSA_PARMS,
  TPMS_SYMCIPHER_PARMS,
} from '../../src/tpm/structures.ts';
import { publicFault } from './attributes.ts';
import type { MadeObject } from './create.ts';
import { authValueOf, makeObject } from './create.ts';
import type { HashAlgorithm } from './crypto/hash.ts';
import { kdfA } from './crypto/kdf.ts';
import type { LoadedObject } from './object.ts';
import { parameterRefused, RC, Refusal } from './refusal.ts';

const none = new Uint8Array();
/** TPM_MAX_DERIVATION_BITS (Part 2 annex A): no key takes more from one derivation. */
const derivationBits = 8192;

/** TPM2B_TEMPLATE's content below a derivation parent (Part 2 §12.2.6): `unique` names the key. */
export const derivedTemplate = /* @__PURE__ */ tagged(
  'TPMT_PUBLIC',
  {
    type: TPMI_ALG_PUBLIC,
    nameAlg: TPMI_ALG_HASH_NULL,
    objectAttributes: TPMA_OBJECT,
    authPolicy: TPM2B_DIGEST,
  },
  'type',
  {
    rsa: { parameters: TPMS_RSA_PARMS, unique: TPMS_DERIVE },
    ecc: { parameters: TPMS_ECC_PARMS, unique: TPMS_DERIVE },
    keyedhash: { parameters: TPMS_KEYEDHASH_PARMS, unique: TPMS_DERIVE },
    symcipher: { parameters: TPMS_SYMCIPHER_PARMS, unique: TPMS_DERIVE },
  },
);

/**
 * The object that follows from a derivation parent, the template, and label and context (Part 1 §28, Part 3 §12.9):
 * the same each time, here and in any other TPM that has the parent.
 *
 * @param template what {@link derivedTemplate} has read.
 * @throws Refusal
 */
export function deriveObject(
  parent: LoadedObject,
  template: Public,
  named: Derive,
  create: SensitiveCreate,
): MadeObject {
  const authValue = authValueOf(template.nameAlg, create.userAuth);
  if (authValue === undefined) throw parameterRefused(RC.SIZE, 1);
  if (template.type === 'rsa') throw parameterRefused(RC.TYPE, 2);
  if (template.objectAttributes.sensitiveDataOrigin) throw new Refusal(RC.ATTRIBUTES);
  const fault = publicFault(template, parent);
  if (fault !== undefined) throw parameterRefused(fault, 2);
  const given = givenNames(create.data);
  const label = named.label.length > 0 ? named.label : given.label;
  const context = named.context.length > 0 ? named.context : given.context;
  const { hash, secret } = derivationOf(parent);
  const stream = kdfA(hash, secret, label, context, none, derivationBits);
  let at = 0;
  const next = (count: number): Uint8Array => {
    if (at + count > stream.length) throw new Refusal(RC.NO_RESULT);
    at += count;
    return stream.slice(at - count, at);
  };
  return makeObject(template, none, authValue, { key: next, seed: next });
}

/** The template as of an ordinary object, its `unique` still to be filled. */
export function withoutNames(template: ReturnType<typeof derivedTemplate.read>): Public {
  return template.type === 'ecc'
    ? { ...template, unique: { x: none, y: none } }
    : { ...template, unique: none };
}

function givenNames(data: Uint8Array): Derive {
  if (data.length === 0) return { label: none, context: none };
  try {
    return TPMS_DERIVE.read(new Reader(data));
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    throw new Refusal(error.fault === 'short' ? RC.INSUFFICIENT : RC.SIZE);
  }
}

function derivationOf({ publicArea, sensitive }: LoadedObject): {
  readonly hash: HashAlgorithm;
  readonly secret: Uint8Array;
} {
  if (publicArea.type !== 'keyedhash' || sensitive === undefined) throw new Refusal(RC.TYPE);
  const { scheme } = publicArea.parameters;
  if (scheme.scheme !== 'xor') throw new Refusal(RC.SCHEME);
  return { hash: scheme.hashAlg, secret: sensitive.sensitive };
}
