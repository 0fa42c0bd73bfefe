import { describe, expect, it } from 'vitest';
import { hex } from '../../src/core/bytes.ts';
import {
  TPM2_ChangeEPS,
  TPM2_ChangePPS,
  TPM2_Clear,
  TPM2_ContextLoad,
  TPM2_ContextSave,
  TPM2_CreatePrimary,
  TPM2_EvictControl,
  TPM2_FlushContext,
  TPM2_GetCapability,
  TPM2_GetRandom,
  TPM2_HierarchyChangeAuth,
  TPM2_HierarchyControl,
  TPM2_NV_DefineSpace,
  TPM2_NV_ReadPublic,
  TPM2_PP_Commands,
  TPM2_ReadClock,
  TPM2_ReadPublic,
  TPM2_SetPrimaryPolicy,
} from '../../src/tpm/commands.ts';
import { Policy, srkTemplate } from '../../src/tpm/index.ts';
import { Bench } from './tpm-bench.ts';

const none = new Uint8Array();
const text = (value: string) => new TextEncoder().encode(value);

const OWNER = 0x40000001;
const LOCKOUT = 0x4000000a;
const ENDORSEMENT = 0x4000000b;
const PLATFORM = 0x4000000c;
const PLATFORM_NV = 0x4000000d;

const primaryOf = (primaryHandle: number) => ({
  primaryHandle,
  inPublic: srkTemplate,
  inSensitive: { userAuth: none, data: none },
  outsideInfo: none,
  creationPCR: [],
});
const primary = (bench: Bench, hierarchy: number) => bench.ask(TPM2_CreatePrimary, primaryOf(hierarchy));
const flush = (bench: Bench, flushHandle: number) => bench.ask(TPM2_FlushContext, { flushHandle });

/** The Name of a primary key: as long as the seed is the same, it is the same. */
function nameIn(bench: Bench, hierarchy: number): string {
  const { objectHandle, name } = primary(bench, hierarchy);
  flush(bench, objectHandle);
  return hex(name);
}

const control = (bench: Bench, authHandle: number, enable: number, state: 'yes' | 'no') =>
  bench.code(TPM2_HierarchyControl, { authHandle, enable, state });

function persist(bench: Bench, hierarchy: number, persistentHandle: number): void {
  const { objectHandle } = primary(bench, hierarchy);
  const auth = hierarchy === PLATFORM ? PLATFORM : OWNER;
  bench.ask(TPM2_EvictControl, { auth, objectHandle, persistentHandle });
  flush(bench, objectHandle);
}

function defineNv(bench: Bench, nvIndex: number, by: number): void {
  bench.ask(TPM2_NV_DefineSpace, {
    authHandle: by,
    auth: none,
    publicInfo: {
      nvIndex,
      nameAlg: 'sha256',
      attributes: { nt: 'ordinary', authread: true, authwrite: true, platformcreate: by === PLATFORM },
      authPolicy: none,
      dataSize: 1,
    },
  });
}

const isThere = (bench: Bench, objectHandle: number) => bench.code(TPM2_ReadPublic, { objectHandle }) === 0;
const isDefined = (bench: Bench, nvIndex: number) => bench.code(TPM2_NV_ReadPublic, { nvIndex }) === 0;

describe('a hierarchy that is switched off', () => {
  it('takes its loaded objects with it, and hides what is stored under it', () => {
    const bench = new Bench();
    persist(bench, OWNER, 0x81000001);
    defineNv(bench, 0x01500001, OWNER);
    const { objectHandle } = primary(bench, OWNER);
    const { objectHandle: other } = primary(bench, ENDORSEMENT);
    expect(control(bench, OWNER, OWNER, 'no')).toBe(0);
    expect(isThere(bench, objectHandle)).toBe(false);
    expect(isThere(bench, other)).toBe(true);
    expect(isThere(bench, 0x81000001)).toBe(false);
    expect(isDefined(bench, 0x01500001)).toBe(false);
    expect(bench.code(TPM2_CreatePrimary, primaryOf(OWNER))).toBe(0x185);
    expect(control(bench, OWNER, OWNER, 'yes')).toBe(0x185);
    expect(control(bench, PLATFORM, OWNER, 'yes')).toBe(0);
    expect(isThere(bench, 0x81000001)).toBe(true);
    expect(isDefined(bench, 0x01500001)).toBe(true);
  });

  it('does not take saved contexts back', () => {
    const bench = new Bench();
    const { objectHandle } = primary(bench, ENDORSEMENT);
    const { context } = bench.ask(TPM2_ContextSave, { saveHandle: objectHandle });
    control(bench, ENDORSEMENT, ENDORSEMENT, 'no');
    expect(bench.code(TPM2_ContextLoad, { context })).toBe(0x1c5);
    control(bench, PLATFORM, ENDORSEMENT, 'yes');
    expect(bench.code(TPM2_ContextLoad, { context })).toBe(0);
  });

  it('stays off over a resume, but for the platform, and comes back with a restart or a reset', () => {
    for (const [left, start, on] of [
      ['state', 'state', false],
      ['state', 'clear', true],
      ['clear', 'clear', true],
      [undefined, 'clear', true],
    ] as const) {
      const bench = new Bench();
      for (const enable of [OWNER, ENDORSEMENT, PLATFORM_NV, PLATFORM])
        expect(control(bench, PLATFORM, enable, 'no')).toBe(0);
      expect(control(bench, PLATFORM, PLATFORM, 'yes')).toBe(0x185);
      bench.cycle(left, start);
      expect(bench.chip.enabled).toEqual({ owner: on, endorsement: on, platformNv: on, platform: true });
    }
  });

  it('of NV alone leaves the platform its keys', () => {
    const bench = new Bench();
    persist(bench, PLATFORM, 0x81800001);
    defineNv(bench, 0x01500001, PLATFORM);
    control(bench, PLATFORM, PLATFORM_NV, 'no');
    expect([isThere(bench, 0x81800001), isDefined(bench, 0x01500001)]).toEqual([true, false]);
    control(bench, PLATFORM, PLATFORM_NV, 'yes');
    control(bench, PLATFORM, PLATFORM, 'no');
    expect([isThere(bench, 0x81800001), isDefined(bench, 0x01500001)]).toEqual([false, true]);
  });
});

describe('new seeds', () => {
  it('of the endorsement (TPM2_ChangeEPS) are another TPM to everybody, and take auth, policy and keys', () => {
    const bench = new Bench();
    const before = [ENDORSEMENT, OWNER, PLATFORM].map((hierarchy) => nameIn(bench, hierarchy));
    persist(bench, ENDORSEMENT, 0x81010001);
    persist(bench, OWNER, 0x81000001);
    bench.ask(TPM2_SetPrimaryPolicy, {
      authHandle: ENDORSEMENT,
      authPolicy: new Uint8Array(32),
      hashAlg: 'sha256',
    });
    bench.ask(TPM2_HierarchyChangeAuth, { authHandle: ENDORSEMENT, newAuth: text('auth') });
    control(bench, PLATFORM, ENDORSEMENT, 'no');
    bench.ask(TPM2_ChangeEPS, { authHandle: PLATFORM });
    const after = [ENDORSEMENT, OWNER, PLATFORM].map((hierarchy) => nameIn(bench, hierarchy));
    expect(after[0]).not.toBe(before[0]);
    expect(after.slice(1)).toEqual(before.slice(1));
    expect([isThere(bench, 0x81010001), isThere(bench, 0x81000001)]).toEqual([false, true]);
    expect(bench.chip.hierarchies.endorsement).toMatchObject({ auth: none, policy: none, policyAlg: 'null' });
    bench.reboot();
    bench.chip.startup('clear');
    expect(nameIn(bench, ENDORSEMENT)).toBe(after[0]);
  });

  it('of the platform (TPM2_ChangePPS) take its keys and policy, not its indices and auth value', () => {
    const bench = new Bench();
    const before = [PLATFORM, ENDORSEMENT].map((hierarchy) => nameIn(bench, hierarchy));
    persist(bench, PLATFORM, 0x81800001);
    defineNv(bench, 0x01500001, PLATFORM);
    bench.ask(TPM2_SetPrimaryPolicy, {
      authHandle: PLATFORM,
      authPolicy: new Uint8Array(32),
      hashAlg: 'sha256',
    });
    bench.ask(TPM2_ChangePPS, { authHandle: PLATFORM });
    const after = [PLATFORM, ENDORSEMENT].map((hierarchy) => nameIn(bench, hierarchy));
    expect(after[0]).not.toBe(before[0]);
    expect(after[1]).toBe(before[1]);
    expect([isThere(bench, 0x81800001), isDefined(bench, 0x01500001)]).toEqual([false, true]);
    expect(bench.chip.hierarchies.platform.policyAlg).toBe('null');
  });
});

describe('TPM2_Clear', () => {
  it('leaves what is of the platform and the endorsement seed, and nothing of the owner', () => {
    const bench = new Bench();
    const before = [OWNER, ENDORSEMENT, PLATFORM].map((hierarchy) => nameIn(bench, hierarchy));
    persist(bench, OWNER, 0x81000001);
    persist(bench, ENDORSEMENT, 0x81010001);
    persist(bench, PLATFORM, 0x81800001);
    defineNv(bench, 0x01500001, OWNER);
    defineNv(bench, 0x01500002, PLATFORM);
    const { objectHandle } = primary(bench, PLATFORM);
    const saved = primary(bench, ENDORSEMENT);
    const { context } = bench.ask(TPM2_ContextSave, { saveHandle: saved.objectHandle });
    for (const authHandle of [OWNER, ENDORSEMENT, LOCKOUT])
      bench.ask(TPM2_HierarchyChangeAuth, { authHandle, newAuth: text('auth') });
    for (const authHandle of [OWNER, ENDORSEMENT, LOCKOUT])
      bench.ask(
        TPM2_SetPrimaryPolicy,
        { authHandle, authPolicy: new Uint8Array(32), hashAlg: 'sha256' },
        text('auth'),
      );
    control(bench, PLATFORM, OWNER, 'no');
    bench.ask(TPM2_Clear, { authHandle: LOCKOUT }, text('auth'));

    expect([0x81000001, 0x81010001, 0x81800001].map((handle) => isThere(bench, handle))).toEqual([
      false,
      false,
      true,
    ]);
    expect([isDefined(bench, 0x01500001), isDefined(bench, 0x01500002)]).toEqual([false, true]);
    expect([isThere(bench, objectHandle), isThere(bench, saved.objectHandle)]).toEqual([true, false]);
    // The endorsement key is made anew as it was, but what was saved under the old proof is worthless.
    expect(bench.code(TPM2_ContextLoad, { context })).toBe(0x1df);
    const after = [OWNER, ENDORSEMENT, PLATFORM].map((hierarchy) => nameIn(bench, hierarchy));
    expect(after[0]).not.toBe(before[0]);
    expect(after.slice(1)).toEqual(before.slice(1));
    for (const name of ['owner', 'endorsement', 'lockout'] as const)
      expect(bench.chip.hierarchies[name]).toMatchObject({ auth: none, policy: none, policyAlg: 'null' });
    const { clockInfo } = bench.ask(TPM2_ReadClock, {}).currentTime;
    expect(clockInfo).toEqual({ clock: 0n, resetCount: 0, restartCount: 0, safe: 'yes' });
  });
});

describe('the policy of a hierarchy', () => {
  const { code } = TPM2_CreatePrimary;
  const authPolicy = Policy.start('sha256').commandCode(code).digest;

  it('authorises like its auth value, and is stored', () => {
    const bench = new Bench();
    for (const authHandle of [OWNER, ENDORSEMENT])
      bench.ask(TPM2_SetPrimaryPolicy, { authHandle, authPolicy, hashAlg: 'sha256' });
    bench.ask(TPM2_HierarchyChangeAuth, { authHandle: OWNER, newAuth: text('auth') });
    bench.reboot();
    bench.chip.startup('clear');
    expect(bench.code(TPM2_CreatePrimary, primaryOf(OWNER))).toBe(0x9a2);
    const session = bench.policy(code);
    expect(bench.code(TPM2_CreatePrimary, primaryOf(OWNER), { sessionHandle: session })).toBe(0);
    const other = bench.policy(code);
    expect(bench.code(TPM2_Clear, { authHandle: LOCKOUT }, { sessionHandle: other })).toBe(0x12f);
  });

  it('of the platform lasts until the next restart or reset', () => {
    const bench = new Bench();
    bench.ask(TPM2_SetPrimaryPolicy, { authHandle: PLATFORM, authPolicy, hashAlg: 'sha256' });
    bench.cycle('state', 'state');
    const session = bench.policy(code);
    expect(bench.code(TPM2_CreatePrimary, primaryOf(PLATFORM), { sessionHandle: session })).toBe(0);
    bench.cycle('state');
    const again = bench.policy(code);
    expect(bench.code(TPM2_CreatePrimary, primaryOf(PLATFORM), { sessionHandle: again })).toBe(0x12f);
  });
});

describe('physical presence', () => {
  const listed = (bench: Bench) =>
    bench.ask(TPM2_GetCapability, { capability: 'ppCommands', property: 0, propertyCount: 254 })
      .capabilityData.data;
  const change = (bench: Bench, setList: readonly number[], clearList: readonly number[]) =>
    bench.code(TPM2_PP_Commands, { auth: PLATFORM, setList, clearList });

  it('is not there unless the machine says so, and without it nobody changes what needs it', () => {
    const bench = new Bench();
    expect(change(bench, [TPM2_CreatePrimary.code], [])).toBe(0x990);
    bench.chip.physicalPresence = true;
    expect(change(bench, [TPM2_CreatePrimary.code], [])).toBe(0);
  });

  it('is needed for a command in the list when the platform authorises it, and only then', () => {
    const bench = new Bench();
    bench.chip.physicalPresence = true;
    change(bench, [TPM2_CreatePrimary.code], []);
    bench.chip.physicalPresence = false;
    bench.reboot();
    bench.chip.startup('clear');
    expect(bench.code(TPM2_CreatePrimary, primaryOf(PLATFORM))).toBe(0x990);
    expect(bench.code(TPM2_CreatePrimary, primaryOf(OWNER))).toBe(0);
    bench.chip.physicalPresence = true;
    expect(bench.code(TPM2_CreatePrimary, primaryOf(PLATFORM))).toBe(0);
    change(bench, [], [TPM2_CreatePrimary.code]);
    bench.chip.physicalPresence = false;
    expect(bench.code(TPM2_CreatePrimary, primaryOf(PLATFORM))).toBe(0);
  });

  it('can be asked for by commands of the platform only, and never be taken from TPM2_PP_Commands', () => {
    const bench = new Bench();
    bench.chip.physicalPresence = true;
    const { code } = TPM2_PP_Commands;
    change(bench, [TPM2_GetRandom.code, TPM2_Clear.code, TPM2_ChangeEPS.code, 0x20000000], [code]);
    expect(listed(bench)).toEqual([TPM2_ChangeEPS.code, TPM2_Clear.code, code]);
  });
});
