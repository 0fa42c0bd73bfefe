import {
  TPM2_ChangeEPS,
  TPM2_ChangePPS,
  TPM2_Clear,
  TPM2_ClearControl,
  TPM2_ClockRateAdjust,
  TPM2_ClockSet,
  TPM2_CreatePrimary,
  TPM2_EvictControl,
  TPM2_HierarchyChangeAuth,
  TPM2_HierarchyControl,
  TPM2_NV_DefineSpace,
  TPM2_NV_GlobalWriteLock,
  TPM2_NV_UndefineSpace,
  TPM2_NV_UndefineSpaceSpecial,
  TPM2_PCR_Allocate,
  TPM2_PCR_SetAuthPolicy,
  TPM2_PP_Commands,
  TPM2_SetCommandCodeAuditStatus,
  TPM2_SetPrimaryPolicy,
} from '../../src/tpm/commands.ts';
import { TPM_RH } from '../../src/tpm/structures.ts';
import type { Machine } from './machine.ts';
import { RC, sessionRefused } from './refusal.ts';

/** Commands that platformAuth can authorise, and that so may be made to need physical presence (Part 3 §26.2). */
const mayNeed: ReadonlySet<number> = new Set(
  [
    TPM2_NV_UndefineSpaceSpecial,
    TPM2_EvictControl,
    TPM2_HierarchyControl,
    TPM2_NV_UndefineSpace,
    TPM2_ChangeEPS,
    TPM2_ChangePPS,
    TPM2_Clear,
    TPM2_ClearControl,
    TPM2_ClockSet,
    TPM2_HierarchyChangeAuth,
    TPM2_NV_DefineSpace,
    TPM2_PCR_Allocate,
    TPM2_PCR_SetAuthPolicy,
    TPM2_SetPrimaryPolicy,
    TPM2_ClockRateAdjust,
    TPM2_CreatePrimary,
    TPM2_NV_GlobalWriteLock,
    TPM2_SetCommandCodeAuditStatus,
  ].map(({ code }) => code),
);

/** Codes of the commands that need physical presence, ascending; TPM2_PP_Commands always does. */
export function presenceCommands(chip: Machine): number[] {
  return [TPM2_PP_Commands.code, ...chip.ppCommands].sort((a, b) => a - b);
}

/** Makes commands need physical presence, and others not; what cannot is passed over. */
export function changePresence(chip: Machine, set: readonly number[], clear: readonly number[]): void {
  for (const code of set) if (mayNeed.has(code) && chip.implemented.has(code)) chip.ppCommands.add(code);
  for (const code of clear) chip.ppCommands.delete(code);
  chip.dirty = true;
}

/** @throws Refusal PP when session number `number` authorises the platform for a command that needs presence. */
export function needPresence(chip: Machine, code: number, handle: number, number: number): void {
  if (handle !== TPM_RH.platform || chip.physicalPresence) return;
  if (code === TPM2_PP_Commands.code || chip.ppCommands.has(code)) throw sessionRefused(RC.PP, number);
}
