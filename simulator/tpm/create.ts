import { hex, u32 } from '../../src/core/bytes.ts';
import { encode } from '../../src/tpm/codec.ts';
import type {
  TPMS_CREATION_DATA as CreationData,
  TPML_PCR_SELECTION as PcrSelection,
  TPMT_PUBLIC as Public,
  TPMT_SENSITIVE as Sensitive,
  TPMS_SENSITIVE_CREATE as SensitiveCreate,
} from '../../src/tpm/structures.ts';
import { TPMS_CREATION_DATA, TPMS_SENSITIVE_CREATE, TPMT_PUBLIC } from '../../src/tpm/structures.ts';
import { creationFault } from './attributes.ts';
import { keyedHashMax } from './binding.ts';
import { digest, digestSize, isHash } from './crypto/hash.ts';
import { seededBytes } from './crypto/kdf.ts';
import type { KeyHierarchy } from './hierarchy.ts';
import type { FoundPrimes } from './key.ts';
import { makeKey, uniqueOf } from './key.ts';
import type { Machine } from './machine.ts';
import type { LoadedObject } from './object.ts';
import { handleName, hierarchyHandle, isStorage, nameOf, qualifiedNameOf } from './object.ts';
import { allocated, pcrDigest } from './pcr.ts';
import { parameterRefused, RC, Refusal } from './refusal.ts';
import { makeTicket } from './tickets.ts';

const none = new Uint8Array();

/** Where a new object hangs: below a storage key, or at the top of a hierarchy. */
export type Parent = LoadedObject | KeyHierarchy;

/** Number of the parameters to blame in the command that creates. */
export interface Operands {
  readonly inSensitive: number;
  readonly inPublic: number;
}

/** Makes an object (Part 1 §27.2). A primary object follows from the hierarchy's seed, the template and the data. */
export function createObject(
  chip: Machine,
  parent: Parent,
  template: Public,
  create: SensitiveCreate,
  operands: Operands,
): LoadedObject {
  const primary = typeof parent === 'string';
  const fault = creationFault(template, create.data.length, primary ? undefined : parent);
  if (fault !== undefined) throw parameterRefused(fault, operands.inPublic);
  const authValue = authValueOf(template.nameAlg, create.userAuth);
  if (authValue === undefined) throw parameterRefused(RC.SIZE, operands.inSensitive);
  const seed = primary ? primarySeed(chip, parent, template, create) : undefined;
  const source: Source =
    seed === undefined
      ? { key: (count) => chip.random.bytes(count), seed: (count) => chip.random.bytes(count) }
      : {
          key: seededBytes(seed, 'key'),
          seed: seededBytes(seed, 'seedValue'),
          memo: { found: chip.foundPrimes, id: hex(seed) },
        };
  const given = template.objectAttributes.sensitiveDataOrigin ? none : create.data;
  return placed(makeObject(template, given, authValue, source), parent);
}

/** Where the bytes of a new object come from. */
export interface Source {
  readonly key: (count: number) => Uint8Array;
  readonly seed: (count: number) => Uint8Array;
  /** Where the primes of an RSA key that will be asked for again are remembered. */
  readonly memo?: { readonly found: FoundPrimes; readonly id: string };
}

/** An object without its place: the two parts of it. */
export interface MadeObject {
  readonly publicArea: Public;
  readonly sensitive: Sensitive;
}

/**
 * The two parts of a new object.
 *
 * @param given the secret, when it is the caller's.
 */
export function makeObject(
  template: Public,
  given: Uint8Array,
  authValue: Uint8Array,
  source: Source,
): MadeObject {
  const { nameAlg } = template;
  if (!isHash(nameAlg)) throw new Refusal(RC.HASH);
  const size = digestSize(nameAlg);
  if (template.type === 'rsa' || template.type === 'ecc') {
    const { publicArea, secret } = makeKey(template, source.key, source.memo);
    const seedValue = isStorage(template) ? source.seed(size) : none;
    return {
      publicArea,
      sensitive: { sensitiveType: template.type, authValue, seedValue, sensitive: secret },
    };
  }
  const secret = given.length > 0 ? checkedSecret(template, given) : source.key(secretSize(template, size));
  const sensitive: Sensitive = {
    sensitiveType: template.type,
    authValue,
    seedValue: source.key(size),
    sensitive: secret,
  };
  return { publicArea: { ...template, unique: uniqueOf(template, sensitive) }, sensitive };
}

/** The object in its place. */
export function placed({ publicArea, sensitive }: MadeObject, parent: Parent): LoadedObject {
  const above = typeof parent === 'string' ? undefined : parent;
  const parentName = typeof parent === 'string' ? handleName(hierarchyHandle[parent]) : parent.qualifiedName;
  return {
    publicArea,
    sensitive: { ...sensitive, authValue: withoutTrailingZeros(sensitive.authValue) },
    name: nameOf(publicArea),
    qualifiedName: qualifiedNameOf(publicArea, parentName),
    hierarchy: typeof parent === 'string' ? parent : parent.hierarchy,
    external: false,
    stClear: publicArea.objectAttributes.stClear === true || above?.stClear === true,
  };
}

/** What TPM2_Create and TPM2_CreatePrimary say about the circumstances (Part 2 §15.1), and the ticket for it. */
export function creationRecord(
  chip: Machine,
  object: LoadedObject,
  parent: Parent,
  outsideInfo: Uint8Array,
  pcrSelect: PcrSelection,
) {
  const { nameAlg } = object.publicArea;
  if (!isHash(nameAlg)) throw new Refusal(RC.HASH);
  const top = typeof parent === 'string' ? handleName(hierarchyHandle[parent]) : undefined;
  const creationData: CreationData = {
    pcrSelect: allocated(chip.banks, pcrSelect),
    pcrDigest: pcrDigest(chip.banks, nameAlg, pcrSelect),
    locality: 1 << chip.locality,
    parentNameAlg: typeof parent === 'string' ? 'null' : parent.publicArea.nameAlg,
    parentName: top ?? (typeof parent === 'string' ? new Uint8Array() : parent.name),
    parentQualifiedName: top ?? (typeof parent === 'string' ? new Uint8Array() : parent.qualifiedName),
    outsideInfo,
  };
  const creationHash = digest(nameAlg, encode(TPMS_CREATION_DATA, creationData));
  return {
    creationData,
    creationHash,
    creationTicket: makeTicket(chip, 'creation', object.hierarchy, object.name, creationHash),
  };
}

/** Auth values are compared without trailing zeros (Part 1 §19.6.4.3). */
export function withoutTrailingZeros(auth: Uint8Array): Uint8Array {
  let end = auth.length;
  while (end > 0 && auth[end - 1] === 0) end--;
  return auth.slice(0, end);
}

/** An auth value as it is kept; `undefined` when it is longer than a digest of the object's nameAlg (Part 1 §19.6.4). */
export function authValueOf(nameAlg: string, auth: Uint8Array): Uint8Array | undefined {
  const kept = withoutTrailingZeros(auth);
  return kept.length > digestSize(isHash(nameAlg) ? nameAlg : 'sha512') ? undefined : kept;
}

/** Everything that makes one primary object differ from another, but not its auth value. */
function primarySeed(
  chip: Machine,
  hierarchy: KeyHierarchy,
  template: Public,
  create: SensitiveCreate,
): Uint8Array {
  const data = encode(TPMS_SENSITIVE_CREATE, { userAuth: none, data: create.data });
  const area = encode(TPMT_PUBLIC, template);
  return digest('sha256', chip.hierarchies[hierarchy].seed, u32(area.length), area, data);
}

type SymmetricTemplate = Public & { readonly type: 'keyedhash' | 'symcipher' };

/** Bytes of a secret the TPM makes up. */
function secretSize(template: SymmetricTemplate, size: number): number {
  if (template.type === 'symcipher')
    return template.parameters.sym.algorithm === 'aes' ? template.parameters.sym.keyBits / 8 : size;
  const { scheme } = template.parameters;
  return scheme.scheme === 'null' ? size : digestSize(scheme.hashAlg);
}

/** A secret the caller gave. @throws Refusal when no key of the template can have it. */
function checkedSecret(template: SymmetricTemplate, given: Uint8Array): Uint8Array {
  if (template.type === 'symcipher') {
    if (given.length !== secretSize(template, 0)) throw new Refusal(RC.KEY_SIZE);
  } else if (given.length > keyedHashMax(template)) {
    throw new Refusal(RC.SIZE);
  }
  return given;
}
