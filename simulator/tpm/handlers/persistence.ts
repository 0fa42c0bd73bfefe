import { TPM2_EvictControl } from '../../../src/tpm/commands.ts';
import { TPM_HT, TPM_RH } from '../../../src/tpm/structures.ts';
import { objectOf, platformPersistent } from '../entity.ts';
import { handler } from '../handler.ts';
import { hasRoomForObject } from '../nv-space.ts';
import { handleRefused, parameterRefused, RC, Refusal } from '../refusal.ts';

/** Part 3 §28.5: objects become persistent, and cease to be. */
export const persistenceHandlers = [
  handler(TPM2_EvictControl, (chip, { auth, objectHandle, persistentHandle }) => {
    const object = objectOf(chip, objectHandle, 2);
    if (persistentHandle >>> 24 !== TPM_HT.persistent) throw parameterRefused(RC.VALUE, 1);
    if (object.hierarchy === 'null' || object.external || object.stClear || object.sensitive === undefined)
      throw handleRefused(RC.ATTRIBUTES, 2);
    const kept = objectHandle >>> 24 === TPM_HT.persistent;
    if (kept && persistentHandle !== objectHandle) throw handleRefused(RC.HANDLE, 2);
    const ofPlatform = object.hierarchy === 'platform';
    const byPlatform = auth === TPM_RH.platform;
    // The platform may remove what is the owner's; nothing else crosses the border.
    if (ofPlatform !== byPlatform && !(byPlatform && kept)) throw handleRefused(RC.HIERARCHY, 2);
    if (!kept && persistentHandle >= platformPersistent !== byPlatform) throw parameterRefused(RC.RANGE, 1);
    if (kept) {
      chip.persistent.delete(objectHandle);
    } else {
      if (chip.persistent.has(persistentHandle)) throw new Refusal(RC.NV_DEFINED);
      if (!hasRoomForObject(chip)) throw new Refusal(RC.NV_SPACE);
      chip.persistent.set(persistentHandle, object);
    }
    chip.dirty = true;
    return {};
  }),
];
