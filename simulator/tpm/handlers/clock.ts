import type { Handler } from '../handler.ts';

/** TPM2_ClockSet and TPM2_ClockRateAdjust. */
export const clockHandlers: readonly Handler[] = [];
