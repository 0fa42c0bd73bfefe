import { hex } from '../core/bytes.ts';
import { TpmMalformed } from '../tpm/errors.ts';
import type { PcrBank, Tpm } from '../tpm/index.ts';
import { pcrBanks, pcrRead } from '../tpm/index.ts';
import type { Command } from './command.ts';
import { flag, Misuse, oneOf } from './command.ts';
import { TpmCannot, tpmOption, withTpm } from './tpm.ts';

/** The banks that fealty computes with. */
export const banks = ['sha256', 'sha1', 'sha384', 'sha512'] as const;

/** `fealty tpm pcr`. */
export const tpmPcr: Command = {
  arguments: '[PCR …]',
  count: [0, 24],
  about:
    'The values of PCRs: what was measured since the machine started. A value that was never extended is all zeros (17 to 22: all ones).\n' +
    'It reads and changes nothing.',
  options: {
    tpm: tpmOption,
    bank: { type: 'string', value: 'HASH', describe: 'sha256 (default), sha1, sha384 or sha512' },
  },
  examples: [
    ['tpm pcr', 'all 24, with who measures into them by custom'],
    ['tpm pcr 0 7 12 --bank sha384', 'firmware, secure boot and the runtime log of fealty'],
  ],
  run: async (input, io) => {
    const bank = oneOf(input, 'bank', banks, 'sha256');
    const pcrs = input.positionals.length > 0 ? input.positionals.map(pcrOf) : all;
    const values = await withTpm(input, (tpm) => readPcrs(tpm, pcrs, bank));
    if (flag(input, 'json')) {
      io.json({ bank, pcrs: Object.fromEntries(pcrs.map((pcr, at) => [pcr, hex(values[at] ?? none)])) });
      return 0;
    }
    for (const [at, pcr] of pcrs.entries())
      io.print(
        `${bank} ${String(pcr).padStart(2)}  ${hex(values[at] ?? none)}  ${customs[pcr] ?? ''}`.trimEnd(),
      );
    return 0;
  },
};

/** Values of PCRs. @throws {TpmCannot} when the TPM has no such bank. */
export async function readPcrs(
  tpm: Tpm,
  pcrs: readonly number[],
  bank: PcrBank,
): Promise<readonly Uint8Array[]> {
  try {
    return await pcrRead(tpm, pcrs, bank);
  } catch (error) {
    const there = error instanceof TpmMalformed ? await pcrBanks(tpm) : undefined;
    if (there === undefined || there.includes(bank)) throw error;
    throw new TpmCannot(`the TPM keeps no ${bank} bank; it has ${there.join(', ') || 'none'}`);
  }
}

/** A PCR by its number. @throws {Misuse} */
export function pcrOf(word: string): number {
  const pcr = Number(word);
  if (!/^\d{1,2}$/.test(word) || pcr > 23)
    throw new Misuse(`a PCR is a number from 0 to 23, not \`${word}\``);
  return pcr;
}

const none = new Uint8Array(0);
const all = Array.from({ length: 24 }, (_, pcr) => pcr);

/** Who measures into which PCR: TCG PC Client profile, Linux, fealty. */
const customs: Readonly<Record<number, string>> = {
  0: 'firmware',
  1: 'settings of the firmware',
  2: 'drivers of devices',
  3: 'settings of drivers',
  4: 'boot loader',
  5: 'settings of the boot loader, partitions',
  6: 'the maker',
  7: 'secure boot: its state and keys',
  8: 'boot loader: commands',
  9: 'boot loader: files, kernel',
  10: 'Linux: IMA',
  11: 'Linux: unified kernel image',
  12: 'runtime log of fealty; command line of a unified kernel image',
  13: 'Linux: system extensions',
  14: 'shim: keys',
  15: 'Linux: machine identity',
  16: 'tests: may be reset',
  17: 'late launch',
  18: 'late launch',
  19: 'late launch',
  20: 'late launch',
  21: 'late launch',
  22: 'late launch',
  23: 'applications: may be reset',
};
