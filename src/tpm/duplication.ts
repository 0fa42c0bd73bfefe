import type { Random } from '../core/platform.ts';
import type { Need } from './client/authorize.ts';
import { withAuthorizations } from './client/authorize.ts';
import { run } from './client/run.ts';
import type { Session } from './client/session.ts';
import type { Tpm } from './client/tpm.ts';
import { encode } from './codec.ts';
import { TPM2_Duplicate, TPM2_Import } from './commands/duplication.ts';
import { TPM2_LoadExternal } from './commands/object.ts';
import { nameOf } from './names.ts';
import type { Hierarchy, TpmObject, WrappedKey } from './objects.ts';
import { protectedFor } from './protect.ts';
import { seedTo } from './seed.ts';
import type { SoftwareKey } from './software-key.ts';
import { TPM_RH } from './structures/handles.ts';
import type { TPMT_PUBLIC, TPMT_SYM_DEF_OBJECT } from './structures/keys.ts';
import { TPM2B_SENSITIVE } from './structures/keys.ts';

const none = new Uint8Array(0);
const noInnerWrap = { algorithm: 'null' } as const;

/** A key on its way to another parent (Part 1 §23.3): only the TPM that holds the parent can open it. */
export interface Duplicate {
  readonly public: TPMT_PUBLIC;
  /** TPM2B_PRIVATE, without its size. */
  readonly duplicate: Uint8Array;
  /** TPM2B_ENCRYPTED_SECRET, without its size. */
  readonly secret: Uint8Array;
  /** Of the inner wrap, where there is one: it travels by another way. */
  readonly inner?: { readonly key: Uint8Array; readonly symmetric: TPMT_SYM_DEF_OBJECT } | undefined;
}

/**
 * Wraps a software key for a storage key, without a TPM: an owner's server does it for a robot it knows the SRK of.
 *
 * @throws {Malformed} when `parent` is no storage key.
 */
export function wrapForImport(options: {
  readonly parent: TPMT_PUBLIC;
  readonly key: SoftwareKey;
  readonly random: Random;
}): Duplicate {
  const { parent, key, random } = options;
  const shared = seedTo(parent, 'DUPLICATE', random);
  const plain = encode(TPM2B_SENSITIVE, key.sensitive);
  const duplicate = protectedFor(parent, shared.seed, nameOf(key.public), plain);
  return { public: key.public, duplicate, secret: shared.secret };
}

/** Takes a duplicate in under `parent` (TPM2_Import), to be loaded with `loadKey`. @throws {TpmRefused} INTEGRITY. */
export async function importKey(tpm: Tpm, parent: TpmObject, duplicate: Duplicate): Promise<WrappedKey> {
  const needs = [{ by: 'auth', auth: parent.auth } as const, ...hidingInner(duplicate, parent)];
  return await withAuthorizations(tpm, needs, async (authorizations) => {
    const { outPrivate } = await run(
      tpm,
      TPM2_Import,
      {
        parentHandle: parent,
        encryptionKey: duplicate.inner?.key ?? none,
        objectPublic: duplicate.public,
        duplicate: duplicate.duplicate,
        inSymSeed: duplicate.secret,
        symmetricAlg: duplicate.inner?.symmetric ?? noInnerWrap,
      },
      { authorizations },
    );
    return { private: outPrivate, public: duplicate.public };
  });
}

/**
 * Wraps a key of this TPM for another parent (TPM2_Duplicate). Its own policy must allow that, which `fulfil` runs:
 * PolicyCommandCode(TPM2_Duplicate), or PolicyDuplicationSelect and what goes with it.
 */
export async function duplicateKey(
  tpm: Tpm,
  object: TpmObject,
  options: {
    /** Loaded, perhaps by `loadPublic`. */
    readonly newParent: TpmObject;
    readonly fulfil: (session: Session) => Promise<void>;
    /** An inner wrap, which objects with `encryptedDuplication` demand. Default: none. */
    readonly symmetric?: TPMT_SYM_DEF_OBJECT | undefined;
    /** Hides the key of the inner wrap on its way from the TPM. */
    readonly saltedTo?: TpmObject | undefined;
  },
): Promise<Duplicate> {
  const { newParent, fulfil, symmetric = noInnerWrap, saltedTo } = options;
  const { nameAlg } = object.public;
  const hash = nameAlg === 'null' ? 'sha256' : nameAlg;
  const need: Need = { by: 'policy', hash, auth: object.auth, hideAnswerBy: saltedTo, fulfil };
  return await withAuthorizations(tpm, [need], async (authorizations) => {
    const made = await run(
      tpm,
      TPM2_Duplicate,
      { objectHandle: object, newParentHandle: newParent, encryptionKeyIn: none, symmetricAlg: symmetric },
      { authorizations },
    );
    const inner = symmetric.algorithm === 'null' ? undefined : { key: made.encryptionKeyOut, symmetric };
    return { public: object.public, duplicate: made.duplicate, secret: made.outSymSeed, inner };
  });
}

/** Loads a public area alone (TPM2_LoadExternal): to verify with it, or as the new parent of a duplicate. */
export async function loadPublic(
  tpm: Tpm,
  area: TPMT_PUBLIC,
  hierarchy: Hierarchy = 'owner',
): Promise<TpmObject> {
  const request = { inPublic: area, hierarchy: TPM_RH[hierarchy] };
  const { objectHandle } = await run(tpm, TPM2_LoadExternal, request);
  return { handle: objectHandle, name: nameOf(area), public: area };
}

function hidingInner(duplicate: Duplicate, parent: TpmObject): readonly Need[] {
  return duplicate.inner === undefined ? [] : [{ by: 'salt', to: parent, request: true }];
}
