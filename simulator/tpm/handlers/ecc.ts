import type { Handler } from '../handler.ts';

/** What elliptic curves do beside signing. */
export const eccHandlers: readonly Handler[] = [];
