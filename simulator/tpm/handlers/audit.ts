import type { Handler } from '../handler.ts';

/** TPM2_GetSessionAuditDigest, TPM2_GetCommandAuditDigest and TPM2_SetCommandCodeAuditStatus. */
export const auditHandlers: readonly Handler[] = [];
