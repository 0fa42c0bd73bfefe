import { u32 } from '../../src/core/bytes.ts';
import { decode, encode } from '../../src/tpm/codec.ts';
import { bytesOf } from '../../src/tpm/combinators.ts';
import { taggedDigest } from '../../src/tpm/kdf.ts';
import type {
  TPMT_PUBLIC as Public,
  TPMT_SENSITIVE as Sensitive,
  TPMT_SYM_DEF_OBJECT as SymmetricDefinition,
} from '../../src/tpm/structures.ts';
import { TPM_ALG_ID, TPM_RH, TPMT_PUBLIC, TPMT_SENSITIVE } from '../../src/tpm/structures.ts';
import { isHash } from './crypto/hash.ts';
import type { KeyHierarchy } from './hierarchy.ts';
import type { TpmSnapshot } from './state.ts';
import type { Protector } from './wrap.ts';

/** An object in the TPM: a key or sealed data. */
export interface LoadedObject {
  readonly publicArea: Public;
  /** Absent when only the public part was loaded. */
  readonly sensitive: Sensitive | undefined;
  readonly name: Uint8Array;
  readonly qualifiedName: Uint8Array;
  readonly hierarchy: KeyHierarchy;
  /** Came by TPM2_LoadExternal: never a parent, never persistent. */
  readonly external: boolean;
  /** It, or an ancestor, has the attribute stClear: never persistent, and its contexts end with TPM2_Startup(CLEAR). */
  readonly stClear?: boolean | undefined;
}

/** What a sequence is to commands that take an object: one that can do nothing. It lends only its auth value. */
export const sequenceObject: LoadedObject = {
  publicArea: {
    type: 'symcipher',
    nameAlg: 'null',
    objectAttributes: { userWithAuth: true, noDA: true },
    authPolicy: new Uint8Array(),
    parameters: { sym: { algorithm: 'null' } },
    unique: new Uint8Array(),
  },
  sensitive: {
    sensitiveType: 'symcipher',
    authValue: new Uint8Array(),
    seedValue: new Uint8Array(),
    sensitive: new Uint8Array(),
  },
  name: new Uint8Array(),
  qualifiedName: new Uint8Array(),
  hierarchy: 'null',
  external: true,
};

/** The permanent handle of a hierarchy. */
export const hierarchyHandle: Readonly<Record<KeyHierarchy, number>> = {
  owner: TPM_RH.owner,
  endorsement: TPM_RH.endorsement,
  platform: TPM_RH.platform,
  null: TPM_RH.null,
};

/** The hierarchy of a permanent handle, if it is one that keys can be in. */
export function hierarchyOf(handle: number): KeyHierarchy | undefined {
  for (const [name, value] of Object.entries(hierarchyHandle))
    if (value === handle) return name as KeyHierarchy;
  return undefined;
}

/** The Name of a public area (Part 1 §16): its algorithm and hash; empty without nameAlg. */
export function nameOf(publicArea: Public): Uint8Array {
  return isHash(publicArea.nameAlg)
    ? taggedDigest(publicArea.nameAlg, encode(TPMT_PUBLIC, publicArea))
    : new Uint8Array();
}

/** The Qualified Name below a parent (Part 1 §16.4); for a primary object the parent's is its hierarchy's handle. */
export function qualifiedNameOf(publicArea: Public, parentQualifiedName: Uint8Array): Uint8Array {
  return isHash(publicArea.nameAlg)
    ? taggedDigest(publicArea.nameAlg, parentQualifiedName, nameOf(publicArea))
    : new Uint8Array();
}

/** The two bytes of an algorithm. */
export function algorithmId(name: TPM_ALG_ID): Uint8Array {
  return encode(TPM_ALG_ID, name);
}

/** The name of a hierarchy, which is also its qualified name: its handle. */
export function handleName(handle: number): Uint8Array {
  return u32(handle);
}

/** Whether children can hang below the object (Part 1 §23.2). */
export function isStorageParent(object: LoadedObject): boolean {
  return isStorage(object.publicArea) && object.sensitive !== undefined && !object.external;
}

/** Whether the public area is that of a storage key: restricted decryption. */
export function isStorage(publicArea: Public): boolean {
  return isRestrictedDecryption(publicArea) && publicArea.type !== 'keyedhash';
}

/** Whether children can be derived from the object (Part 1 §28): a keyed hash where a parent would be a cipher. */
export function isDerivationParent({ publicArea, sensitive, external }: LoadedObject): boolean {
  return (
    isRestrictedDecryption(publicArea) &&
    publicArea.type === 'keyedhash' &&
    sensitive !== undefined &&
    !external
  );
}

/** The cipher by which a storage key protects; `undefined` for a keyed hash. */
export function storageCipher(publicArea: Public): SymmetricDefinition | undefined {
  switch (publicArea.type) {
    case 'rsa':
    case 'ecc':
      return publicArea.parameters.symmetric;
    case 'symcipher':
      return publicArea.parameters.sym;
    case 'keyedhash':
      return undefined;
  }
}

/** The size of a storage key's cipher; `undefined` when it has none. */
export function storageKeyBits(publicArea: Public): number | undefined {
  const cipher = storageCipher(publicArea);
  return cipher?.algorithm === 'aes' ? cipher.keyBits : undefined;
}

/** How a storage parent protects its children. */
export function protectorOf(parent: LoadedObject): Protector | undefined {
  const keyBits = storageKeyBits(parent.publicArea);
  const { nameAlg } = parent.publicArea;
  if (keyBits === undefined || !isHash(nameAlg) || parent.sensitive === undefined) return undefined;
  return { hash: nameAlg, seed: parent.sensitive.seedValue, keyBits };
}

/** A persistent object as it is stored. */
export function objectToSnapshot(handle: number, object: LoadedObject): TpmSnapshot['persistent'][number] {
  return {
    handle,
    publicArea: bytesOf(TPMT_PUBLIC, object.publicArea),
    sensitive: object.sensitive === undefined ? new Uint8Array() : bytesOf(TPMT_SENSITIVE, object.sensitive),
    hierarchy: object.hierarchy === 'null' ? 'owner' : object.hierarchy,
    qualifiedName: object.qualifiedName,
  };
}

/** The inverse of {@link objectToSnapshot}. */
export function objectFromSnapshot(stored: TpmSnapshot['persistent'][number]): LoadedObject {
  const publicArea = decode(TPMT_PUBLIC, stored.publicArea);
  return {
    publicArea,
    sensitive: stored.sensitive.length === 0 ? undefined : decode(TPMT_SENSITIVE, stored.sensitive),
    name: nameOf(publicArea),
    qualifiedName: stored.qualifiedName,
    hierarchy: stored.hierarchy,
    external: false,
  };
}

function isRestrictedDecryption({ objectAttributes, nameAlg }: Public): boolean {
  const { restricted, decrypt, sign } = objectAttributes;
  return restricted === true && decrypt === true && sign !== true && isHash(nameAlg);
}
