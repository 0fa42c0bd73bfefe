import type { TPML_PCR_SELECTION as Selection } from '../../src/tpm/structures.ts';
import type { HashAlgorithm } from './crypto/hash.ts';
import { digest, digestSize, hashAlgorithms } from './crypto/hash.ts';

/** How many platform configuration registers a bank can have. */
export const pcrCount = 24;

/** Which PCRs each bank has (TPM2_PCR_Allocate); a bank without any is off. */
export type PcrAllocation = Readonly<Record<HashAlgorithm, readonly number[]>>;

/** What the PCRs that {@link hasAuthority} share. */
export interface PcrAuthority {
  /** Until TPM2_Startup(CLEAR). */
  auth: Uint8Array;
  policy: Uint8Array;
  /** `null` without a policy. */
  policyAlg: string;
}

/** The values of the PCRs that are allocated. */
export type PcrBanks = Readonly<Record<HashAlgorithm, Map<number, Uint8Array>>>;

const all: readonly number[] = Array.from({ length: pcrCount }, (_, pcr) => pcr);

/** All PCRs in all banks, as a TPM is delivered. */
export const fullAllocation: PcrAllocation = { sha1: all, sha256: all, sha384: all, sha512: all };

/** Bits of localities 0 to 4 that may reset and extend a PCR (TCG PC Client Platform TPM Profile, table 6). */
interface PcrRule {
  readonly reset: number;
  readonly extend: number;
}

const rules: Readonly<Record<number, PcrRule>> = {
  16: { reset: 0x0f, extend: 0x1f },
  17: { reset: 0x10, extend: 0x1c },
  18: { reset: 0x10, extend: 0x1c },
  19: { reset: 0x10, extend: 0x0c },
  20: { reset: 0x14, extend: 0x0e },
  21: { reset: 0x14, extend: 0x04 },
  22: { reset: 0x14, extend: 0x04 },
  23: { reset: 0x0f, extend: 0x1f },
};
const firmware: PcrRule = { reset: 0, extend: 0x1f };

/** Whether the attributes of the PCR let `locality` reset it; from locality 4 only by _TPM_Hash_Start. */
export function mayReset(pcr: number, locality: number): boolean {
  return ((rules[pcr] ?? firmware).reset & (1 << locality)) !== 0;
}

/** Whether `locality` may extend the PCR. */
export function mayExtend(pcr: number, locality: number): boolean {
  return ((rules[pcr] ?? firmware).extend & (1 << locality)) !== 0;
}

/** Whether a change of the PCR counts in pcrUpdateCounter; those of debugging, applications and guests do not. */
export function counts(pcr: number): boolean {
  return pcr !== 16 && pcr < 21;
}

/** Whether the PCR comes back with TPM2_Startup(STATE). */
export function isSaved(pcr: number): boolean {
  return pcr < 16;
}

/** Whether the PCR is of the group that can have an auth value and a policy (TPM2_PCR_SetAuthValue). */
export function hasAuthority(pcr: number): boolean {
  return pcr >= 20 && pcr <= 22;
}

/**
 * All banks as after TPM2_Startup(CLEAR): zero, and all ones for the PCRs of the dynamic root of trust. PCR 0 tells the
 * locality of the start (TCG PC Client Platform TPM Profile §6.2).
 */
export function freshBanks(allocation: PcrAllocation, locality = 0): PcrBanks {
  const valueFor = (pcr: number, size: number): Uint8Array => {
    const value = new Uint8Array(size).fill(mayReset(pcr, 4) ? 0xff : 0);
    if (pcr === 0) value[size - 1] = locality;
    return value;
  };
  const bank = (hash: HashAlgorithm) =>
    new Map(allocation[hash].map((pcr) => [pcr, valueFor(pcr, digestSize(hash))]));
  return { sha1: bank('sha1'), sha256: bank('sha256'), sha384: bank('sha384'), sha512: bank('sha512') };
}

/** Banks as TPM2_Startup(STATE) leaves them: PCR 0 to 15 from before, the rest fresh. */
export function resumedBanks(allocation: PcrAllocation, saved: readonly (readonly Uint8Array[])[]): PcrBanks {
  const banks = freshBanks(allocation);
  for (const [i, hash] of hashAlgorithms.entries())
    for (const pcr of banks[hash].keys()) {
      const value = saved[i]?.[pcr];
      if (isSaved(pcr) && value?.length === digestSize(hash)) banks[hash].set(pcr, value.slice());
    }
  return banks;
}

/** What TPM2_Shutdown(STATE) keeps: for each bank its PCRs by number, empty where none is allocated. */
export function savedBanks(banks: PcrBanks): Uint8Array[][] {
  return hashAlgorithms.map((hash) => all.map((pcr) => banks[hash].get(pcr) ?? new Uint8Array()));
}

/** new = H(old ‖ data) (Part 1 §17.2); false when the bank does not have the PCR. */
export function extend(banks: PcrBanks, hash: HashAlgorithm, pcr: number, data: Uint8Array): boolean {
  const old = banks[hash].get(pcr);
  if (old === undefined) return false;
  banks[hash].set(pcr, digest(hash, old, data));
  return true;
}

/** Sets a PCR to zero in every bank that has it. */
export function resetPcr(banks: PcrBanks, pcr: number): void {
  for (const hash of hashAlgorithms)
    if (banks[hash].has(pcr)) banks[hash].set(pcr, new Uint8Array(digestSize(hash)));
}

/** A selection without the PCRs that are not allocated, as it is told and digested. */
export function allocated(banks: PcrBanks, selection: Selection): Selection {
  return selection.map(({ hash, pcrSelect }) => ({
    hash,
    pcrSelect: pcrSelect.filter((pcr) => banks[hash].has(pcr)),
  }));
}

/** The hash of the selected values, bank after bank in the order of the selection (Part 1 §17.5). */
export function pcrDigest(banks: PcrBanks, hash: HashAlgorithm, selection: Selection): Uint8Array {
  const values = selection.flatMap(({ hash: bank, pcrSelect }) =>
    pcrSelect.flatMap((pcr) => banks[bank].get(pcr) ?? []),
  );
  return digest(hash, ...values);
}
