import type { Handler } from '../handler.ts';

/** Hash, HMAC and event sequences. */
export const sequenceHandlers: readonly Handler[] = [];
