import * as tpm2 from '../../src/tpm/commands.ts';
import type { TPMA_NV } from '../../src/tpm/index.ts';
import { srkTemplate } from '../../src/tpm/index.ts';
import { bytesOf } from '../tpm/raw.ts';

// Commands of the platform as bytes, each authorization an empty password unless one is given.

export const none = new Uint8Array();
export const zeros = (count: number) => new Uint8Array(count);
export const ones = (count: number) => new Uint8Array(count).fill(1);
export const text = (value: string) => new TextEncoder().encode(value);

export const OWNER = 0x40000001;
export const NULL = 0x40000007;
export const LOCKOUT = 0x4000000a;
export const ENDORSEMENT = 0x4000000b;
export const PLATFORM = 0x4000000c;
export const PLATFORM_NV = 0x4000000d;

export const init = { init: true } as const;
export const startup = (startupType: 'clear' | 'state') => bytesOf(tpm2.TPM2_Startup, { startupType });
export const shutdown = (shutdownType: 'clear' | 'state') => bytesOf(tpm2.TPM2_Shutdown, { shutdownType });
/** A reset after an orderly shutdown. */
export const reset = [shutdown('clear'), init, startup('clear')];
export const restart = [shutdown('state'), init, startup('clear')];
export const resume = [shutdown('state'), init, startup('state')];
export const cut = [init, startup('clear')];

export function ask(
  wanted:
    | 'algs'
    | 'handles'
    | 'commands'
    | 'ppCommands'
    | 'auditCommands'
    | 'pcrs'
    | 'tpmProperties'
    | 'pcrProperties'
    | 'eccCurves'
    | 'authPolicies'
    | 'act',
  property: number,
  propertyCount: number,
) {
  return bytesOf(tpm2.TPM2_GetCapability, { capability: wanted, property, propertyCount });
}

export const define = (
  nvIndex: number,
  attributes: TPMA_NV,
  dataSize: number,
  more: {
    readonly by?: number;
    readonly auth?: Uint8Array;
    readonly authPolicy?: Uint8Array;
    readonly nameAlg?: 'sha1' | 'sha256';
  } = {},
) =>
  bytesOf(tpm2.TPM2_NV_DefineSpace, {
    authHandle: more.by ?? OWNER,
    auth: more.auth ?? none,
    publicInfo: {
      nvIndex,
      nameAlg: more.nameAlg ?? 'sha256',
      attributes,
      authPolicy: more.authPolicy ?? none,
      dataSize,
    },
  });
export const undefine = (nvIndex: number, authHandle = OWNER) =>
  bytesOf(tpm2.TPM2_NV_UndefineSpace, { authHandle, nvIndex });
export const read = (nvIndex: number, size: number, offset = 0, authHandle = nvIndex, auth = none) =>
  bytesOf(tpm2.TPM2_NV_Read, { authHandle, nvIndex, size, offset }, [auth]);
export const write = (nvIndex: number, data: Uint8Array, offset = 0, authHandle = nvIndex, auth = none) =>
  bytesOf(tpm2.TPM2_NV_Write, { authHandle, nvIndex, data, offset }, [auth]);
export const on = (nvIndex: number, authHandle = nvIndex) => ({ authHandle, nvIndex });
export const publicOf = (nvIndex: number) => bytesOf(tpm2.TPM2_NV_ReadPublic, { nvIndex });
export const extend = (pcrHandle: number, auth = none) =>
  bytesOf(tpm2.TPM2_PCR_Extend, { pcrHandle, digests: [{ hashAlg: 'sha256', digest: ones(32) }] }, [auth]);
export const pcrReset = (pcrHandle: number) => bytesOf(tpm2.TPM2_PCR_Reset, { pcrHandle });
export const pcrs = (...pcrSelect: readonly number[]) =>
  bytesOf(tpm2.TPM2_PCR_Read, {
    pcrSelectionIn: (['sha1', 'sha256', 'sha384', 'sha512'] as const).map((hash) => ({ hash, pcrSelect })),
  });
export const allocate = (
  ...pcrAllocation: readonly (readonly ['sha1' | 'sha256' | 'sha384' | 'sha512', readonly number[]])[]
) =>
  bytesOf(tpm2.TPM2_PCR_Allocate, {
    authHandle: PLATFORM,
    pcrAllocation: pcrAllocation.map(([hash, pcrSelect]) => ({ hash, pcrSelect })),
  });
export const primary = (primaryHandle: number) =>
  bytesOf(tpm2.TPM2_CreatePrimary, {
    primaryHandle,
    inPublic: srkTemplate,
    inSensitive: { userAuth: none, data: none },
    outsideInfo: none,
    creationPCR: [],
  });
export const evict = (auth: number, objectHandle: number, persistentHandle: number) =>
  bytesOf(tpm2.TPM2_EvictControl, { auth, objectHandle, persistentHandle });
export const flush = (flushHandle = 0x80000000) => bytesOf(tpm2.TPM2_FlushContext, { flushHandle });
export const control = (authHandle: number, enable: number, state: 'yes' | 'no') =>
  bytesOf(tpm2.TPM2_HierarchyControl, { authHandle, enable, state });
export const policyOf = (authHandle: number, authPolicy: Uint8Array, hashAlg: 'sha256' | 'null') =>
  bytesOf(tpm2.TPM2_SetPrimaryPolicy, { authHandle, authPolicy, hashAlg });
export const publicKey = (objectHandle: number) => bytesOf(tpm2.TPM2_ReadPublic, { objectHandle });
export const clear = (authHandle = LOCKOUT) => bytesOf(tpm2.TPM2_Clear, { authHandle });
export const parameters = (
  newMaxTries: number,
  newRecoveryTime: number,
  lockoutRecovery: number,
  auth = none,
) =>
  bytesOf(
    tpm2.TPM2_DictionaryAttackParameters,
    { lockHandle: LOCKOUT, newMaxTries, newRecoveryTime, lockoutRecovery },
    [auth],
  );
export const lockReset = (auth = none) =>
  bytesOf(tpm2.TPM2_DictionaryAttackLockReset, { lockHandle: LOCKOUT }, [auth]);
export const variable = ask('tpmProperties', 0x200, 2);
export const lockout = ask('tpmProperties', 0x20e, 4);
export const everyPcr = Array.from({ length: 24 }, (_, pcr) => pcr);

export const byAll: TPMA_NV = {
  nt: 'ordinary',
  ownerread: true,
  ownerwrite: true,
  authread: true,
  authwrite: true,
};
export const byOwner: TPMA_NV = { nt: 'ordinary', ownerread: true, ownerwrite: true };
export const i = 0x01500010;
