import { createHash } from 'node:crypto';
import { hashAlgorithms } from './crypto/hash.ts';
import type { Machine } from './machine.ts';
import { counts, extend, resetPcr } from './pcr.ts';

/** The PCR of the dynamic root of trust, and the last of those that begin anew with it. */
const first = 17;
const last = 22;

/** The measurement of a dynamic root of trust while it arrives, its hash in every bank. */
export function startMeasuring(): { add(data: Uint8Array): void; end(chip: Machine): void } {
  const hashes = hashAlgorithms.map((name) => ({ name, hash: createHash(name) }));
  return {
    add: (data) => {
      for (const { hash } of hashes) hash.update(data);
    },
    end: (chip) => {
      if (!chip.started) return;
      for (let pcr = first; pcr <= last; pcr++) resetPcr(chip.banks, pcr);
      for (const { name, hash } of hashes) extend(chip.banks, name, first, new Uint8Array(hash.digest()));
      if (counts(first)) chip.pcrUpdateCounter = (chip.pcrUpdateCounter + 1) >>> 0;
    },
  };
}
