import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createConnection } from 'node:net';
import { describe, expect, it } from 'vitest';
import { execute } from '../../simulator/tpm/dispatch.ts';
import { concat, equal, hex, u32 } from '../../src/core/bytes.ts';
import { nodePlatform } from '../../src/core/node.ts';
import * as tpm2 from '../../src/tpm/commands.ts';
import type { TPMA_NV } from '../../src/tpm/index.ts';
import { openTpm, openTransport, run, srkTemplate } from '../../src/tpm/index.ts';
import { TPM_CAP, TPM_PT } from '../../src/tpm/structures.ts';
import { Bench, bytesOf, codeOf } from '../simulator/tpm-bench.ts';
import { needs } from './present.ts';
import { startSwtpm } from './swtpm.ts';

const none = new Uint8Array();
const zeros = (count: number) => new Uint8Array(count);
const ones = (count: number) => new Uint8Array(count).fill(1);
const text = (value: string) => new TextEncoder().encode(value);

const OWNER = 0x40000001;
const NULL = 0x40000007;
const LOCKOUT = 0x4000000a;
const ENDORSEMENT = 0x4000000b;
const PLATFORM = 0x4000000c;
const PLATFORM_NV = 0x4000000d;

/** Something that is done to both TPMs. Bytes are a command. */
type Step =
  | Uint8Array
  | { readonly locality: number }
  | { readonly init: true }
  | { readonly hash: readonly Uint8Array[] };

const init = { init: true } as const;
const startup = (startupType: 'clear' | 'state') => bytesOf(tpm2.TPM2_Startup, { startupType });
const shutdown = (shutdownType: 'clear' | 'state') => bytesOf(tpm2.TPM2_Shutdown, { shutdownType });
/** A reset after an orderly shutdown. */
const reset = [shutdown('clear'), init, startup('clear')];
const restart = [shutdown('state'), init, startup('clear')];
const resume = [shutdown('state'), init, startup('state')];
const cut = [init, startup('clear')];

function ask(
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

const define = (
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
const undefine = (nvIndex: number, authHandle = OWNER) =>
  bytesOf(tpm2.TPM2_NV_UndefineSpace, { authHandle, nvIndex });
const read = (nvIndex: number, size: number, offset = 0, authHandle = nvIndex, auth = none) =>
  bytesOf(tpm2.TPM2_NV_Read, { authHandle, nvIndex, size, offset }, auth);
const write = (nvIndex: number, data: Uint8Array, offset = 0, authHandle = nvIndex, auth = none) =>
  bytesOf(tpm2.TPM2_NV_Write, { authHandle, nvIndex, data, offset }, auth);
const on = (nvIndex: number, authHandle = nvIndex) => ({ authHandle, nvIndex });
const publicOf = (nvIndex: number) => bytesOf(tpm2.TPM2_NV_ReadPublic, { nvIndex });
const extend = (pcrHandle: number, auth = none) =>
  bytesOf(tpm2.TPM2_PCR_Extend, { pcrHandle, digests: [{ hashAlg: 'sha256', digest: ones(32) }] }, auth);
const pcrReset = (pcrHandle: number) => bytesOf(tpm2.TPM2_PCR_Reset, { pcrHandle });
const pcrs = (...pcrSelect: readonly number[]) =>
  bytesOf(tpm2.TPM2_PCR_Read, {
    pcrSelectionIn: (['sha1', 'sha256', 'sha384', 'sha512'] as const).map((hash) => ({ hash, pcrSelect })),
  });
const allocate = (
  ...pcrAllocation: readonly (readonly ['sha1' | 'sha256' | 'sha384' | 'sha512', readonly number[]])[]
) =>
  bytesOf(tpm2.TPM2_PCR_Allocate, {
    authHandle: PLATFORM,
    pcrAllocation: pcrAllocation.map(([hash, pcrSelect]) => ({ hash, pcrSelect })),
  });
const primary = (primaryHandle: number) =>
  bytesOf(tpm2.TPM2_CreatePrimary, {
    primaryHandle,
    inPublic: srkTemplate,
    inSensitive: { userAuth: none, data: none },
    outsideInfo: none,
    creationPCR: [],
  });
const evict = (auth: number, objectHandle: number, persistentHandle: number) =>
  bytesOf(tpm2.TPM2_EvictControl, { auth, objectHandle, persistentHandle });
const flush = (flushHandle = 0x80000000) => bytesOf(tpm2.TPM2_FlushContext, { flushHandle });
const control = (authHandle: number, enable: number, state: 'yes' | 'no') =>
  bytesOf(tpm2.TPM2_HierarchyControl, { authHandle, enable, state });
const policyOf = (authHandle: number, authPolicy: Uint8Array, hashAlg: 'sha256' | 'null') =>
  bytesOf(tpm2.TPM2_SetPrimaryPolicy, { authHandle, authPolicy, hashAlg });
const publicKey = (objectHandle: number) => bytesOf(tpm2.TPM2_ReadPublic, { objectHandle });
const clear = (authHandle = LOCKOUT) => bytesOf(tpm2.TPM2_Clear, { authHandle });
const parameters = (newMaxTries: number, newRecoveryTime: number, lockoutRecovery: number, auth = none) =>
  bytesOf(
    tpm2.TPM2_DictionaryAttackParameters,
    { lockHandle: LOCKOUT, newMaxTries, newRecoveryTime, lockoutRecovery },
    auth,
  );
const lockReset = (auth = none) =>
  bytesOf(tpm2.TPM2_DictionaryAttackLockReset, { lockHandle: LOCKOUT }, auth);
const variable = ask('tpmProperties', 0x200, 2);
const lockout = ask('tpmProperties', 0x20e, 4);
const everyPcr = Array.from({ length: 24 }, (_, pcr) => pcr);

const byAll: TPMA_NV = { nt: 'ordinary', ownerread: true, ownerwrite: true, authread: true, authwrite: true };
const byOwner: TPMA_NV = { nt: 'ordinary', ownerread: true, ownerwrite: true };
const i = 0x01500010;

/** Indices that can be defined and that cannot, one after the other; each is removed again. */
const definitions: readonly (readonly [TPMA_NV, number])[] = [
  [byOwner, 0],
  [byOwner, 2048],
  [byOwner, 2049],
  [{ ...byOwner, writeall: true }, 1024],
  [{ ...byOwner, writeall: true }, 1025],
  ...(['counter', 'bits', 'extend', 'pinFail', 'pinPass'] as const).flatMap((nt) =>
    [7, 8, 9, 20, 32].map((size) => [{ ...byOwner, nt, noDa: true }, size] as const),
  ),
  ...(['counter', 'bits', 'pinFail', 'pinPass'] as const).flatMap((nt) =>
    (
      [
        'authwrite',
        'globallock',
        'writedefine',
        'clearStclear',
        'orderly',
        'written',
        'writelocked',
        'readlocked',
        'policyDelete',
        'platformcreate',
        'writeall',
        'readStclear',
      ] as const
    ).map((bit) => [{ ...byOwner, nt, noDa: true, [bit]: true }, 8] as const),
  ),
  [{ ...byOwner, nt: 'pinFail' }, 8],
  [{ nt: 'ordinary', ownerwrite: true }, 8],
  [{ nt: 'ordinary', ownerread: true }, 8],
  [{ ...byOwner, clearStclear: true, writedefine: true }, 8],
  [{ ...byOwner, orderly: true }, 500],
  [{ ...byOwner, orderly: true }, 501],
];

const scripts: Readonly<Record<string, readonly Step[]>> = {
  'indices as they are defined': [
    ...definitions.flatMap(([attributes, size]) => [define(i, attributes, size), undefine(i)]),
    define(i, { nt: 'ordinary', ppread: true, ppwrite: true }, 8, { by: PLATFORM }),
    define(i, { nt: 'ordinary', ppread: true, ppwrite: true, platformcreate: true }, 8, { by: PLATFORM }),
    undefine(i),
    undefine(i, PLATFORM),
    define(i, { ...byAll, policyDelete: true, platformcreate: true }, 8, { by: PLATFORM }),
    undefine(i, PLATFORM),
    bytesOf(tpm2.TPM2_NV_UndefineSpaceSpecial, { nvIndex: i, platform: PLATFORM }),
    define(i + 1, byOwner, 8, { authPolicy: ones(31) }),
    define(i + 1, byOwner, 8, { auth: ones(33) }),
    define(i + 1, byOwner, 8, { auth: ones(21), nameAlg: 'sha1' }),
    define(i + 1, byOwner, 8, { auth: ones(33), authPolicy: ones(31) }),
    define(i + 1, byOwner, 8, { auth: concat(ones(32), zeros(1)), authPolicy: ones(32) }),
    define(i + 1, byOwner, 8),
    define(0x02000000, byOwner, 8),
    undefine(i + 1),
    undefine(i + 1),
  ],
  'indices as they are used': [
    define(i, byAll, 8),
    read(i, 8),
    bytesOf(tpm2.TPM2_NV_Increment, on(i)),
    bytesOf(tpm2.TPM2_NV_Extend, { ...on(i), data: ones(1) }),
    bytesOf(tpm2.TPM2_NV_SetBits, { ...on(i), bits: 1n }),
    write(i, ones(3), 2),
    read(i, 8),
    write(i, none, 9),
    write(i, none, 8),
    write(i, ones(3), 6),
    read(i, 0, 9),
    read(i, 9),
    read(i, 1025),
    read(i, 8, 0, PLATFORM),
    write(i, ones(1), 0, PLATFORM),
    bytesOf(tpm2.TPM2_NV_ChangeAuth, { nvIndex: i, newAuth: ones(4) }),
    bytesOf(tpm2.TPM2_NV_WriteLock, on(i)),
    bytesOf(tpm2.TPM2_NV_ReadLock, on(i)),
    bytesOf(tpm2.TPM2_NV_GlobalWriteLock, { authHandle: i }),
    ...[
      [4, 2],
      [0, 0],
      [0, 8],
      [9, 0],
      [1025, 0],
    ].map(([size = 0, offset = 0]) =>
      bytesOf(tpm2.TPM2_NV_Certify, {
        signHandle: NULL,
        ...on(i),
        qualifyingData: none,
        inScheme: { scheme: 'null' },
        size,
        offset,
      }),
    ),
    define(i + 1, { ...byAll, nt: 'counter' }, 8),
    write(i + 1, ones(8)),
    bytesOf(tpm2.TPM2_NV_Increment, on(i + 1)),
    bytesOf(tpm2.TPM2_NV_Increment, on(i + 1, i)),
    read(i + 1, 8),
    define(i + 2, { ...byAll, nt: 'bits' }, 8),
    bytesOf(tpm2.TPM2_NV_SetBits, { ...on(i + 2), bits: 0x8001n }),
    bytesOf(tpm2.TPM2_NV_SetBits, { ...on(i + 2), bits: 2n << 40n }),
    write(i + 2, ones(8)),
    read(i + 2, 8),
    define(i + 3, { ...byAll, nt: 'extend' }, 32),
    bytesOf(tpm2.TPM2_NV_Extend, { ...on(i + 3), data: text('abc') }),
    bytesOf(tpm2.TPM2_NV_Extend, { ...on(i + 3), data: ones(1024) }),
    read(i + 3, 32),
    define(i + 4, { ...byAll, writeall: true }, 8),
    write(i + 4, ones(7)),
    write(i + 4, ones(8)),
    define(i + 5, byOwner, 8),
    read(i + 5, 8),
    write(i + 5, ones(8)),
    read(i + 5, 8, 0, OWNER),
    clear(),
    publicOf(i),
  ],
  'locks, and what starts do to them': [
    ...(
      [
        { writedefine: true },
        { writeStclear: true },
        { globallock: true },
        { readStclear: true },
        { clearStclear: true },
        { clearStclear: true, orderly: true },
        { orderly: true },
        { orderly: true, writedefine: true },
        { nt: 'counter', orderly: true },
      ] as const
    ).flatMap((attributes, at) => [
      define(i + at, { ...byAll, ...attributes }, 8),
      'nt' in attributes ? bytesOf(tpm2.TPM2_NV_Increment, on(i + at)) : write(i + at, ones(8)),
      bytesOf(tpm2.TPM2_NV_WriteLock, on(i + at)),
      bytesOf(tpm2.TPM2_NV_WriteLock, on(i + at)),
      bytesOf(tpm2.TPM2_NV_ReadLock, on(i + at)),
      bytesOf(tpm2.TPM2_NV_ReadLock, on(i + at)),
      write(i + at, ones(1)),
      write(i + at, ones(1), 0, PLATFORM),
      read(i + at, 8),
      publicOf(i + at),
    ]),
    bytesOf(tpm2.TPM2_NV_GlobalWriteLock, { authHandle: OWNER }),
    ...[resume, restart, reset, cut].flatMap((start) => [
      ...start,
      ...Array.from({ length: 9 }, (_, at) => [publicOf(i + at), read(i + at, 8)]).flat(),
    ]),
    clear(),
  ],
  'PIN indices': [
    define(i, { ...byOwner, nt: 'pinFail', noDa: true, authread: true }, 8, { auth: text('pin') }),
    read(i, 8, 0, i, text('pin')),
    write(i, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 2), 0, OWNER),
    read(i, 8, 0, i, text('pin')),
    read(i, 8, 0, i, text('no')),
    read(i, 8, 0, OWNER),
    read(i, 8, 0, i, text('pin')),
    read(i, 8, 0, OWNER),
    read(i, 8, 0, i, text('no')),
    read(i, 8, 0, i, text('no')),
    read(i, 8, 0, i, text('pin')),
    read(i, 8, 0, OWNER),
    define(i + 1, { ...byOwner, nt: 'pinPass' }, 8, { auth: text('pin') }),
    write(i + 1, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 2), 0, OWNER),
    read(i + 1, 8, 0, i + 1, text('pin')),
    read(i + 1, 8, 0, i + 1, text('no')),
    read(i + 1, 8, 0, OWNER),
    read(i + 1, 8, 0, i + 1, text('pin')),
    read(i + 1, 8, 0, i + 1, text('pin')),
    read(i + 1, 8, 0, OWNER),
    clear(),
  ],
  'full NV': [
    ...Array.from({ length: 70 }, (_, at) => define(i + at, byOwner, 2048)),
    variable,
    ask('tpmProperties', 0x209, 3),
    define(i + 0x100, byOwner, 1901),
    define(i + 0x100, byOwner, 1900),
    ...Array.from({ length: 10 }, (_, at) => define(i + 0x200 + at, { ...byOwner, nt: 'counter' }, 8)),
    ask('handles', 0x01000000, 254),
    ask('handles', i + 60, 5),
    primary(OWNER),
    // The seventh would put swtpm into failure mode.
    ...Array.from({ length: 6 }, (_, at) => evict(OWNER, 0x80000000, 0x81000000 + at)),
    ask('tpmProperties', 0x209, 3),
    flush(),
    clear(),
    ...Array.from({ length: 26 }, (_, at) => define(i + at, { ...byOwner, nt: 'counter', orderly: true }, 8)),
    ask('tpmProperties', 0x209, 3),
    clear(),
  ],
  'PCRs and localities': [
    pcrs(0, 17),
    ...[0, 1, 2, 3, 4].flatMap((locality) => [
      { locality },
      ...[0, 16, 17, 18, 19, 20, 21, 22, 23].flatMap((pcr) => [extend(pcr), pcrReset(pcr)]),
      pcrs(16, 23),
    ]),
    { locality: 0 },
    pcrReset(NULL),
    extend(NULL),
    bytesOf(tpm2.TPM2_PCR_Event, { pcrHandle: NULL, eventData: text('abc') }),
    bytesOf(tpm2.TPM2_PCR_Event, { pcrHandle: 9, eventData: text('abc') }),
    pcrs(9, 17),
    pcrs(...everyPcr),
    ...resume,
    pcrs(9, 17),
    ...restart,
    pcrs(9, 17),
    ...reset,
    pcrs(9, 17),
  ],
  'authority of PCRs': [
    ...[0, 16, 19, 20, 23, NULL].map((pcrHandle) =>
      bytesOf(tpm2.TPM2_PCR_SetAuthValue, { pcrHandle, auth: text('pcr') }),
    ),
    { locality: 2 },
    extend(21),
    extend(21, text('pcr')),
    { locality: 0 },
    ...resume,
    { locality: 2 },
    extend(22),
    { locality: 0 },
    ...reset,
    { locality: 2 },
    extend(22),
    { locality: 0 },
    ...[0, 16, 20, 22, 24, 99].map((pcrNum) =>
      bytesOf(tpm2.TPM2_PCR_SetAuthPolicy, {
        authHandle: PLATFORM,
        authPolicy: ones(32),
        hashAlg: 'sha256',
        pcrNum,
      }),
    ),
    bytesOf(tpm2.TPM2_PCR_SetAuthPolicy, {
      authHandle: PLATFORM,
      authPolicy: ones(31),
      hashAlg: 'sha256',
      pcrNum: 20,
    }),
    { locality: 2 },
    extend(21),
    { locality: 0 },
    ...reset,
    { locality: 2 },
    extend(21),
    { locality: 0 },
    bytesOf(tpm2.TPM2_PCR_SetAuthPolicy, {
      authHandle: PLATFORM,
      authPolicy: none,
      hashAlg: 'null',
      pcrNum: 20,
    }),
  ],
  'banks of PCRs': [
    allocate(['sha1', []], ['sha256', []], ['sha384', []], ['sha512', []]),
    allocate(['sha1', []], ['sha256', [0, 1]], ['sha384', []], ['sha512', []]),
    allocate(['sha1', []], ['sha384', [0, 1, 2]], ['sha512', []]),
    ask('pcrs', 0, 1),
    shutdown('state'),
    ...reset,
    ask('pcrs', 0, 1),
    pcrs(0, 1, 2, 3),
    bytesOf(tpm2.TPM2_PCR_Event, { pcrHandle: 2, eventData: text('abc') }),
    pcrs(2),
    allocate(['sha1', everyPcr], ['sha384', everyPcr], ['sha512', everyPcr]),
    ...reset,
    ask('pcrs', 0, 1),
  ],
  'roots of trust': [
    { hash: [text('ab'), text('c')] },
    pcrs(0, 17),
    init,
    { hash: [text('abc')] },
    startup('clear'),
    pcrs(0, 17),
    shutdown('state'),
    init,
    startup('state'),
    startup('clear'),
    pcrs(0, 17),
    init,
    { locality: 3 },
    startup('clear'),
    pcrs(0),
    { locality: 0 },
    shutdown('state'),
    init,
    startup('state'),
    { locality: 3 },
    startup('state'),
    pcrs(0),
    init,
    { locality: 1 },
    startup('clear'),
    { locality: 4 },
    startup('clear'),
    { locality: 0 },
    startup('clear'),
  ],
  'hierarchies that are off': [
    primary(OWNER),
    evict(OWNER, 0x80000000, 0x81000001),
    flush(),
    primary(ENDORSEMENT),
    evict(OWNER, 0x80000000, 0x81010001),
    flush(),
    primary(PLATFORM),
    evict(PLATFORM, 0x80000000, 0x81800001),
    flush(),
    define(i, byAll, 8),
    define(i + 1, { ...byAll, platformcreate: true }, 8, { by: PLATFORM }),
    control(PLATFORM, NULL, 'no'),
    control(PLATFORM, LOCKOUT, 'no'),
    control(ENDORSEMENT, OWNER, 'no'),
    control(OWNER, PLATFORM, 'no'),
    control(OWNER, PLATFORM_NV, 'no'),
    primary(OWNER),
    control(OWNER, OWNER, 'no'),
    control(OWNER, OWNER, 'yes'),
    publicKey(0x80000000),
    primary(OWNER),
    ...[0x81000001, 0x81010001, 0x81800001].map(publicKey),
    publicOf(i),
    publicOf(i + 1),
    define(i + 2, byAll, 8),
    bytesOf(tpm2.TPM2_HierarchyChangeAuth, { authHandle: OWNER, newAuth: none }),
    bytesOf(tpm2.TPM2_Hash, { data: none, hashAlg: 'sha256', hierarchy: OWNER }),
    evict(PLATFORM, 0x81000001, 0x81000001),
    variable,
    ask('handles', 0x01000000, 10),
    ask('handles', 0x81000000, 10),
    control(PLATFORM, OWNER, 'yes'),
    publicKey(0x81000001),
    publicOf(i),
    control(PLATFORM, ENDORSEMENT, 'no'),
    publicKey(0x81010001),
    primary(ENDORSEMENT),
    evict(OWNER, 0x81010001, 0x81010001),
    control(PLATFORM, PLATFORM_NV, 'no'),
    publicOf(i + 1),
    define(i + 2, { ...byAll, platformcreate: true }, 8, { by: PLATFORM }),
    control(PLATFORM, PLATFORM_NV, 'yes'),
    control(PLATFORM, PLATFORM, 'no'),
    control(PLATFORM, PLATFORM, 'yes'),
    primary(PLATFORM),
    publicKey(0x81800001),
    publicOf(i + 1),
    variable,
    ...resume,
    variable,
    ...restart,
    variable,
    clear(),
    publicOf(i + 1),
    undefine(i + 1, PLATFORM),
    bytesOf(tpm2.TPM2_ChangePPS, { authHandle: PLATFORM }),
    publicKey(0x81800001),
  ],
  'policies and seeds of hierarchies': [
    ...[OWNER, ENDORSEMENT, PLATFORM, LOCKOUT, NULL].map((handle) => policyOf(handle, ones(32), 'sha256')),
    policyOf(OWNER, ones(31), 'sha256'),
    policyOf(OWNER, none, 'sha256'),
    policyOf(OWNER, ones(32), 'null'),
    ask('authPolicies', 0x40000000, 10),
    ask('authPolicies', 0x4000000a, 1),
    ask('authPolicies', 0x80000000, 1),
    ...reset,
    ask('authPolicies', 0x40000000, 10),
    policyOf(PLATFORM, ones(32), 'sha256'),
    bytesOf(tpm2.TPM2_ChangePPS, { authHandle: PLATFORM }),
    ask('authPolicies', 0x40000000, 10),
    bytesOf(tpm2.TPM2_HierarchyChangeAuth, { authHandle: ENDORSEMENT, newAuth: ones(4) }),
    control(PLATFORM, ENDORSEMENT, 'no'),
    bytesOf(tpm2.TPM2_ChangeEPS, { authHandle: PLATFORM }),
    variable,
    ask('authPolicies', 0x40000000, 10),
    bytesOf(tpm2.TPM2_ClearControl, { auth: LOCKOUT, disable: 'yes' }),
    clear(),
    clear(PLATFORM),
    variable,
    bytesOf(tpm2.TPM2_ClearControl, { auth: LOCKOUT, disable: 'no' }),
    bytesOf(tpm2.TPM2_ClearControl, { auth: OWNER, disable: 'no' }),
    bytesOf(tpm2.TPM2_ClearControl, { auth: PLATFORM, disable: 'no' }),
    clear(PLATFORM),
    pcrs(0),
    ask('authPolicies', 0x40000000, 10),
    bytesOf(tpm2.TPM2_PP_Commands, { auth: PLATFORM, setList: [], clearList: [] }),
    bytesOf(tpm2.TPM2_PP_Commands, { auth: OWNER, setList: [], clearList: [] }),
    ask('ppCommands', 0, 10),
    ask('ppCommands', 0x12e, 10),
  ],
  guesses: [
    define(i, byAll, 8, { auth: text('key') }),
    define(i + 1, { ...byAll, noDa: true }, 8, { auth: text('key') }),
    write(i, ones(8), 0, OWNER),
    ...Array.from({ length: 4 }, () => read(i, 8, 0, i, text('no'))),
    read(i, 8, 0, i, text('key')),
    read(i + 1, 8, 0, i + 1, text('no')),
    lockout,
    variable,
    parameters(5, 1000, 1000),
    lockout,
    read(i, 8, 0, i, text('key')),
    lockReset(),
    lockout,
    parameters(0, 10, 10),
    read(i, 8, 0, i, text('key')),
    parameters(3, 0, 10),
    ...Array.from({ length: 5 }, () => read(i, 8, 0, i, text('no'))),
    lockout,
    read(i, 8, 0, i, text('key')),
    parameters(3, 1000, 0),
    bytesOf(tpm2.TPM2_HierarchyChangeAuth, { authHandle: LOCKOUT, newAuth: text('lock') }),
    lockReset(text('no')),
    lockReset(text('lock')),
    clear(),
    ...reset,
    lockReset(text('lock')),
    parameters(3, 1000, 1000, text('lock')),
    lockReset(text('no')),
    ...reset,
    lockReset(text('lock')),
    ...cut,
    lockout,
    read(i, 8, 0, i, text('key')),
    ...cut,
    lockout,
    ...cut,
    lockout,
    read(i, 8, 0, i, text('key')),
    ...reset,
    lockout,
    shutdown('clear'),
    read(i, 8, 0, i, text('key')),
    ...cut,
    lockout,
    variable,
    clear(PLATFORM),
    lockout,
  ],
  'what makes a shutdown void': [
    ...[
      bytesOf(tpm2.TPM2_GetRandom, { bytesRequested: 1 }),
      bytesOf(tpm2.TPM2_SelfTest, { fullTest: 'yes' }),
      bytesOf(tpm2.TPM2_StirRandom, { inData: ones(1) }),
      define(i, { ...byOwner, noDa: true }, 8),
      write(i, ones(8), 0, OWNER),
      undefine(i),
      bytesOf(tpm2.TPM2_HierarchyChangeAuth, { authHandle: OWNER, newAuth: none }),
      bytesOf(tpm2.TPM2_HierarchyChangeAuth, { authHandle: PLATFORM, newAuth: none }),
      extend(0),
      extend(16),
      control(PLATFORM, OWNER, 'yes'),
      clear(),
    ].flatMap((command) => [shutdown('clear'), command, ...cut, variable]),
  ],
  capabilities: [
    ask('algs', 0x25, 1),
    ask('algs', 0x100, 1),
    ask('handles', 0, 2),
    ask('handles', 0x10, 2),
    ask('handles', 24, 2),
    ask('handles', 0x40000000, 100),
    ask('handles', 0x40000002, 2),
    ask('handles', 0x4000000e, 2),
    ask('handles', 0x02000000, 0),
    ...(['policy', 'hmac', 'trial'] as const).map((sessionType) =>
      bytesOf(tpm2.TPM2_StartAuthSession, {
        tpmKey: NULL,
        bind: NULL,
        nonceCaller: ones(16),
        encryptedSalt: none,
        sessionType,
        symmetric: { algorithm: 'null' },
        authHash: 'sha256',
      }),
    ),
    ask('handles', 0x02000000, 10),
    ask('handles', 0x02000001, 1),
    ask('handles', 0x03000000, 10),
    ask('tpmProperties', 0x203, 6),
    ask('handles', 0x90000000, 2),
    ask('handles', 0x41000000, 2),
    ask('commands', 0x11f, 2),
    ask('commands', 0x123, 2),
    ask('commands', 0x200, 2),
    ask('commands', 0x20000000, 2),
    ask('ppCommands', 0, 0),
    ask('ppCommands', 0, 1),
    ask('pcrs', 0, 0),
    ask('pcrs', 0, 1),
    ask('pcrs', 1, 1),
    ask('tpmProperties', 0, 10),
    ask('tpmProperties', 0x100, 0),
    ask('tpmProperties', 0x100, 300),
    ask('tpmProperties', 0x12e, 5),
    ask('tpmProperties', 0x12f, 5),
    ask('tpmProperties', 0x200, 300),
    ask('tpmProperties', 0x300, 1),
    ask('pcrProperties', 0, 100),
    ask('pcrProperties', 3, 2),
    ask('pcrProperties', 0x15, 2),
    ask('eccCurves', 0x21, 2),
    ask('authPolicies', 0x40000000, 0),
    ask('act', 0x40000110, 2),
    ask('act', 0x40000000, 2),
  ],
  clocks: [
    bytesOf(tpm2.TPM2_ClockSet, { auth: ENDORSEMENT, newTime: 0n }),
    bytesOf(tpm2.TPM2_ClockSet, { auth: OWNER, newTime: 10_000_000n }),
    bytesOf(tpm2.TPM2_ClockSet, { auth: OWNER, newTime: 5n }),
    bytesOf(tpm2.TPM2_ClockSet, { auth: OWNER, newTime: 0xffff_0000_0000_0001n }),
    bytesOf(tpm2.TPM2_ClockSet, { auth: PLATFORM, newTime: 1n << 63n }),
    bytesOf(tpm2.TPM2_ReadClock, {}),
    bytesOf(tpm2.TPM2_ClockRateAdjust, { auth: OWNER, rateAdjust: 'coarseSlower' }),
    bytesOf(tpm2.TPM2_ClockRateAdjust, { auth: ENDORSEMENT, rateAdjust: 'noChange' }),
    clear(),
  ],
};

/** The control channel of a swtpm. */
async function controlOf(path: string): Promise<(command: number, body?: Uint8Array) => Promise<void>> {
  const socket: Socket = createConnection({ path });
  await once(socket, 'connect');
  socket.unref();
  return async (command, body = none) => {
    socket.write(concat(u32(command), body));
    const [answer] = (await once(socket, 'data')) as [Uint8Array];
    if (hex(answer.subarray(0, 4)) !== '00000000') throw new Error(`swtpm refused control ${command}`);
  };
}

/** Tag, length and response code of a response: what must be the same. */
const outline = (response: Uint8Array, longer = 0) =>
  `${hex(response.subarray(0, 2))} ${response.length - longer} ${codeOf(response).toString(16)}`;

/** Commands that answer with a ticket: swtpm makes them with SHA-512, we with SHA-256. */
const withTicket: ReadonlySet<number> = new Set([tpm2.TPM2_CreatePrimary.code, tpm2.TPM2_Hash.code]);

/** Commands whose answers are the same to the last byte, when nothing of the maker is in them. */
const exact: ReadonlySet<number> = new Set([
  tpm2.TPM2_NV_Read.code,
  tpm2.TPM2_NV_ReadPublic.code,
  tpm2.TPM2_PCR_Read.code,
  tpm2.TPM2_PCR_Event.code,
  tpm2.TPM2_PCR_Allocate.code,
]);
/** Capabilities of which that is true too. */
const ofNobody: ReadonlySet<string> = new Set([
  'handles',
  'ppCommands',
  'pcrs',
  'pcrProperties',
  'authPolicies',
]);

function isExact(command: Uint8Array): boolean {
  if (codeOf(command) !== tpm2.TPM2_GetCapability.code) return exact.has(codeOf(command));
  const wanted = new DataView(command.buffer, command.byteOffset);
  const names = Object.entries(TPM_CAP.values);
  const name = names.find(([, value]) => value === wanted.getUint32(10))?.[0] ?? '';
  // The variable properties are about what was done, but for the number of curves.
  if (name === 'tpmProperties') return wanted.getUint32(14) >= 0x200 && wanted.getUint32(18) < 10;
  return ofNobody.has(name);
}

describe.skipIf(!needs('swtpm'))('the platform of the software TPM and of swtpm', { timeout: 60_000 }, () => {
  it.each(Object.keys(scripts))('answer alike: %s', async (name) => {
    const bench = new Bench();
    const swtpm = await startSwtpm();
    const transport = openTransport(swtpm.spec);
    const tell = await controlOf(`${swtpm.spec.slice('swtpm:path='.length)}.ctrl`);
    const theirs = async (command: Uint8Array): Promise<Uint8Array> => {
      const response = await transport.exchange(command);
      // It puts off the first use of a guarded entity until it has written that down.
      return codeOf(response) === 0x922 ? theirs(command) : response;
    };
    const differences: string[] = [];
    try {
      for (const [at, step] of (scripts[name] ?? []).entries()) {
        if (step instanceof Uint8Array) {
          const ours = execute(bench.chip, step);
          const its = await theirs(step);
          const longer = codeOf(its) === 0 && withTicket.has(codeOf(step)) ? 32 : 0;
          const alike = isExact(step) ? equal(ours, its) : outline(ours) === outline(its, longer);
          if (!alike) differences.push(`step ${at}, ${hex(step)}: ours ${hex(ours)}, swtpm's ${hex(its)}`);
        } else if ('locality' in step) {
          bench.chip.locality = step.locality;
          await tell(5, Uint8Array.of(step.locality));
        } else if ('hash' in step) {
          bench.chip.hashStart();
          await tell(6);
          for (const data of step.hash) {
            bench.chip.hashData(data);
            await tell(7, concat(u32(data.length), data));
          }
          bench.chip.hashEnd();
          await tell(8);
        } else {
          bench.chip.powerOn();
          await tell(2, u32(0));
        }
      }
      expect(differences).toEqual([]);
    } finally {
      await transport.close?.();
      await swtpm.close();
    }
  });
});

describe.skipIf(!needs('swtpm'))('what the software TPM and swtpm say about themselves', () => {
  const own = new Set<keyof typeof TPM_PT>([
    'manufacturer',
    'vendorString1',
    'vendorString2',
    'firmwareVersion1',
    'firmwareVersion2',
    // SHA-256 protects contexts and tickets here, SHA-512 there; contexts have other sizes.
    'contextHash',
    'maxObjectContext',
    'maxSessionContext',
    // Those of the PC Client profile here, of the library there.
    'psFamilyIndicator',
    'psRevision',
    'psDayOfYear',
    'psYear',
    'totalCommands',
    'libraryCommands',
    'loadedCurves',
  ]);

  it('are the same properties, with the same values wherever the limits are the same', async () => {
    const swtpm = await startSwtpm();
    const tpm = await openTpm({ transport: openTransport(swtpm.spec), ...nodePlatform({ directory: '.' }) });
    const bench = new Bench();
    try {
      for (const property of [0x100, 0x200]) {
        const request = { capability: 'tpmProperties', property, propertyCount: 256 } as const;
        const ours = bench.ask(tpm2.TPM2_GetCapability, request).capabilityData;
        const its = (await run(tpm, tpm2.TPM2_GetCapability, request)).capabilityData;
        if (ours.capability !== 'tpmProperties' || its.capability !== 'tpmProperties')
          throw new Error('other');
        const names = new Map(Object.entries(TPM_PT).map(([name, value]) => [value as number, name]));
        const shown = (list: typeof ours.data) =>
          list.map((one) => {
            const name = names.get(one.property) as keyof typeof TPM_PT;
            return [name, own.has(name) ? 'its own' : one.value];
          });
        expect(shown(ours.data)).toEqual(shown(its.data));
      }
    } finally {
      await tpm.close();
      await swtpm.close();
    }
  });

  it('are the same attributes of every command that both have', async () => {
    const swtpm = await startSwtpm();
    const tpm = await openTpm({ transport: openTransport(swtpm.spec), ...nodePlatform({ directory: '.' }) });
    const bench = new Bench();
    try {
      const request = { capability: 'commands', property: 0, propertyCount: 256 } as const;
      const ours = bench.ask(tpm2.TPM2_GetCapability, request).capabilityData;
      const its = (await run(tpm, tpm2.TPM2_GetCapability, request)).capabilityData;
      if (ours.capability !== 'commands' || its.capability !== 'commands') throw new Error('other');
      const known = new Map(its.data.map((one) => [one & 0xffff, one]));
      const shared = ours.data.filter((one) => known.has(one & 0xffff));
      expect(shared.length).toBeGreaterThan(70);
      expect(shared.map((one) => one.toString(16))).toEqual(
        shared.map((one) => known.get(one & 0xffff)?.toString(16)),
      );
    } finally {
      await tpm.close();
      await swtpm.close();
    }
  });
});
