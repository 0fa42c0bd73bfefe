import { u32At, utf8 } from '../../src/core/bytes.ts';
import { TPM_ALG_ID, TPM_PT } from '../../src/tpm/structures.ts';
import { firmwareVersion } from './attest.ts';
import { clockUpdate } from './clock.ts';
import { curves } from './crypto/ecc.ts';
import { manufacturer } from './info.ts';
import { inputBufferMax, mostSessions } from './limits.ts';
import { isLockedOut } from './lockout.ts';
import type { Machine } from './machine.ts';
import { nvBufferMax, nvIndexMax, orderlyCount } from './nv.ts';
import { countersAvailable, countersDefined, leastPersistent, persistentAvailable } from './nv-space.ts';
import { pcrCount } from './pcr.ts';
import { contextGapMax } from './slots.ts';

/** Four characters as the number that carries them. */
function characters(text: string): number {
  return u32At(utf8(text), 0);
}

/** TPM_PT, fixed and variable (Part 2 §6.13), ascending. Manufacturer `FLTY`, vendor string `SW  `. */
export function tpmProperties(chip: Machine): { readonly property: number; readonly value: number }[] {
  const values: Readonly<Record<keyof typeof TPM_PT, number>> = {
    familyIndicator: characters('2.0\0'),
    level: 0,
    revision: 164,
    dayOfYear: 75,
    year: 2021,
    manufacturer: characters(manufacturer),
    vendorString1: characters('SW  '),
    vendorString2: 0,
    vendorString3: 0,
    vendorString4: 0,
    vendorTpmType: 1,
    firmwareVersion1: Number(firmwareVersion >> 32n),
    firmwareVersion2: Number(firmwareVersion & 0xffffffffn),
    inputBuffer: inputBufferMax,
    hrTransientMin: chip.slots,
    hrPersistentMin: leastPersistent,
    hrLoadedMin: chip.slots,
    activeSessionsMax: mostSessions,
    pcrCount,
    pcrSelectMin: 3,
    contextGapMax,
    nvCountersMax: 0,
    nvIndexMax,
    memory: 6,
    clockUpdate,
    contextHash: TPM_ALG_ID.values.sha256,
    contextSym: TPM_ALG_ID.values.aes,
    contextSymSize: 256,
    orderlyCount,
    maxCommandSize: 4096,
    maxResponseSize: 4096,
    maxDigest: 64,
    maxObjectContext: 2048,
    maxSessionContext: 1024,
    psFamilyIndicator: 1,
    psLevel: 0,
    psRevision: 0x104,
    psDayOfYear: 0,
    psYear: 0,
    splitMax: 128,
    totalCommands: chip.implemented.size,
    libraryCommands: chip.implemented.size,
    vendorCommands: 0,
    nvBufferMax,
    modes: 0,
    maxCapBuffer: 1024,
    permanent: permanentAttributes(chip, isLockedOut(chip)),
    startupClear: startupAttributes(chip),
    hrNvIndex: chip.nv.size,
    hrLoaded: chip.sessions.size,
    hrLoadedAvail: Math.max(0, chip.slots - chip.sessions.size),
    hrActive: chip.sessions.size + chip.saved.size,
    hrActiveAvail: mostSessions - chip.sessions.size - chip.saved.size,
    hrTransientAvail: Math.max(0, chip.slots - chip.objects.size - chip.sequences.size),
    hrPersistent: chip.persistent.size,
    hrPersistentAvail: persistentAvailable(chip),
    nvCounters: countersDefined(chip),
    nvCountersAvail: countersAvailable(chip),
    algorithmSet: 0,
    loadedCurves: Object.keys(curves).length,
    lockoutCounter: chip.lockoutFailures,
    maxAuthFail: chip.maxTries,
    lockoutInterval: chip.recoveryTime,
    lockoutRecovery: chip.lockoutRecovery,
    nvWriteRecovery: 0,
    auditCounter0: Math.floor(chip.audit.counter / 0x1_0000_0000),
    auditCounter1: chip.audit.counter % 0x1_0000_0000,
  };
  return Object.entries(values)
    .map(([name, value]) => ({ property: TPM_PT[name as keyof typeof TPM_PT], value }))
    .sort((a, b) => a.property - b.property);
}

/** What is told of the maker, also in failure mode (Part 3 §30.2.1). */
export function makersProperties(chip: Machine): ReturnType<typeof tpmProperties> {
  return tpmProperties(chip).filter(
    ({ property }) => property >= TPM_PT.manufacturer && property <= TPM_PT.firmwareVersion2,
  );
}

/** TPMA_PERMANENT, Part 2 §8.6. */
function permanentAttributes(chip: Machine, lockedOut: boolean): number {
  const { owner, endorsement, lockout } = chip.hierarchies;
  const seedsMadeHere = 1 << 10;
  return (
    (owner.auth.length > 0 ? 1 : 0) |
    (endorsement.auth.length > 0 ? 2 : 0) |
    (lockout.auth.length > 0 ? 4 : 0) |
    (chip.disableClear ? 1 << 8 : 0) |
    (lockedOut ? 1 << 9 : 0) |
    seedsMadeHere
  );
}

/** TPMA_STARTUP_CLEAR, Part 2 §8.7. */
function startupAttributes(chip: Machine): number {
  const { platform, owner, endorsement, platformNv } = chip.enabled;
  return (
    (platform ? 1 : 0) +
    (owner ? 2 : 0) +
    (endorsement ? 4 : 0) +
    (platformNv ? 8 : 0) +
    (chip.afterOrderly ? 0x8000_0000 : 0)
  );
}
