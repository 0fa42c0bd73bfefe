import type { Handler } from '../handler.ts';

/** Policies that a signature, a ticket or a policy authority satisfies. */
export const policySignedHandlers: readonly Handler[] = [];
