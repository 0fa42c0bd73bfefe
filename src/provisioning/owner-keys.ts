import type { TPMT_PUBLIC, Tpm, TpmObject } from '../tpm/index.ts';
import {
  createKey,
  createPrimary,
  evict,
  flush,
  lakTemplate,
  ldevidTemplate,
  loadKey,
  loadPersistent,
  persist,
  persistentHandles,
  samePublic,
  srkTemplate,
} from '../tpm/index.ts';

/** The owner's two keys in the TPM. */
export interface OwnerKeys {
  /** Restricted: quotes and certifies. */
  readonly lak: TpmObject;
  /** Signs renewals, handshakes and log heads. */
  readonly ldevid: TpmObject;
}

/** Their auth values, 32 random bytes each: secret, readable by the agent's user alone. */
export interface OwnerKeyAuth {
  readonly lak: Uint8Array;
  readonly ldevid: Uint8Array;
}

/** The owner's keys at their persistent handles, or `undefined` when one is not there or is of another kind. */
export async function loadOwnerKeys(tpm: Tpm, auth: OwnerKeyAuth): Promise<OwnerKeys | undefined> {
  const lak = await loadPersistent(tpm, persistentHandles.lak, auth.lak);
  const ldevid = await loadPersistent(tpm, persistentHandles.ldevid, auth.ldevid);
  if (lak === undefined || ldevid === undefined) return undefined;
  return isOf(lak, lakTemplate) && isOf(ldevid, ldevidTemplate) ? { lak, ldevid } : undefined;
}

/** Makes fresh keys for a new owner; those of the owner before are gone. Safe to be done again after a power cut. */
export async function makeOwnerKeys(tpm: Tpm, auth: OwnerKeyAuth): Promise<OwnerKeys> {
  const srk = await storageRoot(tpm);
  const make = async (template: TPMT_PUBLIC, secret: Uint8Array, handle: number) => {
    const wrapped = await createKey(tpm, srk, { template, auth: secret, saltedTo: srk });
    const loaded = await loadKey(tpm, srk, wrapped, secret);
    try {
      return await persist(tpm, loaded, handle);
    } finally {
      await flush(tpm, loaded);
    }
  };
  const lak = await make(lakTemplate, auth.lak, persistentHandles.lak);
  const ldevid = await make(ldevidTemplate, auth.ldevid, persistentHandles.ldevid);
  return { lak, ldevid };
}

/** Removes the owner's keys from the TPM. */
export async function removeOwnerKeys(tpm: Tpm): Promise<void> {
  await evict(tpm, persistentHandles.lak);
  await evict(tpm, persistentHandles.ldevid);
}

async function storageRoot(tpm: Tpm): Promise<TpmObject> {
  const present = await loadPersistent(tpm, persistentHandles.srk);
  if (present !== undefined && isOf(present, srkTemplate)) return present;
  const made = await createPrimary(tpm, { hierarchy: 'owner', template: srkTemplate });
  try {
    return await persist(tpm, made, persistentHandles.srk);
  } finally {
    await flush(tpm, made);
  }
}

/** Whether a key was made from a template, whatever its public point. */
function isOf(key: TpmObject, template: TPMT_PUBLIC): boolean {
  return samePublic(key.public, { ...template, unique: key.public.unique } as TPMT_PUBLIC);
}
