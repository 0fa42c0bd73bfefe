import type { Handler } from '../handler.ts';

/** Policies that look at the command, the NV, the clock or the locality. */
export const policyChecksHandlers: readonly Handler[] = [];
