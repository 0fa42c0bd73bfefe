import { u32 } from '../core/bytes.ts';
import { encode } from './codec.ts';
import { digest, digestSize } from './kdf.ts';
import { nvNameOf } from './names.ts';
import { u16 } from './scalars.ts';
import type { TPMI_ALG_HASH } from './structures/algorithms.ts';
import { TPM_EO } from './structures/algorithms.ts';
import { TPMA_LOCALITY } from './structures/attributes.ts';
import type { TPMT_PUBLIC as Public } from './structures/keys.ts';
import { TPMT_PUBLIC } from './structures/keys.ts';
import type { TPMS_NV_PUBLIC } from './structures/nv.ts';
import type { TPML_PCR_SELECTION as PcrSelection } from './structures/pcr.ts';
import { TPML_PCR_SELECTION } from './structures/pcr.ts';

// Codes and not the commands themselves: a verifier that only computes policies needs no schema of commands.
const CC = {
  PolicyNV: 0x149,
  PolicySecret: 0x151,
  PolicySigned: 0x160,
  PolicyAuthorize: 0x16a,
  PolicyAuthValue: 0x16b,
  PolicyCommandCode: 0x16c,
  PolicyCounterTimer: 0x16d,
  PolicyCpHash: 0x16e,
  PolicyLocality: 0x16f,
  PolicyNameHash: 0x170,
  PolicyOR: 0x171,
  PolicyPCR: 0x17f,
  PolicyPhysicalPresence: 0x187,
  PolicyDuplicationSelect: 0x188,
  PolicyNvWritten: 0x18f,
  PolicyTemplate: 0x190,
  PolicyAuthorizeNV: 0x192,
} as const;

const none = new Uint8Array(0);
/** Most branches of one PolicyOR (TPML_DIGEST, Part 2 §10.9.5). */
const BRANCHES_MAX = 8;

/** A comparison with what is `offset` bytes into an NV index or a marshalled TPMS_TIME_INFO: `there operation operandB`. */
export interface Compared {
  readonly operandB: Uint8Array;
  /** Default: 0. */
  readonly offset?: number | undefined;
  readonly operation: TPM_EO;
}

/** A choice among any number of policies, made of as many PolicyORs as it takes; see {@link Policy.any}. */
export interface PolicyChoice {
  /** For `authPolicy`. */
  readonly policy: Policy;
  /**
   * Whoever has satisfied branch number `at` (from 0) runs TPM2_PolicyOR with each of these lists, in this order, and
   * then has the policy of the whole.
   */
  lists(at: number): readonly (readonly Uint8Array[])[];
}

/**
 * Computes policy digests without a TPM (Part 1 §19.7): each method returns the policy with one more command, as
 * Part 3 §23 says the TPM extends its policyDigest. Names are as `nameOf`, `nvNameOf` and for permanent entities the
 * handle's four bytes. PolicyTicket has no digest of its own: it gives that of `signed` or `secret`.
 *
 * @example
 * // May be used by whoever knows the owner's secret, but only to sign; or with a maker's signature.
 * const sign = Policy.start('sha256').secret(u32(TPM_RH.owner)).commandCode(0x15d);
 * const maker = Policy.start('sha256').signed(nameOf(makersKey));
 * const { policy, lists } = Policy.any([sign, maker]);
 * const template = { ...ldevidTemplate, authPolicy: policy.digest };
 * // later, in a policy session in which PolicySigned was run: for (const pHashList of lists(1)) TPM2_PolicyOR
 */
export class Policy {
  readonly hash: TPMI_ALG_HASH;
  /** policyDigest so far. */
  readonly digest: Uint8Array;

  private constructor(hash: TPMI_ALG_HASH, value: Uint8Array) {
    this.hash = hash;
    this.digest = value;
  }

  /** The empty policy, all zeros: what a fresh policy session has. */
  static start(hash: TPMI_ALG_HASH): Policy {
    return new Policy(hash, new Uint8Array(digestSize(hash)));
  }

  /**
   * Any of these policies, one or more. One PolicyOR takes eight; of more, eights are joined first, then those.
   *
   * @throws {TypeError} when there is none, or when their hashes differ.
   */
  static any(branches: readonly Policy[]): PolicyChoice {
    const [first] = branches;
    if (first === undefined) throw new TypeError('`branches` must not be empty');
    if (branches.some(({ hash }) => hash !== first.hash))
      throw new TypeError('`branches` must have the same hash');
    const paths: (readonly Uint8Array[])[][] = branches.map(() => []);
    let level = branches.map((policy, at) => ({ policy, leaves: [at] }));
    while (level.length > 1) {
      const above: typeof level = [];
      for (let at = 0; at < level.length; at += BRANCHES_MAX) {
        const group = level.slice(at, at + BRANCHES_MAX);
        const digests = group.map(({ policy }) => policy.digest);
        const leaves = group.flatMap((one) => one.leaves);
        // One that is left over needs no PolicyOR of its own: it goes up as it is.
        if (group.length > 1) for (const leaf of leaves) paths[leaf]?.push(digests);
        const policy = group.length > 1 ? first.or(digests) : (group[0]?.policy ?? first);
        above.push({ policy, leaves });
      }
      level = above;
    }
    return { policy: level[0]?.policy ?? first, lists: (at) => paths[at] ?? [] };
  }

  /** PolicySigned: the key with this Name has signed; `policyRef` is its owner's affair (Part 3 §23.3). */
  signed(keyName: Uint8Array, policyRef: Uint8Array = none): Policy {
    return this.#by(CC.PolicySigned, keyName, policyRef);
  }

  /** PolicySecret: the auth value of the entity with this Name is proven; `policyRef` as in Part 3 §23.4. */
  secret(entityName: Uint8Array, policyRef: Uint8Array = none): Policy {
    return this.#by(CC.PolicySecret, entityName, policyRef);
  }

  /** PolicyOR: any of two to eight digests, which replace what was there. More: {@link Policy.any}. */
  or(branches: readonly Uint8Array[]): Policy {
    if (branches.length < 2 || branches.length > BRANCHES_MAX)
      throw new TypeError('`branches` must be two to eight');
    return this.#cleared().#extend(CC.PolicyOR, ...branches);
  }

  /** PolicyPCR: `pcrDigest` is the hash over the selected PCRs' values. */
  pcr(pcrs: PcrSelection, pcrDigest: Uint8Array): Policy {
    return this.#extend(CC.PolicyPCR, encode(TPML_PCR_SELECTION, pcrs), pcrDigest);
  }

  /** PolicyLocality: bits 0 to 4 for localities 0 to 4, or one extended locality from 32 on. */
  locality(localities: number): Policy {
    return this.#extend(CC.PolicyLocality, encode(TPMA_LOCALITY, localities));
  }

  /** PolicyNV: the content of an NV index compares so. Its Name is that with TPMA_NV_WRITTEN, once it is written. */
  nv(index: TPMS_NV_PUBLIC, compared: Compared): Policy {
    return this.#extend(CC.PolicyNV, this.#arguments(compared), nvNameOf(index));
  }

  /** PolicyCounterTimer: the TPM's time, clock or counts compare so; `offset` is into a marshalled TPMS_TIME_INFO. */
  counterTimer(compared: Compared): Policy {
    return this.#extend(CC.PolicyCounterTimer, this.#arguments(compared));
  }

  /** PolicyCommandCode: for this command only. */
  commandCode(code: number): Policy {
    return this.#extend(CC.PolicyCommandCode, u32(code));
  }

  /** PolicyPhysicalPresence: somebody stands at the machine. */
  physicalPresence(): Policy {
    return this.#extend(CC.PolicyPhysicalPresence);
  }

  /** PolicyCpHash: for this very command, its handles' Names and parameters (cpHash, Part 1 §16.7). */
  cpHash(cpHashA: Uint8Array): Policy {
    return this.#extend(CC.PolicyCpHash, cpHashA);
  }

  /** PolicyNameHash: for commands on the entities with these Names, in this order. */
  nameHash(names: readonly Uint8Array[]): Policy {
    return this.#extend(CC.PolicyNameHash, digest(this.hash, ...names));
  }

  /** PolicyDuplicationSelect: for duplication to the new parent with this Name, of one object or of any. */
  duplicationSelect(newParentName: Uint8Array, objectName?: Uint8Array): Policy {
    const included = objectName !== undefined;
    return this.#extend(
      CC.PolicyDuplicationSelect,
      objectName ?? none,
      newParentName,
      Uint8Array.of(included ? 1 : 0),
    );
  }

  /** PolicyAuthorize: whatever policy the key with this Name has signed, which replaces what was there. */
  authorize(keyName: Uint8Array, policyRef: Uint8Array = none): Policy {
    return this.#cleared().#by(CC.PolicyAuthorize, keyName, policyRef);
  }

  /** PolicyAuthValue (PolicyPassword gives the same digest): the object's own auth value is proven. */
  authValue(): Policy {
    return this.#extend(CC.PolicyAuthValue);
  }

  /** PolicyNvWritten: for an NV index that was, or was not yet, written. */
  nvWritten(written: boolean): Policy {
    return this.#extend(CC.PolicyNvWritten, Uint8Array.of(written ? 1 : 0));
  }

  /** PolicyTemplate: for creating exactly this. */
  template(template: Public): Policy {
    return this.#extend(CC.PolicyTemplate, digest(this.hash, encode(TPMT_PUBLIC, template)));
  }

  /** PolicyAuthorizeNV: the policy that is written in this NV index, whatever it will be; it replaces what was there. */
  authorizeNv(index: TPMS_NV_PUBLIC): Policy {
    return this.#cleared().#extend(CC.PolicyAuthorizeNV, nvNameOf(index));
  }

  #extend(code: number, ...parts: readonly Uint8Array[]): Policy {
    return new Policy(this.hash, digest(this.hash, this.digest, u32(code), ...parts));
  }

  /** PolicyUpdate(): the reference goes in by a second hash (Part 3 §23.2.3). */
  #by(code: number, name: Uint8Array, policyRef: Uint8Array): Policy {
    const first = this.#extend(code, name);
    return new Policy(this.hash, digest(this.hash, first.digest, policyRef));
  }

  #cleared(): Policy {
    return Policy.start(this.hash);
  }

  #arguments({ operandB, offset = 0, operation }: Compared): Uint8Array {
    return digest(this.hash, operandB, encode(u16, offset), encode(TPM_EO, operation));
  }
}
