import { equal } from '../../core/bytes.ts';
import type { Command, HandleArgument } from '../command.ts';
import { TpmMalformed, TpmUntrusted } from '../errors.ts';
import { nameOf, nvNameOf } from '../names.ts';
import type { TPMT_PUBLIC } from '../structures/keys.ts';
import type { TPMS_NV_PUBLIC } from '../structures/nv.ts';
import type { Tpm } from './tpm.ts';

type Values = Readonly<Record<string, unknown>>;

/**
 * Computes the Name of whatever an answer describes, compares it with the TPM's own, and remembers ours by handle.
 *
 * @throws {TpmUntrusted} `name`: the TPM gives a Name that its public area does not have.
 */
export function learnNames(tpm: Tpm, command: Command, request: Values, response: Values): void {
  switch (command.name) {
    case 'TPM2_CreatePrimary':
    case 'TPM2_CreateLoaded':
      learn(tpm, response['objectHandle'], response['outPublic'], response['name']);
      return;
    case 'TPM2_Load':
    case 'TPM2_LoadExternal':
      learn(tpm, response['objectHandle'], request['inPublic'], response['name']);
      return;
    case 'TPM2_ReadPublic':
      learn(tpm, handleOf(request['objectHandle']), response['outPublic'], response['name']);
      return;
    case 'TPM2_NV_ReadPublic': {
      const area = response['nvPublic'] as TPMS_NV_PUBLIC;
      const index = handleOf(request['nvIndex']);
      const name = nvNameOf(area);
      if (area.nvIndex !== index) throw new TpmUntrusted('nv-index', 'the TPM describes another NV index');
      if (!equal(name, response['nvName'] as Uint8Array)) throw wrongName();
      tpm.names.set(index, name);
      return;
    }
    case 'TPM2_FlushContext':
      tpm.names.delete(request['flushHandle'] as number);
      return;
    case 'TPM2_ContextLoad': // which object it is, only the TPM knows
      tpm.names.delete(response['loadedHandle'] as number);
      return;
    case 'TPM2_NV_DefineSpace':
      tpm.names.delete((request['publicInfo'] as TPMS_NV_PUBLIC).nvIndex);
      return;
    case 'TPM2_EvictControl': // either way another object, or none, is behind this handle now
      tpm.names.delete(request['persistentHandle'] as number);
      return;
  }
  // written or locked is an attribute: the index has another Name afterwards, if there is one at all
  if (/^TPM2_NV_(Write|Increment|Extend|SetBits|ReadLock|Undefine)/.test(command.name))
    tpm.names.delete(handleOf(request['nvIndex']));
  if (/^TPM2_(Clear|Change.PS|HierarchyControl|NV_GlobalWriteLock)$/.test(command.name)) tpm.names.clear();
}

function learn(tpm: Tpm, handle: unknown, area: unknown, told: unknown): void {
  if (typeof handle !== 'number') throw new TpmMalformed('the answer lacks a handle');
  const name = nameOf(area as TPMT_PUBLIC);
  if (!equal(name, told as Uint8Array)) throw wrongName();
  tpm.names.set(handle, name);
}

function handleOf(value: unknown): number {
  const argument = value as HandleArgument;
  return typeof argument === 'number' ? argument : argument.handle;
}

function wrongName(): TpmUntrusted {
  return new TpmUntrusted('name', 'the TPM gives a Name that its public area does not have');
}
