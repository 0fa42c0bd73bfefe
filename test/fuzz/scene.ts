import type { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import type { TPMT_PUBLIC, Tpm, TpmObject } from '../../src/tpm/index.ts';
import { createPrimary, owned } from '../../src/tpm/index.ts';
import type { Dice } from './dice.ts';

/** What a person does with a TPM, from its first to its last command. It leaves nothing behind when nobody disturbs it. */
export type Scene = (tpm: Tpm, from: Dice, chip: SoftwareTpm) => Promise<unknown>;

/** Makes a primary key in the owner's hierarchy. */
export async function primary(tpm: Tpm, template: TPMT_PUBLIC): Promise<TpmObject & AsyncDisposable> {
  return owned(tpm, await createPrimary(tpm, { hierarchy: 'owner', template }));
}
