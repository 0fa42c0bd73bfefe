import { freshCommitments } from './commitment.ts';
import { keptContexts, startContexts } from './context-state.ts';
import { placeHcrtm } from './drtm.ts';
import { allEnabled, clearPolicy } from './hierarchy.ts';
import { startLockout } from './lockout.ts';
import type { Machine } from './machine.ts';
import { keepNv, startNv } from './nv.ts';
import { freshBanks, pcrCount, resumedBanks, savedBanks } from './pcr.ts';
import { parameterRefused, RC, Refusal } from './refusal.ts';

type Shutdown = NonNullable<Machine['shutdown']>;

/** TPM2_Startup (Part 3 §9.3). A TPM reset, restart or resume, by what TPM2_Shutdown left. */
export function startUp(chip: Machine, type: 'clear' | 'state'): void {
  // The PC Client profile knows no other localities to start from.
  if (chip.locality !== 0 && chip.locality !== 3) throw new Refusal(RC.LOCALITY);
  const left = chip.shutdown;
  const saved = left?.type === 'state' ? left : undefined;
  const resumed = type === 'state' ? saved : undefined;
  const fromThree = chip.hcrtm === undefined && chip.locality === 3;
  if (type === 'state') {
    if (saved === undefined) throw parameterRefused(RC.VALUE, 1);
    // What measured first must be what measured before (Part 3 §9.3.1).
    if (saved.afterHcrtm !== (chip.hcrtm !== undefined)) throw parameterRefused(RC.VALUE, 1);
    if (saved.fromThree !== fromThree) throw new Refusal(RC.LOCALITY);
  }
  chip.afterOrderly = left !== null;
  if (left?.clockSafe !== true) chip.ticks.distrust();
  startLockout(chip, left !== null);
  countStart(chip, saved);
  startContexts(chip, saved?.contexts, type);
  chip.enabled = { ...(resumed?.enabled ?? allEnabled), platform: true };
  startPcrs(chip, resumed?.pcrs, fromThree);
  if (resumed === undefined) {
    chip.hierarchies.platform.auth = new Uint8Array();
    clearPolicy(chip.hierarchies.platform);
    chip.pcrAuthority.auth = new Uint8Array();
    for (const index of chip.nv.values()) startNv(index, saved === undefined, left !== null);
  } else chip.pcrAuthority.auth = resumed.pcrAuth;
  chip.fromThree = fromThree;
  chip.shutdown = null;
  chip.started = true;
  chip.dirty = true;
}

/** TPM2_Shutdown (Part 3 §9.4). What changes the state it keeps makes it void. */
export function shutDown(chip: Machine, type: 'clear' | 'state'): void {
  // The banks of the next start will not be those whose values would be kept.
  if (chip.reallocated && type === 'state') throw parameterRefused(RC.TYPE, 1);
  for (const index of chip.nv.values()) keepNv(index);
  // Whoever looks at a guarded value after this makes it void.
  chip.daUsed = false;
  chip.shutdown = {
    type,
    pcrs: type === 'state' ? savedBanks(chip.banks) : [],
    pcrUpdateCounter: chip.pcrUpdateCounter,
    pcrAuth: chip.pcrAuthority.auth,
    enabled: { ...chip.enabled },
    afterHcrtm: chip.hcrtm !== undefined,
    fromThree: chip.fromThree,
    clockSafe: chip.ticks.safe,
    contexts: type === 'state' ? keptContexts(chip) : undefined,
  };
  chip.dirty = true;
}

/** resetCount, restartCount, and what begins anew with a TPM reset. */
function countStart(chip: Machine, saved: Shutdown | undefined): void {
  if (saved !== undefined) {
    chip.restartCount++;
    chip.pcrUpdateCounter = saved.pcrUpdateCounter;
    return;
  }
  chip.resetCount++;
  chip.totalResetCount++;
  chip.restartCount = 0;
  chip.pcrUpdateCounter = 0;
  chip.audit.digest = new Uint8Array();
  chip.commitments = freshCommitments(chip.random);
}

/** Every PCR that does not come back counts as changed. */
function startPcrs(
  chip: Machine,
  saved: readonly (readonly Uint8Array[])[] | undefined,
  fromThree: boolean,
): void {
  chip.reallocated = false;
  chip.banks =
    saved === undefined
      ? freshBanks(chip.allocation, fromThree ? 3 : 0)
      : resumedBanks(chip.allocation, saved);
  if (saved === undefined && chip.hcrtm !== undefined) placeHcrtm(chip.banks, chip.hcrtm);
  for (let pcr = 0; pcr < pcrCount; pcr++) if (saved === undefined || pcr >= 16) chip.pcrChanged(pcr);
}
