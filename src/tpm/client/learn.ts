import { equal } from '../../core/bytes.ts';
import type { Command, HandleArgument } from '../command.ts';
import { handleOf } from '../command.ts';
import { TpmMalformed, TpmUntrusted } from '../errors.ts';
import { nameOf, nvNameOf } from '../names.ts';
import type { TPMT_PUBLIC } from '../structures/keys.ts';
import type { TPMS_NV_PUBLIC } from '../structures/nv.ts';
import type { Tpm } from './tpm.ts';

type Values = Readonly<Record<string, unknown>>;

type Lesson = (tpm: Tpm, request: Values, response: Values) => void;

/** Written or locked is an attribute: the index has another Name afterwards, if there is one at all. */
const otherIndex: Lesson = (tpm, request) => forget(tpm, handleOf(request['nvIndex'] as HandleArgument));
/** Keys and indices may be gone, or others be in their places. */
const otherAll: Lesson = (tpm) => tpm.names.clear();

/** What a command teaches about Names, or makes of what was known; one that is not here does neither. */
const lessons: ReadonlyMap<string, Lesson> = /* @__PURE__ */ new Map<string, Lesson>([
  ['TPM2_CreatePrimary', created],
  ['TPM2_CreateLoaded', created],
  ['TPM2_Load', loaded],
  ['TPM2_LoadExternal', loaded],
  [
    'TPM2_ReadPublic',
    (tpm, request, { outPublic, name }) =>
      learn(tpm, handleOf(request['objectHandle'] as HandleArgument), outPublic, name),
  ],
  ['TPM2_NV_ReadPublic', describedIndex],
  ['TPM2_FlushContext', (tpm, { flushHandle }) => forget(tpm, flushHandle)],
  // which object it is, only the TPM knows
  ['TPM2_ContextLoad', (tpm, _, { loadedHandle }) => forget(tpm, loadedHandle)],
  ['TPM2_NV_DefineSpace', (tpm, { publicInfo }) => forget(tpm, (publicInfo as TPMS_NV_PUBLIC).nvIndex)],
  // either way another object, or none, is behind this handle now
  ['TPM2_EvictControl', (tpm, { persistentHandle }) => forget(tpm, persistentHandle)],
  ['TPM2_NV_Write', otherIndex],
  ['TPM2_NV_WriteLock', otherIndex],
  ['TPM2_NV_Increment', otherIndex],
  ['TPM2_NV_Extend', otherIndex],
  ['TPM2_NV_SetBits', otherIndex],
  ['TPM2_NV_ReadLock', otherIndex],
  ['TPM2_NV_UndefineSpace', otherIndex],
  ['TPM2_NV_UndefineSpaceSpecial', otherIndex],
  ['TPM2_Clear', otherAll],
  ['TPM2_ChangeEPS', otherAll],
  ['TPM2_ChangePPS', otherAll],
  ['TPM2_HierarchyControl', otherAll],
  ['TPM2_NV_GlobalWriteLock', otherAll],
]);

/**
 * Computes the Name of whatever an answer describes, compares it with the TPM's own, and remembers ours by handle.
 *
 * @throws {TpmUntrusted} `name`: the TPM gives a Name that its public area does not have.
 */
export function learnNames(tpm: Tpm, command: Command, request: Values, response: Values): void {
  lessons.get(command.name)?.(tpm, request, response);
}

function created(tpm: Tpm, _: Values, { objectHandle, outPublic, name }: Values): void {
  learn(tpm, objectHandle, outPublic, name);
}

function loaded(tpm: Tpm, { inPublic }: Values, { objectHandle, name }: Values): void {
  learn(tpm, objectHandle, inPublic, name);
}

function describedIndex(tpm: Tpm, { nvIndex }: Values, { nvPublic, nvName }: Values): void {
  const area = nvPublic as TPMS_NV_PUBLIC;
  const index = handleOf(nvIndex as HandleArgument);
  const name = nvNameOf(area);
  if (area.nvIndex !== index) throw new TpmUntrusted('nv-index', 'the TPM describes another NV index');
  if (!equal(name, nvName as Uint8Array)) throw wrongName();
  tpm.names.set(index, name);
}

function forget(tpm: Tpm, handle: unknown): void {
  tpm.names.delete(handle as number);
}

function learn(tpm: Tpm, handle: unknown, area: unknown, told: unknown): void {
  if (typeof handle !== 'number') throw new TpmMalformed('the answer lacks a handle');
  const name = nameOf(area as TPMT_PUBLIC);
  if (!equal(name, told as Uint8Array)) throw wrongName();
  tpm.names.set(handle, name);
}

function wrongName(): TpmUntrusted {
  return new TpmUntrusted('name', 'the TPM gives a Name that its public area does not have');
}
