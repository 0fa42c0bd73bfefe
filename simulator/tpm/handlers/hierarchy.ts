import {
  TPM2_Clear,
  TPM2_ClearControl,
  TPM2_DictionaryAttackLockReset,
  TPM2_EvictControl,
  TPM2_HierarchyChangeAuth,
  TPM2_ReadClock,
} from '../../../src/tpm/commands.ts';
import { TPM_HT, TPM_RH } from '../../../src/tpm/structures.ts';
import { clockInfo } from '../attest.ts';
import { withoutTrailingZeros } from '../create.ts';
import { objectOf, permanentName } from '../entity.ts';
import { handler } from '../handler.ts';
import { clearHierarchy } from '../hierarchy.ts';
import type { Machine } from '../machine.ts';
import { mostPersistent } from '../machine.ts';
import { handleRefused, parameterRefused, RC, Refusal } from '../refusal.ts';

/** First persistent handle of the platform; the owner's are below (Part 2 §7.5). */
const platformPersistent = 0x81800000;

/** Part 3 §24, §25, §28.5, §29: hierarchies, lockout, persistence, clock. */
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

  handler(TPM2_EvictControl, (chip, { auth, objectHandle, persistentHandle }) => {
    if (auth !== TPM_RH.owner && auth !== TPM_RH.platform) throw handleRefused(RC.VALUE, 1);
    const object = objectOf(chip, objectHandle, 2);
    if (persistentHandle >>> 24 !== TPM_HT.persistent) throw parameterRefused(RC.VALUE, 1);
    const ofPlatform = object.hierarchy === 'platform';
    if (auth === TPM_RH.platform ? false : ofPlatform) throw handleRefused(RC.HIERARCHY, 2);
    if (objectHandle >>> 24 === TPM_HT.persistent) {
      if (persistentHandle !== objectHandle) throw handleRefused(RC.HANDLE, 2);
      chip.persistent.delete(objectHandle);
      chip.dirty = true;
      return {};
    }
    if (object.hierarchy === 'null') throw handleRefused(RC.HIERARCHY, 2);
    if (object.external || object.sensitive === undefined) throw handleRefused(RC.ATTRIBUTES, 2);
    if (object.publicArea.objectAttributes.stClear) throw handleRefused(RC.ATTRIBUTES, 2);
    if (auth === TPM_RH.platform ? !ofPlatform : false) throw handleRefused(RC.HIERARCHY, 2);
    if (persistentHandle >= platformPersistent !== ofPlatform) throw parameterRefused(RC.RANGE, 1);
    if (chip.persistent.has(persistentHandle)) throw new Refusal(RC.NV_DEFINED);
    if (chip.persistent.size >= mostPersistent) throw new Refusal(RC.NV_SPACE);
    chip.persistent.set(persistentHandle, object);
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
