import { TPM_HT, TPM_RH } from '../../src/tpm/structures.ts';
import type { HierarchyName } from './hierarchy.ts';
import type { Machine } from './machine.ts';
import type { NvIndex } from './nv.ts';
import { nvName } from './nv.ts';
import type { LoadedObject } from './object.ts';
import { handleName, sequenceObject } from './object.ts';
import { hasAuthority, pcrCount } from './pcr.ts';
import { handleRefused, RC, Refusal } from './refusal.ts';
import type { Sequence } from './sequence.ts';
import type { Session } from './session.ts';

const none = new Uint8Array();

/** Whatever a handle stands for, as authorization sees it. */
export interface Entity {
  readonly handle: number;
  readonly kind: 'pcr' | 'nv' | 'session' | 'permanent' | 'object';
  /** Part 1 §16: goes into cpHash. */
  readonly name: Uint8Array;
  readonly auth: Uint8Array;
  readonly policy: Uint8Array;
  /** Hash algorithm of the policy; `null` for none. */
  readonly policyAlg: string;
  /** Wrong auth values count against the lockout. */
  readonly guarded: boolean;
  readonly object?: LoadedObject;
  readonly nv?: NvIndex;
}

/** Permanent handles with an auth value. */
const permanent: ReadonlyMap<number, HierarchyName> = new Map([
  [TPM_RH.owner, 'owner'],
  [TPM_RH.endorsement, 'endorsement'],
  [TPM_RH.platform, 'platform'],
  [TPM_RH.lockout, 'lockout'],
  [TPM_RH.null, 'null'],
]);

/** The name of a permanent handle with an auth value, or `undefined`. */
export function permanentName(handle: number): HierarchyName | undefined {
  return permanent.get(handle);
}

/** First persistent handle of the platform; the owner's are below (Part 2 §7.5). */
export const platformPersistent = 0x81800000;

/** Whether TPM2_HierarchyControl has left the hierarchy on; some cannot be switched off. */
export function isEnabled(chip: Machine, name: HierarchyName): boolean {
  return name === 'lockout' || name === 'null' || chip.enabled[name];
}

/** What handle number `index` (from 1) stands for. @throws Refusal when nothing is there (Part 3 §5.4). */
export function entityOf(chip: Machine, handle: number, index: number): Entity {
  switch (handle >>> 24) {
    case TPM_HT.pcr:
      if (handle >= pcrCount) throw handleRefused(RC.VALUE, index);
      return { ...open(handle, 'pcr'), ...(hasAuthority(handle) ? chip.pcrAuthority : {}) };
    case TPM_HT.nvIndex: {
      const nv = chip.nv.get(handle);
      if (nv === undefined) throw handleRefused(RC.HANDLE, index);
      const { platformcreate } = nv.publicArea.attributes;
      if (!chip.enabled[platformcreate ? 'platformNv' : 'owner']) throw handleRefused(RC.HANDLE, index);
      return {
        handle,
        kind: 'nv',
        name: nvName(nv),
        auth: nv.auth,
        policy: nv.publicArea.authPolicy,
        policyAlg: nv.publicArea.nameAlg,
        guarded: nv.publicArea.attributes.noDa !== true,
        nv,
      };
    }
    case TPM_HT.hmacSession:
    case TPM_HT.policySession:
      if (!chip.sessions.has(handle)) throw noSession(chip, handle, index);
      return open(handle, 'session');
    case TPM_HT.permanent: {
      const name = permanent.get(handle);
      if (name === undefined) throw handleRefused(RC.VALUE, index);
      if (!isEnabled(chip, name)) throw handleRefused(RC.HIERARCHY, index);
      const { auth, policy, policyAlg } = chip.hierarchies[name];
      const guarded = name === 'lockout';
      return { handle, kind: 'permanent', name: handleName(handle), auth, policy, policyAlg, guarded };
    }
    case TPM_HT.transient:
    case TPM_HT.persistent: {
      const owned = handle >>> 24 === TPM_HT.persistent;
      if (owned && !chip.enabled[handle < platformPersistent ? 'owner' : 'platform'])
        throw handleRefused(RC.HANDLE, index);
      const object = (handle >>> 24 === TPM_HT.transient ? chip.objects : chip.persistent).get(handle);
      const sequence = chip.sequences.get(handle);
      // A sequence has no Name (Part 1 §16), and no policy; it stays out of the lockout.
      if (sequence !== undefined)
        return { ...open(handle, 'object'), name: none, auth: sequence.auth, object: sequenceObject };
      if (object === undefined)
        throw handle >>> 24 === TPM_HT.transient
          ? new Refusal(RC.REFERENCE_H0 + index - 1)
          : handleRefused(RC.HANDLE, index);
      return {
        handle,
        kind: 'object',
        name: object.name,
        auth: object.sensitive?.authValue ?? none,
        policy: object.publicArea.authPolicy,
        policyAlg: object.publicArea.nameAlg,
        guarded: object.publicArea.objectAttributes.noDA !== true,
        object,
      };
    }
    default:
      throw handleRefused(RC.VALUE, index);
  }
}

/** The object under handle number `index`. @throws Refusal VALUE when the handle is of another kind. */
export function objectOf(chip: Machine, handle: number, index: number): LoadedObject {
  const { object } = entityOf(chip, handle, index);
  if (object === undefined) throw handleRefused(RC.VALUE, index);
  return object;
}

/** The sequence of a handle; `undefined` when the handle is of another kind. */
export function sequenceOf(chip: Machine, handle: number): Sequence | undefined {
  return chip.sequences.get(handle);
}

/** The NV index under handle number `index`. @throws Refusal VALUE when the handle is of another kind. */
export function nvOf(chip: Machine, handle: number, index: number): NvIndex {
  const { nv } = entityOf(chip, handle, index);
  if (nv === undefined) throw handleRefused(RC.VALUE, index);
  return nv;
}

/** The policy (or trial) session under handle number `index`. @throws Refusal VALUE for any other handle. */
export function policySessionOf(chip: Machine, handle: number, index: number): Session {
  entityOf(chip, handle, index);
  const session = chip.sessions.get(handle);
  if (session === undefined || session.type === 'hmac') throw handleRefused(RC.VALUE, index);
  return session;
}

/** Sessions of both kinds are numbered together: when the number is that of a session, only the kind is wrong. */
function noSession(chip: Machine, handle: number, index: number): Refusal {
  for (const loaded of chip.sessions.keys())
    if (((loaded ^ handle) & 0xffffff) === 0) return handleRefused(RC.HANDLE, index);
  return new Refusal(RC.REFERENCE_H0 + index - 1);
}

function open(handle: number, kind: Entity['kind']): Entity {
  return {
    handle,
    kind,
    name: handleName(handle),
    auth: none,
    policy: none,
    policyAlg: 'null',
    guarded: false,
  };
}
