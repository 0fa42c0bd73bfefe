import { TPM2_ClockRateAdjust, TPM2_ClockSet, TPM2_ReadClock } from '../../../src/tpm/commands.ts';
import type { TPM_CLOCK_ADJUST as Adjustment } from '../../../src/tpm/structures.ts';
import { clockInfo } from '../attest.ts';
import { adjustments } from '../clock.ts';
import { handler } from '../handler.ts';
import { parameterRefused, RC } from '../refusal.ts';

/** No clock can be set so far that it might ever overflow (Part 3 §29.2). */
const latest = 0xffff_0000_0000_0000n;

const faster: Readonly<Record<Adjustment, number>> = {
  coarseSlower: -adjustments.coarse,
  mediumSlower: -adjustments.medium,
  fineSlower: -adjustments.fine,
  noChange: 0,
  fineFaster: adjustments.fine,
  mediumFaster: adjustments.medium,
  coarseFaster: adjustments.coarse,
};

/** Part 3 §29: the clock. */
export const clockHandlers = [
  handler(TPM2_ReadClock, (chip) => ({
    currentTime: { time: BigInt(chip.time), clockInfo: clockInfo(chip) },
  })),

  handler(TPM2_ClockSet, (chip, { newTime }) => {
    if (newTime > latest || newTime < chip.ticks.value) throw parameterRefused(RC.VALUE, 1);
    chip.ticks.set(newTime);
    chip.dirty = true;
    return {};
  }),

  handler(TPM2_ClockRateAdjust, (chip, { rateAdjust }) => {
    if (!chip.ticks.adjust(faster[rateAdjust])) throw parameterRefused(RC.VALUE, 1);
    return {};
  }),
];
