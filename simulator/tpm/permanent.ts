import { freshAudit } from './audit.ts';
import type { Machine } from './machine.ts';
import { nvFromSnapshot, nvToSnapshot } from './nv.ts';
import { objectFromSnapshot, objectToSnapshot } from './object.ts';
import { fullAllocation } from './pcr.ts';
import type { TpmSnapshot } from './state.ts';

/** Everything of a machine that a power cut leaves. */
export function snapshotOf(machine: Machine): TpmSnapshot {
  const { owner, endorsement, platform, lockout } = machine.hierarchies;
  return {
    version: 1,
    simulated: machine.simulated,
    owner,
    endorsement,
    platform,
    lockout,
    disableClear: machine.disableClear,
    persistent: [...machine.persistent].map(([handle, object]) => objectToSnapshot(handle, object)),
    nv: [...machine.nv.values()].map(nvToSnapshot),
    counterFloor: machine.counterFloor,
    clock: machine.clockTime,
    resetCount: machine.resetCount,
    restartCount: machine.restartCount,
    totalResetCount: machine.totalResetCount,
    lockoutFailures: machine.lockoutFailures,
    maxTries: machine.maxTries,
    recoveryTime: machine.recoveryTime,
    lockoutRecovery: machine.lockoutRecovery,
    lockoutAuthEnabled: machine.lockoutAuthEnabled,
    shutdown: machine.shutdown,
    clockAhead: machine.ticks.ahead.toString(),
    daUsed: machine.daUsed,
    ppCommands: [...machine.ppCommands],
    allocation: machine.allocation,
    pcrPolicy: machine.pcrAuthority.policy,
    pcrPolicyAlg: machine.pcrAuthority.policyAlg,
    audit: { ...machine.audit, commands: [...machine.audit.commands] },
  };
}

/** Makes a machine what a snapshot says. Volatile state stays, and the clock runs on. */
export function restoreTo(machine: Machine, from: TpmSnapshot): void {
  const { owner, endorsement, platform, lockout } = from;
  machine.simulated = from.simulated;
  machine.hierarchies = { ...machine.hierarchies, owner, endorsement, platform, lockout };
  machine.disableClear = from.disableClear;
  machine.persistent = new Map(from.persistent.map((one) => [one.handle, objectFromSnapshot(one)]));
  const before = machine.nv;
  machine.nv = new Map(from.nv.map((one) => nvFromSnapshot(one, before)).map((one) => [one.handle, one]));
  machine.counterFloor = from.counterFloor;
  machine.resetCount = from.resetCount;
  machine.restartCount = from.restartCount;
  machine.totalResetCount = from.totalResetCount;
  machine.lockoutFailures = from.lockoutFailures;
  machine.maxTries = from.maxTries;
  machine.recoveryTime = from.recoveryTime;
  machine.lockoutRecovery = from.lockoutRecovery;
  machine.lockoutAuthEnabled = from.lockoutAuthEnabled;
  machine.shutdown = from.shutdown;
  machine.ticks.ahead = BigInt(from.clockAhead);
  machine.daUsed = from.daUsed;
  machine.ppCommands = new Set(from.ppCommands);
  machine.allocation = from.allocation ?? fullAllocation;
  machine.pcrAuthority.policy = from.pcrPolicy;
  machine.pcrAuthority.policyAlg = from.pcrPolicyAlg;
  machine.audit = from.audit === undefined ? freshAudit() : { ...from.audit };
  machine.dirty = false;
}
