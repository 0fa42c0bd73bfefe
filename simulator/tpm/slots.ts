import { TPM_HR } from '../../src/tpm/structures.ts';
import { mostSessions } from './limits.ts';
import type { Machine } from './machine.ts';
import type { LoadedObject } from './object.ts';
import { RC, Refusal } from './refusal.ts';
import type { Sequence } from './sequence.ts';
import type { Session } from './session.ts';

/** TPM_PT_CONTEXT_GAP_MAX: the number of a saved session is remembered in 16 bits (Part 1 §30.5). */
export const contextGapMax = 0xffff;

const mostContexts = 0xffff_ffff_ffff_ffffn;

/** Gives an object a slot; its handle. @throws Refusal OBJECT_MEMORY when all are taken: flush one. */
export function takeObjectSlot(chip: Machine, object: LoadedObject): number {
  const handle = freeObjectHandle(chip);
  chip.objects.set(handle, object);
  return handle;
}

/** Gives a sequence the slot of an object; its handle. @throws Refusal OBJECT_MEMORY. */
export function takeSequenceSlot(chip: Machine, sequence: Sequence): number {
  const handle = freeObjectHandle(chip);
  chip.sequences.set(handle, sequence);
  return handle;
}

/** Whether a slot is free, to refuse before the work and not after. @throws Refusal OBJECT_MEMORY. */
export function needObjectSlot(chip: Machine): void {
  if (chip.objects.size + chip.sequences.size >= chip.slots) throw new Refusal(RC.OBJECT_MEMORY);
}

/** A handle for a new session. @throws Refusal SESSION_MEMORY (flush or save one) or SESSION_HANDLES (flush one). */
export function newSessionHandle(chip: Machine, type: Session['type']): number {
  needSessionSlot(chip, undefined);
  const taken = new Set([...chip.sessions.keys(), ...chip.saved.keys()].map((handle) => handle & 0xffffff));
  if (taken.size >= mostSessions) throw new Refusal(RC.SESSION_HANDLES);
  let index = 0;
  while (taken.has(index)) index++;
  return (type === 'hmac' ? TPM_HR.loadedSession : TPM_HR.savedSession) + index;
}

/**
 * Checks that a session can be started or loaded.
 *
 * @param loading number of the context that comes back; `undefined` for a new session.
 * @throws Refusal SESSION_MEMORY when every slot is taken. CONTEXT_GAP: the last slot waits for the oldest session, which
 * has to be loaded before any other can be saved.
 */
export function needSessionSlot(chip: Machine, loading: bigint | undefined): void {
  const free = chip.slots - chip.sessions.size;
  if (free <= 0) throw new Refusal(RC.SESSION_MEMORY);
  if (free === 1 && isGapFull(chip) && loading !== oldestSaved(chip)) throw new Refusal(RC.CONTEXT_GAP);
}

/** Ends a session, loaded or saved; false when there is none. What a saved one was, its handle need not say. */
export function flushSession(chip: Machine, handle: number): boolean {
  if (chip.sessions.delete(handle)) return true;
  for (const saved of chip.saved.keys())
    if ((saved & 0xffffff) === (handle & 0xffffff)) return chip.saved.delete(saved);
  return false;
}

/** The number of the next saved session. @throws Refusal CONTEXT_GAP, TOO_MANY_CONTEXTS. */
export function takeSessionContext(chip: Machine): bigint {
  if (chip.contextCounter >= mostContexts) throw new Refusal(RC.TOO_MANY_CONTEXTS);
  if (isGapFull(chip)) throw new Refusal(RC.CONTEXT_GAP);
  chip.contextCounter = nextNumber(chip);
  return chip.contextCounter;
}

/** The number of the next saved object. @throws Refusal TOO_MANY_CONTEXTS. */
export function takeObjectContext(chip: Machine): bigint {
  if (chip.objectContextCounter >= mostContexts) throw new Refusal(RC.TOO_MANY_CONTEXTS);
  chip.objectContextCounter += 1n;
  return chip.objectContextCounter;
}

function isGapFull(chip: Machine): boolean {
  const oldest = oldestSaved(chip);
  return oldest !== undefined && nextNumber(chip) - oldest > BigInt(contextGapMax);
}

function oldestSaved(chip: Machine): bigint | undefined {
  let oldest: bigint | undefined;
  for (const number of chip.saved.values()) if (oldest === undefined || number < oldest) oldest = number;
  return oldest;
}

/** In its 16 bits a number is never as low as that of a slot, by which loaded sessions are told from saved ones. */
function nextNumber(chip: Machine): bigint {
  const next = chip.contextCounter + 1n;
  const low = next & BigInt(contextGapMax);
  const lowest = BigInt(chip.slots) + 1n;
  return low < lowest ? next + lowest - low : next;
}

function freeObjectHandle(chip: Machine): number {
  needObjectSlot(chip);
  let handle: number = TPM_HR.transient;
  while (chip.objects.has(handle) || chip.sequences.has(handle)) handle++;
  return handle;
}
