import type { Need } from './client/authorize.ts';
import { withAuthorizations } from './client/authorize.ts';
import { run } from './client/run.ts';
import type { SaltKey } from './client/sessions.ts';
import type { Tpm } from './client/tpm.ts';
import { TPM2_Unseal } from './commands/object.ts';
import { TPM2_PolicyAuthValue, TPM2_PolicyPCR } from './commands/policy.ts';
import type { TpmObject, WrappedKey } from './objects.ts';
import { createKey } from './objects.ts';
import { withKey } from './owned.ts';
import { selectedPcrDigest } from './pcr.ts';
import { Policy } from './policy.ts';
import type { TPMT_PUBLIC } from './structures/keys.ts';
import type { TPML_PCR_SELECTION } from './structures/pcr.ts';

const none = new Uint8Array(0);

/** Data that one TPM gives out again, and only under its conditions. It may be stored anywhere. */
export interface SealedData extends WrappedKey {
  /** The PCRs that must then be what they were; none when empty. */
  readonly pcrs: TPML_PCR_SELECTION;
  /** Whether an auth value is needed too. */
  readonly byAuth: boolean;
}

/** What is sealed, and under which conditions. */
export interface Sealing {
  /** At most 128 bytes: seal a key, and encrypt what is longer with it. */
  readonly data: Uint8Array;
  /** PCRs that must be what they are now when the data is unsealed. Default: none. */
  readonly pcrs?: TPML_PCR_SELECTION | undefined;
  /** The digest of other values of these PCRs, for a state still to come (`pcrDigest('sha256', values)`). */
  readonly pcrDigest?: Uint8Array | undefined;
  /** An auth value that must then be proven. Default: none. */
  readonly auth?: Uint8Array | undefined;
  /** Hides both on the way to the TPM. Default: the parent. */
  readonly saltedTo?: SaltKey | undefined;
}

/** Seals data under a storage key (TPM2_Create of a keyedhash object, Part 1 §30.4.4). */
export async function seal(tpm: Tpm, parent: TpmObject, sealing: Sealing): Promise<SealedData> {
  const { data, auth, pcrs = [] } = sealing;
  if (data.length === 0) throw new TypeError('`data` must not be empty');
  const byAuth = auth !== undefined && auth.length > 0;
  let authPolicy: Uint8Array = none;
  if (pcrs.length > 0) {
    const pcrDigest = sealing.pcrDigest ?? (await selectedPcrDigest(tpm, pcrs));
    const policy = Policy.start('sha256').pcr(pcrs, pcrDigest);
    authPolicy = (byAuth ? policy.authValue() : policy).digest;
  }
  const template: TPMT_PUBLIC = {
    type: 'keyedhash',
    nameAlg: 'sha256',
    objectAttributes: {
      fixedTPM: true,
      fixedParent: true,
      userWithAuth: pcrs.length === 0,
      adminWithPolicy: pcrs.length > 0,
      noDA: !byAuth,
    },
    authPolicy,
    parameters: { scheme: { scheme: 'null' } },
    unique: none,
  };
  const saltedTo = sealing.saltedTo ?? parent;
  return { ...(await createKey(tpm, parent, { template, data, auth, saltedTo })), pcrs, byAuth };
}

/**
 * The data again (TPM2_Unseal). It comes back hidden from whoever listens.
 *
 * @throws {TpmRefused} POLICY_FAIL: a PCR has another value. AUTH_FAIL: another auth value.
 */
export async function unseal(
  tpm: Tpm,
  parent: TpmObject,
  sealed: SealedData,
  options: { readonly auth?: Uint8Array | undefined; readonly saltedTo?: SaltKey | undefined } = {},
): Promise<Uint8Array> {
  const { auth, saltedTo: hideAnswerBy = parent } = options;
  const byPolicy = {
    by: 'policy',
    hash: 'sha256',
    auth,
    hideAnswerBy,
    fulfil: async (session) => {
      const policySession = session.handle;
      await run(tpm, TPM2_PolicyPCR, { policySession, pcrDigest: none, pcrs: sealed.pcrs });
      if (!sealed.byAuth) return;
      await run(tpm, TPM2_PolicyAuthValue, { policySession });
      session.requireAuthValue();
    },
  } as const satisfies Need;
  const need: Need = sealed.pcrs.length > 0 ? byPolicy : { by: 'auth', auth, hideAnswerBy };
  return await withKey(tpm, parent, sealed, (item) =>
    withAuthorizations(tpm, [need], async (authorizations) => {
      const { outData } = await run(tpm, TPM2_Unseal, { itemHandle: item }, { authorizations });
      return outData;
    }),
  );
}
