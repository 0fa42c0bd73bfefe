import { TPM_HR } from '../../src/tpm/structures.ts';
import type { Machine } from './machine.ts';
import { mostSessions } from './machine.ts';
import type { LoadedObject } from './object.ts';
import { RC, Refusal } from './refusal.ts';
import type { Sequence } from './sequence.ts';
import type { Session } from './session.ts';

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
  needSessionSlot(chip);
  const taken = new Set([...chip.sessions.keys(), ...chip.saved.keys()].map((handle) => handle & 0xffffff));
  if (taken.size >= mostSessions) throw new Refusal(RC.SESSION_HANDLES);
  let index = 0;
  while (taken.has(index)) index++;
  return (type === 'hmac' ? TPM_HR.loadedSession : TPM_HR.savedSession) + index;
}

/** @throws Refusal SESSION_MEMORY when every slot of loaded sessions is taken. */
export function needSessionSlot(chip: Machine): void {
  if (chip.sessions.size >= chip.slots) throw new Refusal(RC.SESSION_MEMORY);
}

function freeObjectHandle(chip: Machine): number {
  needObjectSlot(chip);
  let handle: number = TPM_HR.transient;
  while (chip.objects.has(handle) || chip.sequences.has(handle)) handle++;
  return handle;
}
