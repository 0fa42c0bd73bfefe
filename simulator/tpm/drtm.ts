import type { Hash } from 'node:crypto';
import { createHash } from 'node:crypto';
import type { HashAlgorithm } from './crypto/hash.ts';
import { digest, digestSize, hashAlgorithms } from './crypto/hash.ts';
import type { Machine } from './machine.ts';
import type { PcrBanks } from './pcr.ts';
import { extend, mayReset, pcrCount, resetPcr } from './pcr.ts';

/** The measurement of a root of trust while it arrives: its hash in every bank. */
export type Measuring = Readonly<Record<HashAlgorithm, Hash>>;

/** What a root of trust measured: a digest for every bank. */
export type Measured = Readonly<Record<HashAlgorithm, Uint8Array>>;

/** The PCR of the dynamic root of trust (TCG PC Client Platform TPM Profile §4.6). */
const drtmPcr = 17;

/** _TPM_Hash_Start (Part 3 §22.9): begins a measurement, and ends one that was not finished. */
export function startMeasuring(): Measuring {
  return {
    sha1: createHash('sha1'),
    sha256: createHash('sha256'),
    sha384: createHash('sha384'),
    sha512: createHash('sha512'),
  };
}

/** _TPM_Hash_Data (Part 3 §22.10). */
export function measure(measuring: Measuring, data: Uint8Array): void {
  for (const hash of hashAlgorithms) measuring[hash].update(data);
}

/**
 * _TPM_Hash_End (Part 3 §22.11). Before TPM2_Startup it was the H-CRTM, which TPM2_Startup will find; afterwards the
 * dynamic root of trust, whose PCRs begin anew with it.
 */
export function endMeasuring(chip: Machine, measuring: Measuring): void {
  const of = (hash: HashAlgorithm) => new Uint8Array(measuring[hash].digest());
  const measured = { sha1: of('sha1'), sha256: of('sha256'), sha384: of('sha384'), sha512: of('sha512') };
  if (!chip.started) {
    chip.hcrtm = measured;
    return;
  }
  for (let pcr = 0; pcr < pcrCount; pcr++) if (mayReset(pcr, 4)) resetPcr(chip.banks, pcr);
  for (const hash of hashAlgorithms)
    if (extend(chip.banks, hash, drtmPcr, measured[hash])) chip.pcrChanged(drtmPcr);
  chip.restartCount++;
  chip.dirty = true;
}

/** PCR 0 after an H-CRTM: it began at 4, the locality of what measured (Part 1 §34.3). */
export function placeHcrtm(banks: PcrBanks, measured: Measured): void {
  for (const hash of hashAlgorithms) {
    if (!banks[hash].has(0)) continue;
    const four = new Uint8Array(digestSize(hash));
    four[four.length - 1] = 4;
    banks[hash].set(0, digest(hash, four, measured[hash]));
  }
}
