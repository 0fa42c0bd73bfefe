import { beforeAll, describe } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { enforcementStories } from '../tpm/suite-enforcement.ts';
import { policyStories } from '../tpm/suite-policy.ts';

describe('the software TPM', () => {
  let chip: SoftwareTpm;
  beforeAll(async () => {
    chip = await SoftwareTpm.create({ random: seededRandom('policies'), clock: virtualClock(), slots: 8 });
  });
  describe('policies', () => policyStories(() => chip, 'ordered'));
  enforcementStories(() => chip);
});
