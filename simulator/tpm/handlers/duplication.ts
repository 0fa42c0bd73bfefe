import type { Handler } from '../handler.ts';

/** TPM2_Duplicate, TPM2_Rewrap, TPM2_Import. */
export const duplicationHandlers: readonly Handler[] = [];
