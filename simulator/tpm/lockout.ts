import type { Machine } from './machine.ts';
import { RC, Refusal } from './refusal.ts';

/**
 * Protection against guessing (Part 1 §19.8): every wrong auth value of a guarded entity counts, one is forgiven after
 * every `recoveryTime` seconds with power and without failure, and at `maxTries` guarded entities answer TPM_RC_LOCKOUT.
 * Times are of TIME, not of CLOCK (Part 3 §25.3): a power cut begins them anew.
 */
export function isLockedOut(chip: Machine): boolean {
  forgive(chip);
  return chip.lockoutFailures >= chip.maxTries;
}

/**
 * Before the auth value of a guarded entity is looked at. A power cut from here on may hide a failure, so that the next
 * start without TPM2_Shutdown counts one (Part 1 §19.8.6). @throws Refusal LOCKOUT
 */
export function useGuarded(chip: Machine): void {
  if (isLockedOut(chip)) throw new Refusal(RC.LOCKOUT);
  if (chip.daUsed) return;
  chip.daUsed = true;
  chip.shutdown = null;
  chip.dirty = true;
}

/** Whether lockoutAuth may be tried: one wrong try closes it for `lockoutRecovery` seconds; 0 is until the next start. */
export function isLockoutAuthOpen(chip: Machine): boolean {
  if (chip.lockoutAuthEnabled || chip.lockoutRecovery === 0) return chip.lockoutAuthEnabled;
  if (chip.time - chip.lockoutSince < chip.lockoutRecovery * 1000) return false;
  chip.lockoutAuthEnabled = true;
  chip.dirty = true;
  return true;
}

/** A wrong auth value of a guarded entity. */
export function countFailure(chip: Machine, ofLockoutAuth: boolean): void {
  if (ofLockoutAuth) {
    chip.lockoutAuthEnabled = false;
    chip.lockoutSince = chip.time;
  } else {
    // Without a recovery time there is no protection.
    if (chip.recoveryTime !== 0) chip.lockoutFailures++;
    chip.failuresSince = chip.time;
  }
  chip.dirty = true;
}

/** TPM2_Startup: `orderly` after TPM2_Shutdown. */
export function startLockout(chip: Machine, orderly: boolean): void {
  chip.failuresSince = 0;
  chip.lockoutSince = 0;
  if (chip.lockoutRecovery === 0) chip.lockoutAuthEnabled = true;
  const hidden = !orderly && chip.daUsed && chip.recoveryTime !== 0;
  if (hidden && chip.lockoutFailures < chip.maxTries) chip.lockoutFailures++;
  chip.daUsed = false;
}

/** The parameters of a new TPM, and after TPM2_Clear. */
export function resetLockout(chip: Machine): void {
  chip.lockoutFailures = 0;
  chip.lockoutAuthEnabled = true;
  chip.maxTries = 3;
  chip.recoveryTime = 1000;
  chip.lockoutRecovery = 1000;
  chip.dirty = true;
}

function forgive(chip: Machine): void {
  if (chip.lockoutFailures === 0) return;
  const interval = chip.recoveryTime * 1000;
  const forgiven =
    interval === 0 ? chip.lockoutFailures : Math.floor((chip.time - chip.failuresSince) / interval);
  if (forgiven <= 0) return;
  chip.lockoutFailures = Math.max(0, chip.lockoutFailures - forgiven);
  chip.failuresSince += forgiven * interval;
  chip.dirty = true;
}
