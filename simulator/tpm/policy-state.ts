import { concat, u32 } from '../../src/core/bytes.ts';
import type { HashAlgorithm } from './crypto/hash.ts';
import { digest, digestSize } from './crypto/hash.ts';

/** The command as a whole, as a policy may name it: all of it, its handles, or the template of what it creates. */
export type LimitKind = 'cpHash' | 'nameHash' | 'templateHash';

/** What policy assertions have collected (Part 1 §19.7). */
export interface PolicyState {
  digest: Uint8Array;
  commandCode: number | undefined;
  /** At most one of the three kinds: they share one place (Part 3 §23.13, §23.14, §23.21). */
  limit: { readonly kind: LimitKind; readonly digest: Uint8Array } | undefined;
  /** TPMA_LOCALITY that is left, or `undefined` for any. */
  locality: number | undefined;
  physicalPresence: boolean;
  /** The entity's auth value goes into the HMAC key (PolicyAuthValue). */
  authValueNeeded: boolean;
  /** The entity's auth value is given in clear (PolicyPassword). */
  passwordNeeded: boolean;
  /** pcrUpdateCounter when PolicyPCR was checked. */
  pcrCounter: number | undefined;
  /** NV index must (not) have been written. */
  nvWritten: boolean | undefined;
  /** Milliseconds of TPM time at which the policy ends. */
  expiresAt: number | undefined;
}

/** A session's hash, and what it has collected. */
export interface Collecting {
  readonly hash: HashAlgorithm;
  readonly policy: PolicyState;
}

/** The policy state of a fresh, restarted or used policy session. */
export function freshPolicy(hash: HashAlgorithm): PolicyState {
  return {
    digest: new Uint8Array(digestSize(hash)),
    commandCode: undefined,
    limit: undefined,
    locality: undefined,
    physicalPresence: false,
    authValueNeeded: false,
    passwordNeeded: false,
    pcrCounter: undefined,
    nvWritten: undefined,
    expiresAt: undefined,
  };
}

/** policyDigest = H(policyDigest ‖ commandCode ‖ arguments). */
export function extendPolicy(
  { hash, policy }: Collecting,
  code: number,
  ...parts: readonly Uint8Array[]
): void {
  policy.digest = digest(hash, policy.digest, u32(code), concat(...parts));
}

/** PolicyUpdate() of Part 3 §23.2.3: the Name of who authorises, then, by a second hash, the reference. */
export function extendPolicyBy(
  session: Collecting,
  code: number,
  name: Uint8Array,
  policyRef: Uint8Array,
): void {
  extendPolicy(session, code, name);
  session.policy.digest = digest(session.hash, session.policy.digest, policyRef);
}

/** PolicyOR, PolicyAuthorize and PolicyAuthorizeNV put something else in the place of what was there. */
export function clearPolicyDigest({ hash, policy }: Collecting): void {
  policy.digest = new Uint8Array(digestSize(hash));
}
