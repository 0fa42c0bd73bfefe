import type { Handler } from '../handler.ts';

/** Indices that are more than bytes: bits, extend, and what changes an index. */
export const nvTypesHandlers: readonly Handler[] = [];
