import { concat, equal, u64 } from '../../src/core/bytes.ts';
import { decode, encode, Reader, Writer } from '../../src/tpm/codec.ts';
import type { TPMS_CONTEXT as Context } from '../../src/tpm/structures.ts';
import { TPM_HR, TPM_HT, TPM_RH, TPM2B_SENSITIVE, TPMT_PUBLIC } from '../../src/tpm/structures.ts';
import { aesCfbDecrypt, aesCfbEncrypt } from './crypto/cipher.ts';
import { hmac } from './crypto/hash.ts';
import { kdfA } from './crypto/kdf.ts';
import { isEnabled } from './entity.ts';
import type { KeyHierarchy } from './hierarchy.ts';
import { mostSessions } from './limits.ts';
import type { Machine } from './machine.ts';
import type { LoadedObject } from './object.ts';
import { hierarchyHandle, hierarchyOf, nameOf } from './object.ts';
import { decodePlain, encodePlain } from './plain.ts';
import { parameterRefused, RC, Refusal } from './refusal.ts';
import type { Sequence } from './sequence.ts';
import { readSequence, writeSequence } from './sequence.ts';
import type { Session } from './session.ts';
import {
  needSessionSlot,
  takeObjectContext,
  takeObjectSlot,
  takeSequenceSlot,
  takeSessionContext,
} from './slots.ts';

/** savedHandle of a sequence (TPMI_DH_SAVED). */
const sequenceHandle = TPM_HR.transient + 1;
/** savedHandle of an object that must not outlive a restart (stClear). */
const stClearHandle = TPM_HR.transient + 2;
const macSize = 32;

/** TPM2_ContextSave of an object (Part 1 §30): a copy, sealed under its hierarchy's proof. The object stays. */
export function saveObjectContext(chip: Machine, object: LoadedObject): Context {
  const out = new Writer();
  out.u8(object.external ? 1 : 0);
  sizedInto(out, encode(TPMT_PUBLIC, object.publicArea));
  sizedInto(out, encode(TPM2B_SENSITIVE, object.sensitive));
  sizedInto(out, object.qualifiedName);
  const frame = {
    sequence: takeObjectContext(chip),
    savedHandle: object.stClear ? stClearHandle : TPM_HR.transient,
    hierarchy: hierarchyHandle[object.hierarchy],
  };
  return { ...frame, contextBlob: seal(chip, frame, object.hierarchy, out.finish()) };
}

/** TPM2_ContextSave of a sequence: a copy of it as it is now. The sequence stays. */
export function saveSequenceContext(chip: Machine, sequence: Sequence): Context {
  const out = new Writer();
  writeSequence(out, sequence);
  const frame = {
    sequence: takeObjectContext(chip),
    savedHandle: sequenceHandle,
    hierarchy: TPM_RH.null,
  };
  return { ...frame, contextBlob: seal(chip, frame, 'null', out.finish()) };
}

/** TPM2_ContextSave of a session: it leaves the TPM, which keeps its number; only this context can bring it back, once. */
export function saveSessionContext(chip: Machine, session: Session): Context {
  const frame = {
    sequence: takeSessionContext(chip),
    savedHandle: session.handle,
    hierarchy: TPM_RH.null,
  };
  chip.sessions.delete(session.handle);
  chip.saved.set(session.handle, frame.sequence);
  return { ...frame, contextBlob: seal(chip, frame, 'null', encodePlain(session)) };
}

/** TPM2_ContextLoad; the handle of what came back. */
export function loadContext(chip: Machine, context: Context): number {
  const hierarchy = hierarchyOf(context.hierarchy);
  if (hierarchy === undefined || !isSavedHandle(context.savedHandle)) throw parameterRefused(RC.VALUE, 1);
  if (!isEnabled(chip, hierarchy)) throw parameterRefused(RC.HIERARCHY, 1);
  const content = unseal(chip, context, hierarchy);
  if (content === undefined) throw parameterRefused(RC.INTEGRITY, 1);
  if (context.savedHandle >>> 24 !== TPM_HT.transient) return loadSession(chip, context, content);
  const from = new Reader(content);
  if (context.savedHandle === sequenceHandle) return takeSequenceSlot(chip, readSequence(from));
  const external = from.u8() === 1;
  const publicArea = decode(TPMT_PUBLIC, from.bytes(from.u16()));
  const sensitive = decode(TPM2B_SENSITIVE, from.bytes(from.u16()));
  const qualifiedName = from.bytes(from.u16());
  return takeObjectSlot(chip, {
    publicArea,
    sensitive,
    name: nameOf(publicArea),
    qualifiedName,
    hierarchy,
    external,
    stClear: context.savedHandle === stClearHandle,
  });
}

function loadSession(chip: Machine, { savedHandle, sequence }: Context, content: Uint8Array): number {
  if (chip.saved.get(savedHandle) !== sequence) throw parameterRefused(RC.HANDLE, 1);
  needSessionSlot(chip, sequence);
  chip.saved.delete(savedHandle);
  chip.sessions.set(savedHandle, decodePlain(content) as Session);
  return savedHandle;
}

/** TPMI_DH_SAVED, Part 2 §14.5.3. */
function isSavedHandle(handle: number): boolean {
  const type = handle >>> 24;
  if (type === TPM_HT.hmacSession || type === TPM_HT.policySession) return (handle & 0xffffff) < mostSessions;
  return handle === TPM_HR.transient || handle === sequenceHandle || handle === stClearHandle;
}

type Frame = Omit<Context, 'contextBlob'>;

function seal(chip: Machine, frame: Frame, hierarchy: KeyHierarchy, content: Uint8Array): Uint8Array {
  const { key, iv } = contextKeys(chip, frame, hierarchy);
  const encrypted = aesCfbEncrypt(key, content, iv);
  return concat(contextMac(chip, frame, hierarchy, encrypted), encrypted);
}

function unseal(chip: Machine, context: Context, hierarchy: KeyHierarchy): Uint8Array | undefined {
  const blob = context.contextBlob;
  if (blob.length < 2) throw new Refusal(RC.INSUFFICIENT);
  if (blob.length <= macSize) throw parameterRefused(RC.SIZE, 1);
  const encrypted = blob.subarray(macSize);
  if (!equal(blob.subarray(0, macSize), contextMac(chip, context, hierarchy, encrypted))) return undefined;
  const { key, iv } = contextKeys(chip, context, hierarchy);
  return aesCfbDecrypt(key, encrypted, iv);
}

function contextKeys(chip: Machine, frame: Frame, hierarchy: KeyHierarchy) {
  const { proof } = chip.hierarchies[hierarchy];
  const both = kdfA('sha256', proof, 'CONTEXT', u64(frame.sequence), binding(chip, frame), 256 + 128);
  return { key: both.slice(0, 32), iv: both.slice(32) };
}

function contextMac(chip: Machine, frame: Frame, hierarchy: KeyHierarchy, encrypted: Uint8Array): Uint8Array {
  const { proof } = chip.hierarchies[hierarchy];
  const key = kdfA('sha256', proof, 'CONTEXT MAC', u64(frame.sequence), binding(chip, frame), 256);
  return hmac('sha256', key, encrypted);
}

/** A TPM reset ends every context; a restart those of stClear objects (Part 1 §30.3). */
function binding(chip: Machine, frame: Frame): Uint8Array {
  const out = new Writer();
  out.u32(frame.savedHandle);
  out.u32(frame.hierarchy);
  out.u32(chip.totalResetCount);
  out.u32(frame.savedHandle === stClearHandle ? chip.clearCount : 0);
  return out.finish();
}

function sizedInto(out: Writer, bytes: Uint8Array): void {
  out.u16(bytes.length);
  out.bytes(bytes);
}
