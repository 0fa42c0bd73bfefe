import { concat, hex, u32 } from '../../src/core/bytes.ts';
import { encode } from '../../src/tpm/codec.ts';
import type {
  TPMS_CREATION_DATA as CreationData,
  TPML_PCR_SELECTION as PcrSelection,
  TPMT_PUBLIC as Public,
  TPMT_SENSITIVE as Sensitive,
  TPMS_SENSITIVE_CREATE as SensitiveCreate,
} from '../../src/tpm/structures.ts';
import { TPMS_CREATION_DATA, TPMS_SENSITIVE_CREATE, TPMT_PUBLIC } from '../../src/tpm/structures.ts';
import { digest, digestSize, isHash } from './crypto/hash.ts';
import { seededBytes } from './crypto/kdf.ts';
import type { KeyHierarchy } from './hierarchy.ts';
import { makeKey, uniqueOf } from './key.ts';
import type { Machine } from './machine.ts';
import type { LoadedObject } from './object.ts';
import { handleName, hierarchyHandle, isStorage, nameOf, qualifiedNameOf } from './object.ts';
import { allocated, pcrDigest } from './pcr.ts';
import { parameterRefused, RC, Refusal } from './refusal.ts';
import type { TemplateFault } from './template.ts';
import { templateFault } from './template.ts';
import { makeTicket } from './tickets.ts';

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
  const parentFixed = primary || parent.publicArea.objectAttributes.fixedTPM === true;
  const fault = templateFault(template, create, parentFixed);
  if (fault !== undefined) throw blame(fault, operands);
  const { nameAlg } = template;
  if (!isHash(nameAlg)) throw parameterRefused(RC.HASH, operands.inPublic);
  const seed = primary ? primarySeed(chip, parent, template, create) : undefined;
  const chance = seed === undefined ? (count: number) => chip.random.bytes(count) : seededBytes(seed, 'key');
  const authValue = withoutTrailingZeros(create.userAuth);
  const size = digestSize(nameAlg);
  const made = build(chip, template, create, authValue, size, chance, seed);
  const parentName = primary ? handleName(hierarchyHandle[parent]) : parent.qualifiedName;
  return {
    ...made,
    name: nameOf(made.publicArea),
    qualifiedName: qualifiedNameOf(made.publicArea, parentName),
    hierarchy: primary ? parent : parent.hierarchy,
    external: false,
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

function blame(fault: TemplateFault, operands: Operands): Refusal {
  return parameterRefused(fault.code, fault.in === 'public' ? operands.inPublic : operands.inSensitive);
}

/** Everything that makes one primary object differ from another, but not its auth value. */
function primarySeed(
  chip: Machine,
  hierarchy: KeyHierarchy,
  template: Public,
  create: SensitiveCreate,
): Uint8Array {
  const data = encode(TPMS_SENSITIVE_CREATE, { userAuth: new Uint8Array(), data: create.data });
  const area = encode(TPMT_PUBLIC, template);
  return digest('sha256', chip.hierarchies[hierarchy].seed, u32(area.length), area, data);
}

function build(
  chip: Machine,
  template: Public,
  create: SensitiveCreate,
  authValue: Uint8Array,
  size: number,
  chance: (count: number) => Uint8Array,
  seed: Uint8Array | undefined,
): { readonly publicArea: Public; readonly sensitive: Sensitive } {
  if (template.type === 'rsa' || template.type === 'ecc') {
    const memo = seed === undefined ? undefined : { found: chip.foundPrimes, id: hex(seed) };
    const { publicArea, secret } = makeKey(template, chance, memo);
    const seedOf = seed === undefined ? chance : seededBytes(seed, 'seedValue');
    const seedValue = isStorage(template) ? seedOf(size) : new Uint8Array();
    return {
      publicArea,
      sensitive: { sensitiveType: template.type, authValue, seedValue, sensitive: secret },
    };
  }
  const keyBytes =
    template.type === 'symcipher' && template.parameters.sym.algorithm === 'aes'
      ? template.parameters.sym.keyBits / 8
      : size;
  const secret = create.data.length > 0 ? create.data : chance(keyBytes);
  const sensitive: Sensitive = {
    sensitiveType: template.type,
    authValue,
    seedValue: chance(size),
    sensitive: concat(secret),
  };
  if (!isHash(template.nameAlg)) throw new Refusal(RC.HASH);
  return { publicArea: { ...template, unique: uniqueOf(template.nameAlg, sensitive) }, sensitive };
}
