import type { Need } from './client/authorize.ts';
import { saltKeyFor, withAuthorizations } from './client/authorize.ts';
import { run } from './client/run.ts';
import type { Session } from './client/session.ts';
import { trimmedAuth } from './client/session.ts';
import type { SaltKey } from './client/sessions.ts';
import type { Tpm } from './client/tpm.ts';
import { TPM2_HierarchyChangeAuth } from './commands/hierarchy.ts';
import { TPM2_NV_ChangeAuth } from './commands/nv.ts';
import { TPM2_ObjectChangeAuth } from './commands/object.ts';
import { TPM2_PolicyCommandCode } from './commands/policy.ts';
import type { NvIndex } from './nv.ts';
import type { TpmObject, WrappedKey } from './objects.ts';
import { TPM_RH } from './structures/handles.ts';

/** A new auth value on its way. */
export interface NewAuth {
  /** Empty for none. */
  readonly newAuth: Uint8Array;
  /** Hides it from whoever listens. Default: `tpm.saltKey`. */
  readonly saltedTo?: SaltKey | undefined;
}

/** Gives a hierarchy (or lockout) another auth value (TPM2_HierarchyChangeAuth). `auth` is the one it has now. */
export async function changeHierarchyAuth(
  tpm: Tpm,
  hierarchy: 'owner' | 'endorsement' | 'platform' | 'lockout',
  change: NewAuth & { readonly auth?: Uint8Array | undefined },
): Promise<void> {
  const { newAuth } = change;
  const hide = hiding(tpm, change);
  // the TPM proves its answer with the new value
  const need: Need = { by: 'auth', auth: change.auth, authAfter: newAuth, hideRequestBy: hide };
  await withAuthorizations(tpm, [need], (authorizations) =>
    run(tpm, TPM2_HierarchyChangeAuth, { authHandle: TPM_RH[hierarchy], newAuth }, { authorizations }),
  );
}

/**
 * Gives an NV index another auth value (TPM2_NV_ChangeAuth). The ADMIN role of an index is its policy alone: one that
 * contains PolicyCommandCode(TPM2_NV_ChangeAuth), and perhaps PolicyAuthValue, must have been given to it.
 *
 * @param change.fulfil runs the policy's commands on the session; PolicyCommandCode itself by default.
 */
export async function changeNvAuth(
  tpm: Tpm,
  index: NvIndex,
  change: NewAuth & { readonly fulfil?: ((session: Session) => Promise<void>) | undefined },
): Promise<NvIndex> {
  const { newAuth, fulfil = forCommand(tpm, TPM2_NV_ChangeAuth.code) } = change;
  const needs: Need[] = [
    { by: 'policy', hash: index.public.nameAlg, auth: index.auth, authAfter: newAuth, fulfil },
    ...alsoHiding(tpm, change),
  ];
  await withAuthorizations(tpm, needs, (authorizations) =>
    run(tpm, TPM2_NV_ChangeAuth, { nvIndex: index, newAuth }, { authorizations }),
  );
  return { ...index, auth: newAuth };
}

/**
 * The same object under another auth value, wrapped anew (TPM2_ObjectChangeAuth). The loaded one, and every wrapped copy
 * from before, keep the old value. For a primary key there is no such thing.
 *
 * @param change.fulfil for an object whose ADMIN role is its policy; PolicyCommandCode by default.
 */
export async function changeObjectAuth(
  tpm: Tpm,
  parent: TpmObject,
  object: TpmObject,
  change: NewAuth & { readonly fulfil?: ((session: Session) => Promise<void>) | undefined },
): Promise<WrappedKey> {
  const { newAuth, fulfil = forCommand(tpm, TPM2_ObjectChangeAuth.code) } = change;
  const { nameAlg, objectAttributes } = object.public;
  const hash = nameAlg === 'null' ? 'sha256' : nameAlg;
  const need: Need =
    objectAttributes.adminWithPolicy === true
      ? { by: 'policy', hash, auth: object.auth, fulfil }
      : { by: 'auth', auth: object.auth };
  return await withAuthorizations(tpm, [need, ...alsoHiding(tpm, change)], async (authorizations) => {
    const { outPrivate } = await run(
      tpm,
      TPM2_ObjectChangeAuth,
      { objectHandle: object, parentHandle: parent, newAuth },
      { authorizations },
    );
    return { private: outPrivate, public: object.public };
  });
}

function hiding(tpm: Tpm, { newAuth, saltedTo }: NewAuth): SaltKey | undefined {
  return trimmedAuth(newAuth).length === 0 ? undefined : saltKeyFor(tpm, saltedTo);
}

function alsoHiding(tpm: Tpm, change: NewAuth): readonly Need[] {
  const to = hiding(tpm, change);
  return to === undefined ? [] : [{ by: 'salt', to, request: true }];
}

function forCommand(tpm: Tpm, code: number): (session: Session) => Promise<void> {
  return async ({ handle }) => {
    await run(tpm, TPM2_PolicyCommandCode, { policySession: handle, code });
  };
}
