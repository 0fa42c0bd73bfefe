import type { Command } from '../../src/tpm/command.ts';
import { TPM_HT, TPM_RH } from '../../src/tpm/structures.ts';
import { mostSessions } from './limits.ts';
import type { Machine } from './machine.ts';
import { pcrCount } from './pcr.ts';

/** Whether a handle is of the type (TPMI_…, Part 2 §9) that the command takes in that place. */
export function isTaken(chip: Machine, command: Command, key: string, handle: number): boolean {
  return inRange(chip, handle) && typeOf(command, key)(handle);
}

type HandleTest = (handle: number) => boolean;

const top = (handle: number) => handle >>> 24;
const isObject: HandleTest = (handle) =>
  top(handle) === TPM_HT.transient || top(handle) === TPM_HT.persistent;
const isNv: HandleTest = (handle) => top(handle) === TPM_HT.nvIndex;
const isSession: HandleTest = (handle) => top(handle) === TPM_HT.hmacSession || isPolicy(handle);
const isPolicy: HandleTest = (handle) => top(handle) === TPM_HT.policySession;
const isPcr: HandleTest = (handle) => top(handle) === TPM_HT.pcr;
const isNull: HandleTest = (handle) => handle === TPM_RH.null;
const isProvision: HandleTest = (handle) => handle === TPM_RH.owner || handle === TPM_RH.platform;
const isHierarchy: HandleTest = (handle) => isProvision(handle) || handle === TPM_RH.endorsement;
const isEntity: HandleTest = (handle) =>
  isObject(handle) || isNv(handle) || isPcr(handle) || isHierarchy(handle) || handle === TPM_RH.lockout;

const either =
  (...tests: readonly HandleTest[]): HandleTest =>
  (handle) =>
    tests.some((test) => test(handle));
const isPlatform: HandleTest = (handle) => handle === TPM_RH.platform;
const isEndorsement: HandleTest = (handle) => handle === TPM_RH.endorsement;
const isClearing: HandleTest = (handle) => handle === TPM_RH.lockout || handle === TPM_RH.platform;

const byCommand: Readonly<Record<string, Readonly<Record<string, HandleTest>>>> = {
  TPM2_Clear: { authHandle: isClearing },
  TPM2_ClearControl: { auth: isClearing },
  TPM2_HierarchyChangeAuth: { authHandle: either(isHierarchy, isClearing) },
  TPM2_CreateLoaded: { parentHandle: either(isObject, isHierarchy, isNull) },
  TPM2_EvictControl: { auth: isProvision },
  TPM2_NV_DefineSpace: { authHandle: isProvision },
  TPM2_NV_UndefineSpace: { authHandle: isProvision },
  TPM2_PolicySecret: { authHandle: isEntity },
  TPM2_PCR_Reset: { pcrHandle: isPcr },
  TPM2_PCR_SetAuthValue: { pcrHandle: isPcr },
  TPM2_PCR_SetAuthPolicy: { authHandle: isPlatform },
  TPM2_PCR_Allocate: { authHandle: isPlatform },
  TPM2_HierarchyControl: { authHandle: isHierarchy },
  TPM2_SetPrimaryPolicy: { authHandle: either(isHierarchy, isClearing) },
  TPM2_ChangePPS: { authHandle: isPlatform },
  TPM2_ChangeEPS: { authHandle: isPlatform },
  TPM2_PP_Commands: { auth: isPlatform },
  TPM2_ClockSet: { auth: isProvision },
  TPM2_ClockRateAdjust: { auth: isProvision },
  TPM2_SetCommandCodeAuditStatus: { auth: isProvision },
  TPM2_NV_GlobalWriteLock: { authHandle: isProvision },
  TPM2_GetSessionAuditDigest: { sessionHandle: (handle) => top(handle) === TPM_HT.hmacSession },
  TPM2_Commit: { signHandle: isObject },
  TPM2_ContextSave: { saveHandle: either(isSession, (handle) => top(handle) === TPM_HT.transient) },
};

/** The same name has the same type in every command, but for those above. */
const byName: Readonly<Record<string, HandleTest>> = {
  nvIndex: isNv,
  authHandle: either(isProvision, isNv),
  pcrHandle: either(isPcr, isNull),
  policySession: isPolicy,
  sessionHandle: isPolicy,
  primaryHandle: either(isHierarchy, isNull),
  signHandle: either(isObject, isNull),
  tpmKey: either(isObject, isNull),
  bind: either(isEntity, isNull),
  privacyAdminHandle: isEndorsement,
  privacyHandle: isEndorsement,
  platform: isPlatform,
  newParentHandle: either(isObject, isNull),
  newParent: either(isObject, isNull),
  oldParent: either(isObject, isNull),
  lockHandle: (handle) => handle === TPM_RH.lockout,
};

function typeOf(command: Command, key: string): HandleTest {
  return byCommand[command.name]?.[key] ?? byName[key] ?? isObject;
}

/** The ranges of Part 2 §7.5 end with what the chip has room for. */
function inRange(chip: Machine, handle: number): boolean {
  const index = handle & 0xffffff;
  switch (top(handle)) {
    case TPM_HT.pcr:
      return index < pcrCount;
    case TPM_HT.transient:
      return index < chip.slots;
    case TPM_HT.hmacSession:
    case TPM_HT.policySession:
      return index < mostSessions;
    default:
      return true;
  }
}
