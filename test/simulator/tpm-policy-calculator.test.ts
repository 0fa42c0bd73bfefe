import { beforeAll, describe } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { policyCalculatorStories } from '../tpm/suite-policy-calculator.ts';

describe('the software TPM', () => {
  let chip: SoftwareTpm;
  beforeAll(async () => {
    chip = await SoftwareTpm.create({ random: seededRandom('calculator'), clock: virtualClock() });
  });
  policyCalculatorStories(() => chip);
});
