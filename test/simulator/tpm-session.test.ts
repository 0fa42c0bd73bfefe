import { beforeAll, describe } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { keyedSessionStories } from '../tpm/suite-keyed-sessions.ts';
import { rawSessionStories } from '../tpm/suite-raw-sessions.ts';

describe('the software TPM', () => {
  let chip: SoftwareTpm;
  beforeAll(async () => {
    chip = await SoftwareTpm.create({ random: seededRandom('sessions'), clock: virtualClock(), slots: 8 });
  });
  describe('on the wire', () => rawSessionStories(() => chip));
  describe('with keys', () => keyedSessionStories(() => chip, [128, 192, 256]));
});
