import {
  TPM2_PCR_Allocate,
  TPM2_PCR_Event,
  TPM2_PCR_Extend,
  TPM2_PCR_Read,
  TPM2_PCR_Reset,
  TPM2_PCR_SetAuthPolicy,
  TPM2_PCR_SetAuthValue,
} from '../../../src/tpm/commands.ts';
import type { TPMT_HA as Value } from '../../../src/tpm/structures.ts';
import { TPM_RH } from '../../../src/tpm/structures.ts';
import { withoutTrailingZeros } from '../create.ts';
import { digest, digestSize, hashAlgorithms, isHash } from '../crypto/hash.ts';
import { handler } from '../handler.ts';
import type { Machine } from '../machine.ts';
import type { PcrAllocation } from '../pcr.ts';
import {
  allocated,
  extend,
  fullAllocation,
  hasAuthority,
  mayExtend,
  mayReset,
  pcrCount,
  resetPcr,
} from '../pcr.ts';
import { parameterRefused, RC, Refusal } from '../refusal.ts';

/** TPML_DIGEST has room for this many values. */
const mostValues = 8;
/** A TPM must keep a PCR for each of its roots of trust (TCG PC Client Platform TPM Profile §4.6). */
const rootsOfTrust = [0, 17];

/** Part 3 §22: platform configuration registers. */
export const pcrHandlers = [
  handler(TPM2_PCR_Extend, (chip, { pcrHandle, digests }) => {
    extendAll(chip, pcrHandle, digests);
    return {};
  }),

  handler(TPM2_PCR_Event, (chip, { pcrHandle, eventData }) => {
    const digestsOf = () =>
      hashAlgorithms.map((hashAlg) => ({ hashAlg, digest: digest(hashAlg, eventData) }));
    return { digests: recordEvent(chip, pcrHandle, digestsOf) };
  }),

  handler(TPM2_PCR_Read, (chip, { pcrSelectionIn }) => {
    const pcrValues: Uint8Array[] = [];
    const pcrSelectionOut = allocated(chip.banks, pcrSelectionIn).map(({ hash, pcrSelect }) => {
      const read = pcrSelect.slice(0, mostValues - pcrValues.length);
      pcrValues.push(...read.flatMap((pcr) => chip.banks[hash].get(pcr) ?? []));
      return { hash, pcrSelect: read };
    });
    return { pcrUpdateCounter: chip.pcrUpdateCounter, pcrSelectionOut, pcrValues };
  }),

  handler(TPM2_PCR_Reset, (chip, { pcrHandle }) => {
    // From locality 4 comes only the dynamic root of trust, which resets by _TPM_Hash_Start.
    if (chip.locality === 4 || !mayReset(pcrHandle, chip.locality)) throw new Refusal(RC.LOCALITY);
    resetPcr(chip.banks, pcrHandle);
    chip.pcrChanged(pcrHandle);
    return {};
  }),

  handler(TPM2_PCR_Allocate, (chip, { pcrAllocation }) => {
    const allocation: PcrAllocation = {
      ...chip.allocation,
      ...Object.fromEntries(pcrAllocation.map(({ hash, pcrSelect }) => [hash, pcrSelect])),
    };
    const roots = rootsOfTrust.map((pcr) => hashAlgorithms.some((hash) => allocation[hash].includes(pcr)));
    if (roots.includes(false)) throw new Refusal(RC.PCR);
    chip.allocation = allocation;
    chip.reallocated = true;
    chip.dirty = true;
    return {
      allocationSuccess: 'yes' as const,
      maxPCR: pcrCount,
      sizeNeeded: sizeOf(allocation),
      sizeAvailable: sizeOf(fullAllocation),
    };
  }),

  handler(TPM2_PCR_SetAuthPolicy, (chip, { authPolicy, hashAlg, pcrNum }) => {
    if (pcrNum >= pcrCount) throw parameterRefused(RC.VALUE, 3);
    if (authPolicy.length !== (isHash(hashAlg) ? digestSize(hashAlg) : 0)) throw parameterRefused(RC.SIZE, 1);
    if (!hasAuthority(pcrNum)) throw parameterRefused(RC.VALUE, 3);
    chip.pcrAuthority.policy = authPolicy;
    chip.pcrAuthority.policyAlg = hashAlg;
    chip.dirty = true;
    return {};
  }),

  handler(TPM2_PCR_SetAuthValue, (chip, { pcrHandle, auth }) => {
    if (!hasAuthority(pcrHandle)) throw new Refusal(RC.VALUE);
    chip.pcrAuthority.auth = withoutTrailingZeros(auth);
    return {};
  }),
];

/** Extends the PCR of a handle by an event, in each bank that has it, as far as the locality may; the digests. */
export function recordEvent(
  chip: Machine,
  pcrHandle: number,
  digestsOf: () => readonly Value[],
): readonly Value[] {
  needLocality(chip, pcrHandle);
  const digests = digestsOf();
  extendAll(chip, pcrHandle, digests);
  return digests;
}

/** Extends a PCR in each bank that has it; TPM_RH_NULL extends nothing. */
function extendAll(chip: Machine, pcr: number, values: readonly Value[]): void {
  needLocality(chip, pcr);
  if (pcr === TPM_RH.null) return;
  for (const { hashAlg, digest: value } of values)
    if (extend(chip.banks, hashAlg, pcr, value)) chip.pcrChanged(pcr);
}

function needLocality(chip: Machine, pcr: number): void {
  if (pcr !== TPM_RH.null && !mayExtend(pcr, chip.locality)) throw new Refusal(RC.LOCALITY);
}

/** Bytes that the PCRs need. */
function sizeOf(allocation: PcrAllocation): number {
  return hashAlgorithms.reduce((sum, hash) => sum + allocation[hash].length * digestSize(hash), 0);
}
