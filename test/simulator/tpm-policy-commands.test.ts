import { beforeAll, describe } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { enforcementStories } from '../tpm/suite-enforcement.ts';
import { nvAuthorizationStories } from '../tpm/suite-nv-authorization.ts';
import { policyAuthorityStories } from '../tpm/suite-policy.ts';
import { policyCheckStories } from '../tpm/suite-policy-checks.ts';

describe('the software TPM', () => {
  let chip: SoftwareTpm;
  beforeAll(async () => {
    chip = await SoftwareTpm.create({ random: seededRandom('policies'), clock: virtualClock(), slots: 8 });
  });
  describe('policies by authority', () => policyAuthorityStories(() => chip));
  describe('policies that look', () => policyCheckStories(() => chip, 'ordered'));
  describe('policies in use', () => enforcementStories(() => chip));
  describe('policies and PINs of NV', () => nvAuthorizationStories(() => chip));
});
