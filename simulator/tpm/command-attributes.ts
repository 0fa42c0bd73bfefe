import type { Command } from '../../src/tpm/command.ts';
import { allCommands } from '../../src/tpm/command-table.ts';
import type { Machine } from './machine.ts';

/** Bits of TPMA_CC, Part 2 §8.9. */
const NV = 1 << 22;
const EXTENSIVE = 1 << 23;
const FLUSHED = 1 << 24;

/** Commands that may write to non-volatile memory, besides those whose name says so. */
const writesNv: ReadonlySet<string> = new Set([
  'TPM2_EvictControl',
  'TPM2_HierarchyControl',
  'TPM2_ChangeEPS',
  'TPM2_ChangePPS',
  'TPM2_Clear',
  'TPM2_ClearControl',
  'TPM2_ClockSet',
  'TPM2_HierarchyChangeAuth',
  'TPM2_PCR_Allocate',
  'TPM2_PCR_SetAuthPolicy',
  'TPM2_PCR_Event',
  'TPM2_PCR_Reset',
  'TPM2_PCR_Extend',
  'TPM2_PP_Commands',
  'TPM2_SetPrimaryPolicy',
  'TPM2_GetCommandAuditDigest',
  'TPM2_SetCommandCodeAuditStatus',
  'TPM2_DictionaryAttackLockReset',
  'TPM2_DictionaryAttackParameters',
  'TPM2_IncrementalSelfTest',
  'TPM2_SelfTest',
  'TPM2_Startup',
  'TPM2_Shutdown',
  'TPM2_StirRandom',
  'TPM2_EventSequenceComplete',
]);

/** Commands after which any number of objects may be gone. */
const flushesMany: ReadonlySet<string> = new Set([
  'TPM2_HierarchyControl',
  'TPM2_ChangeEPS',
  'TPM2_ChangePPS',
  'TPM2_Clear',
]);

/** Commands after which the object of a handle is gone. */
const flushesHandle: ReadonlySet<string> = new Set(['TPM2_SequenceComplete', 'TPM2_EventSequenceComplete']);

/** TPMA_CC of every command this TPM has, by ascending code. */
export function commandAttributes(chip: Machine): number[] {
  return allCommands()
    .filter((command) => chip.implemented.has(command.code))
    .map(attributesOf);
}

function attributesOf({ name, code, handles, responseHandles }: Command): number {
  // All commands about indices write, but for those that only read.
  const nv = writesNv.has(name) || /^TPM2_NV_(?!Read$|ReadPublic$|Certify$)/.test(name);
  return (
    code |
    (nv ? NV : 0) |
    (flushesMany.has(name) ? EXTENSIVE : 0) |
    (flushesHandle.has(name) ? FLUSHED : 0) |
    (Object.keys(handles).length << 25) |
    (Object.keys(responseHandles).length << 28)
  );
}
