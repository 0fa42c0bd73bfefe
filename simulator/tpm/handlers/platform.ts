import type { Handler } from '../handler.ts';

/** What the platform decides: hierarchies, seeds, physical presence, PCR allocation. */
export const platformHandlers: readonly Handler[] = [];
