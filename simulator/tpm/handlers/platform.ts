import {
  TPM2_ChangeEPS,
  TPM2_ChangePPS,
  TPM2_DictionaryAttackLockReset,
  TPM2_DictionaryAttackParameters,
  TPM2_HierarchyControl,
  TPM2_PP_Commands,
  TPM2_SetPrimaryPolicy,
} from '../../../src/tpm/commands.ts';
import { TPM_RH } from '../../../src/tpm/structures.ts';
import { digestSize, isHash } from '../crypto/hash.ts';
import { permanentName } from '../entity.ts';
import { handler } from '../handler.ts';
import type { Enabled, KeyHierarchy } from '../hierarchy.ts';
import { clearHierarchy, clearPolicy, renewSecrets } from '../hierarchy.ts';
import type { Machine } from '../machine.ts';
import { changePresence } from '../presence.ts';
import { handleRefused, parameterRefused, RC, Refusal } from '../refusal.ts';

/** What TPM2_HierarchyControl switches (TPMI_RH_ENABLES, Part 2 §9.14), and who may besides the platform. */
const switches: ReadonlyMap<number, { readonly name: keyof Enabled; readonly alsoBy?: number }> = new Map([
  [TPM_RH.owner, { name: 'owner', alsoBy: TPM_RH.owner }],
  [TPM_RH.endorsement, { name: 'endorsement', alsoBy: TPM_RH.endorsement }],
  [TPM_RH.platform, { name: 'platform' }],
  [TPM_RH.platformNv, { name: 'platformNv' }],
]);

/** Part 3 §24, §25, §26: what the platform decides, and the parameters of dictionary attack protection. */
export const platformHandlers = [
  handler(TPM2_HierarchyControl, (chip, { authHandle, enable, state }) => {
    const switched = switches.get(enable);
    if (switched === undefined) throw parameterRefused(RC.VALUE, 1);
    const { name, alsoBy } = switched;
    // Who switched a hierarchy off cannot be asked any more: entities of a disabled hierarchy are refused before.
    if (authHandle !== TPM_RH.platform && authHandle !== alsoBy) throw new Refusal(RC.AUTH_TYPE);
    const on = state === 'yes';
    if (chip.enabled[name] === on) return {};
    if (!on && name !== 'platformNv') flushHierarchy(chip, name);
    chip.enabled[name] = on;
    // What TPM2_Shutdown kept is not so any more.
    chip.shutdown = null;
    chip.dirty = true;
    return {};
  }),

  handler(TPM2_SetPrimaryPolicy, (chip, { authHandle, authPolicy, hashAlg }) => {
    const name = permanentName(authHandle);
    if (name === undefined || name === 'null') throw handleRefused(RC.VALUE, 1);
    if (authPolicy.length !== (isHash(hashAlg) ? digestSize(hashAlg) : 0)) throw parameterRefused(RC.SIZE, 1);
    chip.hierarchies[name].policy = authPolicy;
    chip.hierarchies[name].policyAlg = hashAlg;
    chip.dirty = true;
    return {};
  }),

  handler(TPM2_ChangePPS, (chip) => {
    const { platform } = chip.hierarchies;
    renewSecrets(platform, chip.random, chip.simulated, true);
    clearPolicy(platform);
    flushHierarchy(chip, 'platform');
    evictHierarchy(chip, 'platform');
    chip.pcrAuthority.policy = new Uint8Array();
    chip.pcrAuthority.policyAlg = 'null';
    chip.dirty = true;
    return {};
  }),

  handler(TPM2_ChangeEPS, (chip) => {
    clearHierarchy(chip.hierarchies.endorsement, chip.random, chip.simulated, true);
    chip.enabled.endorsement = true;
    flushHierarchy(chip, 'endorsement');
    evictHierarchy(chip, 'endorsement');
    chip.dirty = true;
    return {};
  }),

  handler(TPM2_PP_Commands, (chip, { setList, clearList }) => {
    changePresence(chip, setList, clearList);
    return {};
  }),

  handler(TPM2_DictionaryAttackLockReset, (chip) => {
    chip.lockoutFailures = 0;
    chip.dirty = true;
    return {};
  }),

  handler(TPM2_DictionaryAttackParameters, (chip, { newMaxTries, newRecoveryTime, lockoutRecovery }) => {
    chip.maxTries = newMaxTries;
    chip.recoveryTime = newRecoveryTime;
    chip.lockoutRecovery = lockoutRecovery;
    chip.dirty = true;
    return {};
  }),
];

/** Loaded objects of a hierarchy go. */
export function flushHierarchy(chip: Machine, name: KeyHierarchy): void {
  for (const [handle, object] of chip.objects) if (object.hierarchy === name) chip.objects.delete(handle);
}

/** Persistent objects of a hierarchy go. */
export function evictHierarchy(chip: Machine, name: KeyHierarchy): void {
  for (const [handle, object] of chip.persistent)
    if (object.hierarchy === name) chip.persistent.delete(handle);
  chip.foundPrimes.clear();
}
