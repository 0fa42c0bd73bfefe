import { withAuthorizations } from './client/authorize.ts';
import { capability } from './client/capability.ts';
import { run } from './client/run.ts';
import type { Tpm } from './client/tpm.ts';
import { TPM2_DictionaryAttackLockReset } from './commands/hierarchy.ts';
import { TpmMalformed } from './errors.ts';
import { TPM_PT } from './structures/capabilities.ts';
import { TPM_RH } from './structures/handles.ts';

/** How a TPM stands against guessing (Part 1 §19.8), and which hierarchies have an auth value. */
export interface Lockout {
  /** Whether it answers LOCKOUT to whoever uses an entity that is guarded (without `noDA`). */
  readonly locked: boolean;
  /** Wrong auth values that are not forgiven yet. */
  readonly failures: number;
  /** At so many it locks. */
  readonly failuresMax: number;
  /** Seconds after which one failure is forgiven; 0: never. */
  readonly forgivenAfterS: number;
  /** Seconds that one wrong try closes the lockout authorization for; 0: until the TPM is reset. */
  readonly lockoutAuthClosedForS: number;
  /** Whose auth value is not empty. */
  readonly authSet: { readonly owner: boolean; readonly endorsement: boolean; readonly lockout: boolean };
}

/** The state of the TPM's protection against guessing (TPM_PT_PERMANENT and its neighbours, Part 2 §6.13). */
export async function lockoutState(tpm: Tpm): Promise<Lockout> {
  const { data } = await capability(tpm, 'tpmProperties', TPM_PT.permanent, 32);
  const values = new Map(data.map(({ property, value }) => [property, value]));
  const value = (name: keyof typeof TPM_PT): number => {
    const found = values.get(TPM_PT[name]);
    if (found === undefined) throw new TpmMalformed(`the TPM does not say its ${name}`);
    return found;
  };
  const permanent = value('permanent'); // TPMA_PERMANENT, Part 2 §8.6
  return {
    locked: (permanent & (1 << 9)) !== 0,
    failures: value('lockoutCounter'),
    failuresMax: value('maxAuthFail'),
    forgivenAfterS: value('lockoutInterval'),
    lockoutAuthClosedForS: value('lockoutRecovery'),
    authSet: {
      owner: (permanent & 1) !== 0,
      endorsement: (permanent & 2) !== 0,
      lockout: (permanent & 4) !== 0,
    },
  };
}

/**
 * Forgives every failure (TPM2_DictionaryAttackLockReset).
 *
 * @param auth of the lockout hierarchy; default: empty. A wrong one closes it: see {@link Lockout.lockoutAuthClosedForS}.
 * @throws {TpmRefused} AUTH_FAIL for a wrong auth value, LOCKOUT while it is closed.
 */
export async function lockoutReset(tpm: Tpm, auth?: Uint8Array): Promise<void> {
  await withAuthorizations(tpm, [{ by: 'auth', auth }], async (authorizations) => {
    await run(tpm, TPM2_DictionaryAttackLockReset, { lockHandle: TPM_RH.lockout }, { authorizations });
  });
}
