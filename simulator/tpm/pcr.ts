import type { TPML_PCR_SELECTION as Selection } from '../../src/tpm/structures.ts';
import type { HashAlgorithm } from './crypto/hash.ts';
import { digest, digestSize, hashAlgorithms } from './crypto/hash.ts';

/** How many platform configuration registers each bank has. */
export const pcrCount = 24;

/** The banks, all active. */
export type PcrBanks = Readonly<Record<HashAlgorithm, Uint8Array[]>>;

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

/** Whether `locality` may reset the PCR to zero. */
export function mayReset(pcr: number, locality: number): boolean {
  return ((rules[pcr] ?? firmware).reset & (1 << locality)) !== 0;
}

/** Whether `locality` may extend the PCR. */
export function mayExtend(pcr: number, locality: number): boolean {
  return ((rules[pcr] ?? firmware).extend & (1 << locality)) !== 0;
}

/** Whether a change of the PCR counts in pcrUpdateCounter; the debug and application PCRs do not. */
export function counts(pcr: number): boolean {
  return pcr !== 16 && pcr < 21;
}

/** All banks as after TPM2_Startup(CLEAR): zero, and all ones for the PCRs of the dynamic root of trust. */
export function freshBanks(): PcrBanks {
  const bank = (hash: HashAlgorithm) =>
    Array.from({ length: pcrCount }, (_, pcr) => initialValue(pcr, digestSize(hash)));
  return { sha1: bank('sha1'), sha256: bank('sha256'), sha384: bank('sha384'), sha512: bank('sha512') };
}

/** Banks as TPM2_Startup(STATE) leaves them: PCR 0 to 15 from before, the rest fresh. */
export function resumedBanks(saved: readonly (readonly Uint8Array[])[]): PcrBanks {
  const banks = freshBanks();
  for (const [i, hash] of hashAlgorithms.entries())
    for (let pcr = 0; pcr < 16; pcr++) {
      const value = saved[i]?.[pcr];
      if (value?.length === digestSize(hash)) banks[hash][pcr] = value.slice();
    }
  return banks;
}

/** new = H(old ‖ data) (Part 1 §17.2). */
export function extend(banks: PcrBanks, hash: HashAlgorithm, pcr: number, data: Uint8Array): void {
  banks[hash][pcr] = digest(hash, readPcr(banks, hash, pcr), data);
}

/** Sets a PCR to zero in every bank. */
export function resetPcr(banks: PcrBanks, pcr: number): void {
  for (const hash of hashAlgorithms) banks[hash][pcr] = new Uint8Array(digestSize(hash));
}

/** The value of a PCR. */
export function readPcr(banks: PcrBanks, hash: HashAlgorithm, pcr: number): Uint8Array {
  return banks[hash][pcr] ?? new Uint8Array(digestSize(hash));
}

function initialValue(pcr: number, size: number): Uint8Array {
  return new Uint8Array(size).fill(pcr >= 17 && pcr <= 22 ? 0xff : 0);
}

/** The hash of the selected values, bank after bank in the order of the selection (Part 1 §17.5). */
export function pcrDigest(banks: PcrBanks, hash: HashAlgorithm, selection: Selection): Uint8Array {
  return digest(
    hash,
    ...selection.flatMap(({ hash: bank, pcrSelect }) => pcrSelect.map((pcr) => readPcr(banks, bank, pcr))),
  );
}
