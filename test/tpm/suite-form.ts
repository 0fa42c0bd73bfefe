import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { TPM2_GetCapability, TPM2_Sign } from '../../src/tpm/commands.ts';
import {
  createPrimary,
  idevidTemplate,
  listHandles,
  lockoutState,
  openSharedTpm,
  openTpm,
  pcrBanks,
} from '../../src/tpm/index.ts';
import { sign } from '../../src/tpm/sign.ts';
import type { Stage } from './stage.ts';
import { rewriting } from './tamper.ts';

const [clock, random] = [virtualClock(), seededRandom('form')];
/** What nobody below asks for. */
const algorithms = { capability: 'algs', data: [] };

/** A TPM whose answers are in form, and answers to something else. */
export function formStories(stage: () => Stage): void {
  describe('a TPM that answers another question', () => {
    it.each([
      ['its handles', (set: Stage) => listHandles(set.tpm, 'persistent')],
      ['its lockout', (set: Stage) => lockoutState(set.tpm)],
      ['its banks of PCRs', (set: Stage) => pcrBanks(set.tpm)],
      ['its properties, when it is opened', (set: Stage) => openTpm({ ...set, clock, random })],
      ['what it has, when it is shared', (set: Stage) => openSharedTpm({ ...set, clock, random })],
    ])('than for %s is not believed', async (_, ask) => {
      const set = stage();
      set.tamper = rewriting(TPM2_GetCapability, 0, (values) => ({ ...values, capabilityData: algorithms }));
      await expect(ask(set)).rejects.toMatchObject({ code: 'tpm.malformed' });
    });

    it('and leaves out what was asked for is not believed', async () => {
      const set = stage();
      set.tamper = rewriting(TPM2_GetCapability, 0, (values) => ({
        ...values,
        capabilityData: { capability: 'tpmProperties', data: [] },
      }));
      await expect(lockoutState(set.tpm)).rejects.toThrow('the TPM does not say its permanent');
    });

    it('by signing in another scheme than was asked for is not believed', async () => {
      const set = stage();
      const key = await createPrimary(set.tpm, { hierarchy: 'endorsement', template: idevidTemplate() });
      const scheme = { scheme: 'ecdsa', hashAlg: 'sha256' } as const;
      for (const change of [{ sigAlg: 'ecschnorr' }, { hash: 'sha384' }]) {
        set.tamper = rewriting(TPM2_Sign, 1, (values) => ({
          ...values,
          signature: { ...(values['signature'] as object), ...change },
        }));
        await expect(sign(set.tpm, key, Uint8Array.of(1), scheme)).rejects.toMatchObject({
          code: 'tpm.malformed',
        });
      }
    });
  });
}
