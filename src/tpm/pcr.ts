import { capability } from './client/capability.ts';
import { run } from './client/run.ts';
import type { Tpm } from './client/tpm.ts';
import { TPM2_PCR_Extend, TPM2_PCR_Read, TPM2_PCR_Reset } from './commands/pcr.ts';
import { TpmMalformed } from './errors.ts';
import { digest, digestSize } from './kdf.ts';
import type { TPMI_ALG_HASH } from './structures/algorithms.ts';
import type { TPML_PCR_SELECTION } from './structures/pcr.ts';

/** A bank. Default everywhere: `sha256`. */
export type PcrBank = TPMI_ALG_HASH;

/** Values of `pcrs` in one bank, in the order asked for, as many commands as it takes. @throws {TpmMalformed} */
export async function pcrRead(
  tpm: Tpm,
  pcrs: readonly number[],
  bank: PcrBank = 'sha256',
): Promise<readonly Uint8Array[]> {
  const values = new Map<number, Uint8Array>();
  let missing = [...new Set(pcrs)];
  while (missing.length > 0) {
    const answer = await run(tpm, TPM2_PCR_Read, {
      pcrSelectionIn: [{ hash: bank, pcrSelect: missing.slice(0, 8) }],
    });
    const read = answer.pcrSelectionOut
      .filter(({ hash }) => hash === bank)
      .flatMap(({ pcrSelect }) => pcrSelect);
    if (read.length !== answer.pcrValues.length)
      throw new TpmMalformed('the PCRs and their values differ in number');
    for (const [i, pcr] of read.entries()) {
      const value = answer.pcrValues[i];
      if (value?.length !== digestSize(bank)) throw new TpmMalformed('a PCR value has the wrong size');
      if (missing.includes(pcr)) values.set(pcr, value);
    }
    const left = missing.filter((pcr) => !values.has(pcr));
    if (left.length === missing.length) throw new TpmMalformed('the TPM has no such PCR or bank');
    missing = left;
  }
  return pcrs.map((pcr) => values.get(pcr) ?? new Uint8Array(0));
}

/** The banks that the TPM keeps, by the hash's name, also of hashes that fealty does not compute (`sm3_256`). */
export async function pcrBanks(tpm: Tpm): Promise<readonly string[]> {
  const { data } = await capability(tpm, 'pcrs', 0, 1);
  return data.filter(({ pcrSelect }) => pcrSelect.length > 0).map(({ hash }) => hash);
}

/** Extends a PCR: its value becomes H(value ‖ digest) in each bank given. */
export async function pcrExtend(
  tpm: Tpm,
  pcr: number,
  digests: Partial<Readonly<Record<PcrBank, Uint8Array>>>,
): Promise<void> {
  const list = Object.entries(digests).map(([hashAlg, value]) => ({
    hashAlg: hashAlg as PcrBank,
    digest: value,
  }));
  await run(tpm, TPM2_PCR_Extend, { pcrHandle: pcr, digests: list });
}

/** Resets a PCR that may be reset (16 and 23 from locality 0). */
export async function pcrReset(tpm: Tpm, pcr: number): Promise<void> {
  await run(tpm, TPM2_PCR_Reset, { pcrHandle: pcr });
}

/** The digest that a policy over these PCRs has now: the hash over their values, bank after bank, number after number. */
export async function selectedPcrDigest(
  tpm: Tpm,
  pcrs: TPML_PCR_SELECTION,
  hash: TPMI_ALG_HASH = 'sha256',
): Promise<Uint8Array> {
  return digest(hash, ...(await selectedPcrs(tpm, pcrs)));
}

/** The values of these PCRs in the order in which quotes and policies hash them. */
export async function selectedPcrs(tpm: Tpm, pcrs: TPML_PCR_SELECTION): Promise<readonly Uint8Array[]> {
  const values: Uint8Array[] = [];
  for (const { hash, pcrSelect } of pcrs)
    values.push(
      ...(await pcrRead(
        tpm,
        [...new Set(pcrSelect)].sort((a, b) => a - b),
        hash,
      )),
    );
  return values;
}
