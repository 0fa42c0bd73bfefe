import {
  TPM2_Clear,
  TPM2_ClearControl,
  TPM2_DictionaryAttackLockReset,
  TPM2_HierarchyChangeAuth,
  TPM2_ReadClock,
} from '../../../src/tpm/commands.ts';
import { TPM_RH } from '../../../src/tpm/structures.ts';
import { clockInfo } from '../attest.ts';
import { withoutTrailingZeros } from '../create.ts';
import { permanentName } from '../entity.ts';
import { handler } from '../handler.ts';
import { clearHierarchy } from '../hierarchy.ts';
import type { Machine } from '../machine.ts';
import { handleRefused, RC, Refusal } from '../refusal.ts';

/** Part 3 §24, §25, §29: hierarchies, lockout, clock. */
export const hierarchyHandlers = [
  handler(TPM2_Clear, (chip, { authHandle }) => {
    if (authHandle !== TPM_RH.lockout && authHandle !== TPM_RH.platform) throw handleRefused(RC.VALUE, 1);
    if (chip.disableClear) throw new Refusal(RC.DISABLED);
    clear(chip);
    return {};
  }),

  handler(TPM2_ClearControl, (chip, { auth, disable }) => {
    if (auth !== TPM_RH.lockout && auth !== TPM_RH.platform) throw handleRefused(RC.VALUE, 1);
    // The owner's lockout authority may switch TPM2_Clear off, but not on again.
    if (auth === TPM_RH.lockout && disable === 'no') throw new Refusal(RC.AUTH_FAIL);
    chip.disableClear = disable === 'yes';
    chip.dirty = true;
    return {};
  }),

  handler(TPM2_HierarchyChangeAuth, (chip, { authHandle, newAuth }) => {
    const name = permanentName(authHandle);
    if (name === undefined || name === 'null') throw handleRefused(RC.VALUE, 1);
    chip.hierarchies[name].auth = withoutTrailingZeros(newAuth);
    chip.dirty = true;
    return {};
  }),

  handler(TPM2_DictionaryAttackLockReset, (chip, { lockHandle }) => {
    if (lockHandle !== TPM_RH.lockout) throw handleRefused(RC.VALUE, 1);
    chip.lockoutFailures = 0;
    chip.dirty = true;
    return {};
  }),

  handler(TPM2_ReadClock, (chip) => ({
    currentTime: { time: BigInt(chip.time), clockInfo: clockInfo(chip) },
  })),
];

/** The owner leaves: everything that was the owner's goes (Part 3 §24.6.1). Endorsement and platform keys stay. */
function clear(chip: Machine): void {
  const { owner, endorsement, lockout } = chip.hierarchies;
  clearHierarchy(owner, chip.random, chip.simulated, true);
  clearHierarchy(endorsement, chip.random, chip.simulated, false);
  clearHierarchy(lockout, chip.random, chip.simulated, false);
  for (const [handle, object] of chip.persistent)
    if (object.hierarchy !== 'platform') chip.persistent.delete(handle);
  for (const [handle, object] of chip.objects)
    if (object.hierarchy === 'owner' || object.hierarchy === 'endorsement') chip.objects.delete(handle);
  for (const [handle, index] of chip.nv)
    if (!index.publicArea.attributes.platformcreate) chip.removeNv(handle);
  chip.foundPrimes.clear();
  chip.disableClear = false;
  chip.lockoutFailures = 0;
  chip.lockoutAuthEnabled = true;
  chip.maxTries = 3;
  chip.recoveryTime = 1000;
  chip.lockoutRecovery = 1000;
  chip.resetCount = 0;
  chip.restartCount = 0;
  chip.clearClock();
  chip.dirty = true;
}
