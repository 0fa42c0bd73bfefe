import { TPM2_PCR_Event, TPM2_PCR_Extend, TPM2_PCR_Read, TPM2_PCR_Reset } from '../../../src/tpm/commands.ts';
import { TPM_RH } from '../../../src/tpm/structures.ts';
import type { HashAlgorithm } from '../crypto/hash.ts';
import { digest, hashAlgorithms } from '../crypto/hash.ts';
import { handler } from '../handler.ts';
import type { Machine } from '../machine.ts';
import { counts, extend, mayExtend, mayReset, pcrCount, readPcr, resetPcr } from '../pcr.ts';
import { handleRefused, RC, Refusal } from '../refusal.ts';

/** TPML_DIGEST has room for this many values. */
const mostValues = 8;

/** Part 3 §22: platform configuration registers. */
export const pcrHandlers = [
  handler(TPM2_PCR_Extend, (chip, { pcrHandle, digests }) => {
    const pcr = pcrOf(pcrHandle);
    if (pcr === undefined) return {};
    if (!mayExtend(pcr, chip.locality)) throw new Refusal(RC.LOCALITY);
    for (const value of digests) {
      extend(chip.banks, value.hashAlg, pcr, value.digest);
      changed(chip, pcr);
    }
    return {};
  }),

  handler(TPM2_PCR_Event, (chip, { pcrHandle, eventData }) => {
    const digestsOf = () =>
      hashAlgorithms.map((hashAlg) => ({ hashAlg, digest: digest(hashAlg, eventData) }));
    return { digests: recordEvent(chip, pcrHandle, digestsOf) };
  }),

  handler(TPM2_PCR_Read, (chip, { pcrSelectionIn }) => {
    const pcrValues: Uint8Array[] = [];
    const pcrSelectionOut = pcrSelectionIn.map(({ hash, pcrSelect }) => {
      const read = pcrSelect.slice(0, mostValues - pcrValues.length);
      for (const pcr of read) pcrValues.push(readPcr(chip.banks, hash, pcr));
      return { hash, pcrSelect: read };
    });
    return { pcrUpdateCounter: chip.pcrUpdateCounter, pcrSelectionOut, pcrValues };
  }),

  handler(TPM2_PCR_Reset, (chip, { pcrHandle }) => {
    const pcr = pcrOf(pcrHandle);
    if (pcr === undefined) throw handleRefused(RC.VALUE, 1);
    if (!mayReset(pcr, chip.locality)) throw new Refusal(RC.LOCALITY);
    resetPcr(chip.banks, pcr);
    changed(chip, pcr);
    return {};
  }),
];

/** Extends the PCR of a handle by an event, as far as the locality may; the digests. */
export function recordEvent<T extends { readonly hashAlg: HashAlgorithm; readonly digest: Uint8Array }>(
  chip: Machine,
  pcrHandle: number,
  digestsOf: () => readonly T[],
): readonly T[] {
  const pcr = pcrOf(pcrHandle);
  if (pcr !== undefined && !mayExtend(pcr, chip.locality)) throw new Refusal(RC.LOCALITY);
  const digests = digestsOf();
  if (pcr !== undefined)
    for (const value of digests) {
      extend(chip.banks, value.hashAlg, pcr, value.digest);
      changed(chip, pcr);
    }
  return digests;
}

/** The PCR of a handle; `undefined` for TPM_RH_NULL, which extends nothing. */
function pcrOf(handle: number): number | undefined {
  if (handle === TPM_RH.null) return undefined;
  if (handle >= pcrCount) throw handleRefused(RC.VALUE, 1);
  return handle;
}

/** Policies that looked at PCRs before are void from here on. It starts at 0 with each reset and is not stored. */
function changed(chip: Machine, pcr: number): void {
  if (counts(pcr)) chip.pcrUpdateCounter = (chip.pcrUpdateCounter + 1) >>> 0;
}
