import type { Command } from '../../src/tpm/command.ts';
import type { TPMS_CONTEXT as Context } from '../../src/tpm/structures.ts';
import { TPM_HT, TPM_RH } from '../../src/tpm/structures.ts';
import type { Machine } from './machine.ts';
import { isSaved } from './pcr.ts';

type Request = Readonly<Record<string, unknown>>;

/** Commands that change what TPM2_Shutdown has kept, always or under a condition. */
const undoing: Readonly<Record<string, true | ((chip: Machine, request: Request) => boolean)>> = {
  TPM2_PCR_Extend: ofSavedPcr,
  TPM2_PCR_Event: ofSavedPcr,
  TPM2_PCR_Reset: ofSavedPcr,
  TPM2_EventSequenceComplete: ofSavedPcr,
  TPM2_PCR_SetAuthValue: true,
  TPM2_HierarchyChangeAuth: ofPlatform,
  TPM2_SetPrimaryPolicy: ofPlatform,
  TPM2_ChangePPS: true,
  TPM2_ChangeEPS: true,
  TPM2_Clear: true,
  TPM2_NV_Write: ofOrderlyIndex,
  TPM2_NV_Increment: ofOrderlyIndex,
  TPM2_NV_Extend: ofOrderlyIndex,
  TPM2_NV_SetBits: ofOrderlyIndex,
  TPM2_NV_WriteLock: ofOrderlyIndex,
  TPM2_NV_ReadLock: ofOrderlyIndex,
  TPM2_NV_GlobalWriteLock: (chip) => [...chip.nv.values()].some((index) => index.kept !== undefined),
  TPM2_ContextSave: (_chip, { saveHandle }) => isSession(saveHandle),
  TPM2_ContextLoad: (_chip, { context }) => isSession((context as Context).savedHandle),
  TPM2_FlushContext: (_chip, { flushHandle }) => isSession(flushHandle),
  TPM2_Commit: true,
  TPM2_EC_Ephemeral: true,
};

/** Whether a command that has run makes an earlier TPM2_Shutdown void (Part 3 §9.4). */
export function undoesShutdown(chip: Machine, { name }: Command, request: Request): boolean {
  const undoes = undoing[name] ?? false;
  return typeof undoes === 'boolean' ? undoes : undoes(chip, request);
}

function ofSavedPcr(_chip: Machine, { pcrHandle }: Request): boolean {
  return typeof pcrHandle === 'number' && isSaved(pcrHandle);
}

function ofPlatform(_chip: Machine, { authHandle }: Request): boolean {
  return authHandle === TPM_RH.platform;
}

function ofOrderlyIndex(chip: Machine, { nvIndex }: Request): boolean {
  return typeof nvIndex === 'number' && chip.nv.get(nvIndex)?.kept !== undefined;
}

function isSession(handle: unknown): boolean {
  const type = typeof handle === 'number' ? handle >>> 24 : undefined;
  return type === TPM_HT.hmacSession || type === TPM_HT.policySession;
}
