import { equal, fromHex, hex } from '../core/bytes.ts';
import type { Need } from './client/authorize.ts';
import { withNestedAuth } from './client/authorize.ts';
import { run } from './client/run.ts';
import type { Session } from './client/session.ts';
import type { Tpm } from './client/tpm.ts';
import { TPM2_PolicyCommandCode, TPM2_PolicyOR, TPM2_PolicySecret } from './commands/policy.ts';
import { deviceKeyBranches } from './device-policies.ts';
import type { TpmObject } from './objects.ts';
import { AUTH_POLICY_IAK, AUTH_POLICY_IDEVID } from './policy-digests.ts';
import { TPM_RH } from './structures/handles.ts';

/** Auth values that fulfilling a policy may need. */
export interface PolicyAuth {
  /** Of the endorsement hierarchy. Default: empty. */
  readonly endorsementAuth?: Uint8Array | undefined;
}

const NOTHING = new Uint8Array(0);

/**
 * The USER role of an EK: by its auth value (high range), or by PolicySecret(endorsement) (templates L-1 and L-2). The
 * secret that comes back is for this process alone.
 */
export function endorsementNeed(tpm: Tpm, ek: TpmObject, options: PolicyAuth): Need {
  if (ek.public.objectAttributes.userWithAuth === true)
    return { by: 'auth', auth: ek.auth, hideAnswerBy: ek };
  const hash = ek.public.nameAlg === 'null' ? 'sha256' : ek.public.nameAlg;
  return {
    by: 'policy',
    hash,
    hideAnswerBy: ek,
    nested: needsNested(options),
    fulfil: (session) => policySecretEndorsement(tpm, session, options),
  };
}

/** The ADMIN role of an object: its auth value, or the policy of TCG's device keys. */
export function adminNeed(tpm: Tpm, object: TpmObject, code: number, options: PolicyAuth): Need {
  if (object.public.objectAttributes.adminWithPolicy !== true) return byAuth(object);
  const { branches, hash } = branchesOf(object);
  return {
    by: 'policy',
    hash,
    nested: needsNested(options),
    fulfil: async (session) => {
      await policySecretEndorsement(tpm, session, options);
      await run(tpm, TPM2_PolicyCommandCode, { policySession: session.handle, code });
      await run(tpm, TPM2_PolicyOR, { policySession: session.handle, pHashList: branches });
    },
  };
}

/** The auth value of an object. */
export function byAuth(object: TpmObject): Need {
  return { by: 'auth', auth: object.auth };
}

/** Which of the two known policies the key has; the branches are computed, not looked up. */
function branchesOf(object: TpmObject): {
  readonly branches: readonly Uint8Array[];
  readonly hash: 'sha256' | 'sha384' | 'sha512';
} {
  for (const hash of ['sha256', 'sha384', 'sha512'] as const) {
    const policy = object.public.authPolicy;
    if (equal(policy, fromHex(AUTH_POLICY_IDEVID[hash])))
      return { branches: deviceKeyBranches('idevid', hash), hash };
    if (equal(policy, fromHex(AUTH_POLICY_IAK[hash])))
      return { branches: deviceKeyBranches('iak', hash), hash };
  }
  throw new TypeError(`\`object\` has a policy that is unknown: ${hex(object.public.authPolicy)}`);
}

async function policySecretEndorsement(tpm: Tpm, session: Session, options: PolicyAuth): Promise<void> {
  await withNestedAuth(tpm, options.endorsementAuth, async (authorization) => {
    await run(
      tpm,
      TPM2_PolicySecret,
      {
        authHandle: TPM_RH.endorsement,
        policySession: session.handle,
        nonceTPM: NOTHING,
        cpHashA: NOTHING,
        policyRef: NOTHING,
        expiration: 0,
      },
      { authorizations: [authorization] },
    );
  });
}

function needsNested(options: PolicyAuth): boolean {
  return options.endorsementAuth !== undefined && options.endorsementAuth.length > 0;
}
