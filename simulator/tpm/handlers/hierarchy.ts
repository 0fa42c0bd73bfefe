import { TPM2_Clear, TPM2_ClearControl, TPM2_HierarchyChangeAuth } from '../../../src/tpm/commands.ts';
import { TPM_RH } from '../../../src/tpm/structures.ts';
import { withoutTrailingZeros } from '../create.ts';
import { permanentName } from '../entity.ts';
import { handler } from '../handler.ts';
import { clearHierarchy } from '../hierarchy.ts';
import { resetLockout } from '../lockout.ts';
import type { Machine } from '../machine.ts';
import { handleRefused, RC, Refusal } from '../refusal.ts';
import { evictHierarchy, flushHierarchy } from './platform.ts';

/** Part 3 §24: hierarchies. */
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
];

/** The owner leaves: everything that was the owner's goes (Part 3 §24.6.1). The platform's keys stay. */
function clear(chip: Machine): void {
  const { owner, endorsement, lockout } = chip.hierarchies;
  clearHierarchy(owner, chip.random, chip.simulated, true);
  clearHierarchy(endorsement, chip.random, chip.simulated, false);
  clearHierarchy(lockout, chip.random, chip.simulated, false);
  chip.enabled.owner = true;
  chip.enabled.endorsement = true;
  for (const name of ['owner', 'endorsement'] as const) {
    flushHierarchy(chip, name);
    evictHierarchy(chip, name);
  }
  for (const [handle, index] of chip.nv)
    if (!index.publicArea.attributes.platformcreate) chip.removeNv(handle);
  resetLockout(chip);
  chip.resetCount = 0;
  chip.restartCount = 0;
  chip.ticks.clear();
  chip.pcrAuthority.auth = new Uint8Array();
  chip.pcrChanged(0);
  chip.dirty = true;
}
