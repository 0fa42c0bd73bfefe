import { equal } from '../core/bytes.ts';
import type { Need } from './client/authorize.ts';
import { saltKeyFor, withAuthorizations } from './client/authorize.ts';
import { run } from './client/run.ts';
import type { Tpm } from './client/tpm.ts';
import { encode } from './codec.ts';
import { bytesOf } from './combinators.ts';
import {
  TPM2_Create,
  TPM2_CreatePrimary,
  TPM2_EvictControl,
  TPM2_Load,
  TPM2_ReadPublic,
} from './commands/object.ts';
import { TPM2_FlushContext } from './commands/session.ts';
import { TpmRefused, TpmUntrusted } from './errors.ts';
import { TPM_RH } from './structures/handles.ts';
import type { TPMT_PUBLIC } from './structures/keys.ts';
import { TPMT_PUBLIC as PublicCodec } from './structures/keys.ts';

const none = new Uint8Array(0);

/** A key (or sealed data) in a TPM. */
export interface TpmObject {
  readonly handle: number;
  /** Computed by us from `public`. */
  readonly name: Uint8Array;
  readonly public: TPMT_PUBLIC;
  /** Its auth value: a secret. It is proven by HMAC, never sent. Absent: empty. */
  readonly auth?: Uint8Array | undefined;
}

/** A key as its parent wrapped it: to be stored outside the TPM and loaded again. */
export interface WrappedKey {
  /** TPM2B_PRIVATE, without its size. */
  readonly private: Uint8Array;
  readonly public: TPMT_PUBLIC;
}

/** Hierarchies by name. */
export type Hierarchy = 'owner' | 'endorsement' | 'platform' | 'null';

/** What a new key gets. */
export interface NewKey {
  readonly template: TPMT_PUBLIC;
  /** Its auth value, at most 32 bytes. Default: empty. */
  readonly auth?: Uint8Array | undefined;
  /** What a sealed object holds, or the bytes of a symmetric key, at most 128. Default: the TPM's choice. */
  readonly data?: Uint8Array | undefined;
  /** A trusted key of this TPM (EK or SRK) to hide both from whoever listens. Default: `tpm.saltKey`. */
  readonly saltedTo?: TpmObject | undefined;
}

/** A primary key to be made, always the same from the same template until the hierarchy's seed changes. */
export interface NewPrimary extends NewKey {
  readonly hierarchy: Hierarchy;
  /** The hierarchy's own auth value. Default: empty. */
  readonly hierarchyAuth?: Uint8Array | undefined;
}

/**
 * Makes a primary key (TPM2_CreatePrimary). It is transient: flush it, or persist it and flush it.
 *
 * @throws {TpmUntrusted} `template`: the TPM made another key than was asked for.
 */
export async function createPrimary(tpm: Tpm, key: NewPrimary): Promise<TpmObject> {
  const needs = [{ by: 'auth', auth: key.hierarchyAuth } as const, ...hiding(tpm, key)];
  return await withAuthorizations(tpm, needs, async (authorizations) => {
    const making = run(
      tpm,
      TPM2_CreatePrimary,
      {
        primaryHandle: TPM_RH[key.hierarchy],
        inSensitive: { userAuth: key.auth ?? none, data: key.data ?? none },
        inPublic: key.template,
        outsideInfo: none,
        creationPCR: [],
      },
      { authorizations },
    );
    const [made, asked] = await Promise.all([making, askedFor(key.template)]);
    const object = {
      handle: made.objectHandle,
      name: made.name, // `run` has computed and compared it
      public: made.outPublic,
      auth: key.auth,
    };
    try {
      checkTemplate(asked, made.outPublic);
    } catch (error) {
      await flush(tpm, object);
      throw error;
    }
    return object;
  });
}

/** Makes a key under `parent` (TPM2_Create), wrapped by it. Each call makes another key. */
export async function createKey(tpm: Tpm, parent: TpmObject, key: NewKey): Promise<WrappedKey> {
  const needs = [{ by: 'auth', auth: parent.auth } as const, ...hiding(tpm, key)];
  return await withAuthorizations(tpm, needs, async (authorizations) => {
    const made = await run(
      tpm,
      TPM2_Create,
      {
        parentHandle: parent,
        inSensitive: { userAuth: key.auth ?? none, data: key.data ?? none },
        inPublic: key.template,
        outsideInfo: none,
        creationPCR: [],
      },
      { authorizations },
    );
    checkTemplate(await askedFor(key.template), made.outPublic);
    return { private: made.outPrivate, public: made.outPublic };
  });
}

/** Loads a wrapped key under its parent (TPM2_Load). `auth` is the key's own auth value, for later use. */
export async function loadKey(
  tpm: Tpm,
  parent: TpmObject,
  wrapped: WrappedKey,
  auth?: Uint8Array | undefined,
): Promise<TpmObject> {
  return await withAuthorizations(tpm, [{ by: 'auth', auth: parent.auth }], async (authorizations) => {
    const { objectHandle, name } = await run(
      tpm,
      TPM2_Load,
      { parentHandle: parent, inPrivate: wrapped.private, inPublic: wrapped.public },
      { authorizations },
    );
    return { handle: objectHandle, name, public: wrapped.public, auth };
  });
}

/** Lets the TPM forget a transient object. */
export async function flush(tpm: Tpm, object: { readonly handle: number }): Promise<void> {
  await run(tpm, TPM2_FlushContext, { flushHandle: object.handle });
}

/** Makes a transient object survive power cuts under `handle` (TPM2_EvictControl); what was there is evicted first. */
export async function persist(
  tpm: Tpm,
  object: TpmObject,
  handle: number,
  hierarchyAuth?: Uint8Array | undefined,
): Promise<TpmObject> {
  await evict(tpm, handle, hierarchyAuth);
  await evictControl(tpm, object, handle, hierarchyAuth);
  const persistent = await loadPersistent(tpm, handle, object.auth);
  if (persistent === undefined || !equal(persistent.name, object.name))
    throw new TpmUntrusted('persisted', 'the TPM persisted another object');
  return persistent;
}

/** Removes a persistent object; false when there was none. */
export async function evict(
  tpm: Tpm,
  handle: number,
  hierarchyAuth?: Uint8Array | undefined,
): Promise<boolean> {
  const object = await loadPersistent(tpm, handle);
  if (object === undefined) return false;
  await evictControl(tpm, object, handle, hierarchyAuth);
  return true;
}

/** The persistent object at `handle`, or `undefined`. `auth` is its auth value, for later use. */
export async function loadPersistent(
  tpm: Tpm,
  handle: number,
  auth?: Uint8Array | undefined,
): Promise<TpmObject | undefined> {
  try {
    const { outPublic, name } = await run(tpm, TPM2_ReadPublic, { objectHandle: handle });
    return { handle, name, public: outPublic, auth };
  } catch (error) {
    if (error instanceof TpmRefused && error.reason === 'HANDLE') return undefined;
    throw error;
  }
}

async function evictControl(
  tpm: Tpm,
  object: TpmObject,
  persistentHandle: number,
  auth: Uint8Array | undefined,
): Promise<void> {
  const hierarchy = persistentHandle >= 0x81800000 ? TPM_RH.platform : TPM_RH.owner;
  await withAuthorizations(tpm, [{ by: 'auth', auth }], async (authorizations) => {
    await run(
      tpm,
      TPM2_EvictControl,
      { auth: hierarchy, objectHandle: object, persistentHandle },
      { authorizations },
    );
  });
}

function hiding(tpm: Tpm, key: NewKey): readonly Need[] {
  if ((key.auth ?? none).length === 0 && (key.data ?? none).length === 0) return [];
  return [{ by: 'salt', to: saltKeyFor(tpm, key.saltedTo), request: true }];
}

/** What the TPM has no choice in: all of a public area but `unique`, which comes last. */
function withoutUnique(area: TPMT_PUBLIC, bytes: Uint8Array): Uint8Array {
  const unique =
    area.type === 'ecc' ? 4 + area.unique.x.length + area.unique.y.length : 2 + area.unique.length;
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length - unique);
}

/** Made while the TPM works. */
async function askedFor(template: TPMT_PUBLIC): Promise<Uint8Array> {
  return withoutUnique(template, encode(PublicCodec, template));
}

/** @throws {TpmUntrusted} */
function checkTemplate(asked: Uint8Array, made: TPMT_PUBLIC): void {
  if (!equal(asked, withoutUnique(made, bytesOf(PublicCodec, made))))
    throw new TpmUntrusted('template', 'the TPM made another key than was asked for');
}
