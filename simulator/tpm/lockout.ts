import type { Machine } from './machine.ts';

/**
 * Protection against guessing (Part 1 §19.8): every wrong auth value of a guarded entity counts, one is forgiven every
 * `recoveryTime` seconds, and at `maxTries` guarded entities answer TPM_RC_LOCKOUT.
 */
export function isLockedOut(chip: Machine): boolean {
  forgive(chip);
  return chip.lockoutFailures >= chip.maxTries;
}

/** Whether lockoutAuth may be tried: one wrong try closes it for `lockoutRecovery` seconds. */
export function isLockoutAuthOpen(chip: Machine): boolean {
  if (!chip.lockoutAuthEnabled && chip.clock.elapsed() - chip.lockoutSince >= chip.lockoutRecovery * 1000) {
    chip.lockoutAuthEnabled = true;
    chip.dirty = true;
  }
  return chip.lockoutAuthEnabled;
}

/** A wrong auth value of a guarded entity. */
export function countFailure(chip: Machine, ofLockoutAuth: boolean): void {
  if (ofLockoutAuth) {
    chip.lockoutAuthEnabled = false;
    chip.lockoutSince = chip.clock.elapsed();
  } else {
    if (chip.lockoutFailures === 0) chip.failuresSince = chip.clock.elapsed();
    chip.lockoutFailures = Math.min(chip.lockoutFailures + 1, chip.maxTries);
  }
  chip.dirty = true;
}

function forgive(chip: Machine): void {
  if (chip.lockoutFailures === 0 || chip.recoveryTime === 0) return;
  const forgiven = Math.floor((chip.clock.elapsed() - chip.failuresSince) / (chip.recoveryTime * 1000));
  if (forgiven <= 0) return;
  chip.lockoutFailures = Math.max(0, chip.lockoutFailures - forgiven);
  chip.failuresSince += forgiven * chip.recoveryTime * 1000;
  chip.dirty = true;
}
