import { u32 } from '../core/bytes.ts';
import { encode } from './codec.ts';
import { digest, digestSize } from './kdf.ts';
import { nvNameOf } from './names.ts';
import type { TPMI_ALG_HASH } from './structures/algorithms.ts';
import type { TPMS_NV_PUBLIC } from './structures/nv.ts';
import type { TPML_PCR_SELECTION as PcrSelection } from './structures/pcr.ts';
import { TPML_PCR_SELECTION } from './structures/pcr.ts';

const CC = {
  PolicyAuthValue: 0x16b,
  PolicyCommandCode: 0x16c,
  PolicySecret: 0x151,
  PolicyOR: 0x171,
  PolicyPCR: 0x17f,
  PolicyAuthorizeNV: 0x192,
} as const;

/**
 * Computes policy digests without a TPM (Part 1 §19.7): each method returns the policy with one more command, as
 * Part 3 §23 says the TPM extends its policyDigest.
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

  /** PolicySecret: the auth value of the entity with this Name is proven; `policyRef` as in Part 3 §23.4. */
  secret(entityName: Uint8Array, policyRef: Uint8Array = new Uint8Array(0)): Policy {
    const first = this.#extend(u32(CC.PolicySecret), entityName);
    return new Policy(this.hash, digest(this.hash, first.digest, policyRef));
  }

  /** PolicyCommandCode: for this command only. */
  commandCode(code: number): Policy {
    return this.#extend(u32(CC.PolicyCommandCode), u32(code));
  }

  /** PolicyAuthValue (PolicyPassword gives the same digest): the object's own auth value is proven. */
  authValue(): Policy {
    return this.#extend(u32(CC.PolicyAuthValue));
  }

  /** PolicyPCR: `pcrDigest` is the hash over the selected PCRs' values. */
  pcr(pcrs: PcrSelection, pcrDigest: Uint8Array): Policy {
    return this.#extend(u32(CC.PolicyPCR), encode(TPML_PCR_SELECTION, pcrs), pcrDigest);
  }

  /** PolicyOR: any of these digests, which replace what was there. */
  or(branches: readonly Uint8Array[]): Policy {
    const zero = new Uint8Array(digestSize(this.hash));
    return new Policy(this.hash, digest(this.hash, zero, u32(CC.PolicyOR), ...branches));
  }

  /** PolicyAuthorizeNV: the policy that is written in this NV index, whatever it will be. */
  authorizeNv(index: TPMS_NV_PUBLIC): Policy {
    const zero = new Uint8Array(digestSize(this.hash));
    return new Policy(this.hash, digest(this.hash, zero, u32(CC.PolicyAuthorizeNV), nvNameOf(index)));
  }

  #extend(...parts: readonly Uint8Array[]): Policy {
    return new Policy(this.hash, digest(this.hash, this.digest, ...parts));
  }
}

/** The NV public area behind the delegation branch of device keys (TCG Keys for Device Identity §7.3.4). */
export function delegationIndex(of: 'idevid' | 'iak', hash: 'sha256' | 'sha384' | 'sha512'): TPMS_NV_PUBLIC {
  const offset = { sha256: 0, sha384: 1, sha512: 2 }[hash];
  return {
    nvIndex: (of === 'idevid' ? 0x01c90010 : 0x01c90018) + offset,
    nameAlg: hash,
    // 0x220F1008 with TPMA_NV_WRITTEN (bit 29) set
    attributes: {
      nt: 'ordinary',
      policywrite: true,
      writeall: true,
      ppread: true,
      ownerread: true,
      authread: true,
      policyread: true,
      noDa: true,
      written: true,
    },
    authPolicy: Policy.start(hash).secret(u32(0x4000000b)).digest,
    dataSize: 2 + digestSize(hash),
  };
}

/** The four branches of a device key's authPolicy, in the order of its PolicyOR. */
export function deviceKeyBranches(
  of: 'idevid' | 'iak',
  hash: 'sha256' | 'sha384' | 'sha512',
): readonly Uint8Array[] {
  const user = Policy.start(hash).secret(u32(0x4000000b));
  return [
    user.digest,
    user.commandCode(0x148).digest,
    user.commandCode(0x147).digest,
    Policy.start(hash).authorizeNv(delegationIndex(of, hash)).digest,
  ];
}
