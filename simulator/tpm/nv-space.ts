import type { Machine } from './machine.ts';
import type { NvIndex } from './nv.ts';

/** Bytes for indices and persistent objects, what is told of an object's room included. */
const memory = 171_132;
/** Bytes of RAM for orderly indices. */
const orderlyMemory = 512;

const indexHeader = 152;
const orderlyHeader = 12;
const counterSize = 8;
const objectSize = 2600;

/** There is always room for so many persistent objects (TPM_PT_HR_PERSISTENT_MIN), whatever indices are defined. */
export const leastPersistent = 7;
/** And for so many counters, whatever else there is. */
const leastCounters = 8;

/** Whether the index fits (TPM_RC_NV_SPACE). */
export function hasRoomForIndex(chip: Machine, { publicArea }: NvIndex): boolean {
  const { attributes, dataSize } = publicArea;
  const inRam = attributes.orderly === true;
  if (inRam && orderlyFree(chip) < orderlyHeader + dataSize) return false;
  const size = indexHeader + (inRam ? 0 : dataSize);
  return free(chip) - reserved(chip, attributes.nt !== 'counter', true) >= size;
}

/** Whether one more object can be made persistent. */
export function hasRoomForObject(chip: Machine): boolean {
  return free(chip) - reserved(chip, true, false) >= objectSize;
}

/** TPM_PT_HR_PERSISTENT_AVAIL: how many more persistent objects there may be. */
export function persistentAvailable(chip: Machine): number {
  return Math.max(0, Math.floor((free(chip) - reserved(chip, true, false)) / objectSize));
}

/** TPM_PT_NV_COUNTERS_AVAIL: how many more counters there may be, orderly or not. */
export function countersAvailable(chip: Machine): number {
  const stored = (free(chip) - reserved(chip, false, true)) / (indexHeader + counterSize);
  return Math.max(0, Math.floor(Math.min(stored, orderlyFree(chip) / (orderlyHeader + counterSize))));
}

/** TPM_PT_NV_COUNTERS: counters that are defined. */
export function countersDefined(chip: Machine): number {
  return [...chip.nv.values()].filter(({ publicArea }) => publicArea.attributes.nt === 'counter').length;
}

function free(chip: Machine): number {
  let used = chip.persistent.size * objectSize;
  for (const { publicArea, kept } of chip.nv.values())
    used += indexHeader + (kept === undefined ? publicArea.dataSize : 0);
  return memory - used;
}

/** What is kept free for counters and objects that there must still be room for. */
function reserved(chip: Machine, forCounters: boolean, forObjects: boolean): number {
  const counters = forCounters ? Math.max(0, leastCounters - countersDefined(chip)) : 0;
  const objects = forObjects ? Math.max(0, leastPersistent - chip.persistent.size) : 0;
  return counters * (indexHeader + counterSize) + objects * objectSize;
}

function orderlyFree(chip: Machine): number {
  let used = 0;
  for (const { publicArea, kept } of chip.nv.values())
    if (kept !== undefined) used += orderlyHeader + publicArea.dataSize;
  return orderlyMemory - used;
}
