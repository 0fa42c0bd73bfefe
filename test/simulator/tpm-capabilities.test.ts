import { describe, expect, it } from 'vitest';
import { allCommands } from '../../src/tpm/command-table.ts';
import {
  TPM2_Clear,
  TPM2_ClearControl,
  TPM2_GetCapability,
  TPM2_HierarchyChangeAuth,
  TPM2_HierarchyControl,
  TPM2_NV_DefineSpace,
  TPM2_NV_Read,
  TPM2_SetPrimaryPolicy,
} from '../../src/tpm/commands.ts';
import type { TPM_CAP } from '../../src/tpm/structures.ts';
import { TPM_PT } from '../../src/tpm/structures.ts';
import { Bench } from './tpm-bench.ts';

const none = new Uint8Array();

const OWNER = 0x40000001;
const LOCKOUT = 0x4000000a;
const ENDORSEMENT = 0x4000000b;
const PLATFORM = 0x4000000c;

function ask(bench: Bench, capability: TPM_CAP, property: number, propertyCount: number) {
  const { moreData, capabilityData } = bench.ask(TPM2_GetCapability, { capability, property, propertyCount });
  return { more: moreData === 'yes', data: capabilityData.data as readonly unknown[] };
}

const code = (bench: Bench, capability: TPM_CAP, property: number) =>
  bench.code(TPM2_GetCapability, { capability, property, propertyCount: 1 });

/** A variable or fixed property. */
function property(bench: Bench, name: keyof typeof TPM_PT): number | undefined {
  const { capabilityData } = bench.ask(TPM2_GetCapability, {
    capability: 'tpmProperties',
    property: TPM_PT[name],
    propertyCount: 1,
  });
  return capabilityData.capability === 'tpmProperties' ? capabilityData.data[0]?.value : undefined;
}

const define = (bench: Bench, nvIndex: number, nt: 'ordinary' | 'counter' = 'ordinary') =>
  bench.ask(TPM2_NV_DefineSpace, {
    authHandle: OWNER,
    auth: Uint8Array.of(1),
    publicInfo: {
      nvIndex,
      nameAlg: 'sha256',
      attributes: { nt, authread: true, authwrite: true },
      authPolicy: none,
      dataSize: 8,
    },
  });

describe('TPM2_GetCapability', () => {
  it('lists from the entry asked for on, in ascending order, and says whether there is more', () => {
    const bench = new Bench();
    for (const nvIndex of [0x01500007, 0x01500003, 0x01500005]) define(bench, nvIndex);
    expect(ask(bench, 'handles', 0x01000000, 2)).toEqual({ more: true, data: [0x01500003, 0x01500005] });
    expect(ask(bench, 'handles', 0x01500004, 2)).toEqual({ more: false, data: [0x01500005, 0x01500007] });
    expect(ask(bench, 'handles', 0x01500008, 2)).toEqual({ more: false, data: [] });
    expect(ask(bench, 'handles', 0x01000000, 0)).toEqual({ more: true, data: [] });
  });

  it('can be walked to the end with every count', () => {
    const bench = new Bench();
    const walk = (count: number) => {
      const found: number[] = [];
      for (let next = 0, more = true; more; ) {
        const answer = ask(bench, 'commands', next, count);
        const codes = (answer.data as readonly number[]).map((one) => one & 0xffff);
        found.push(...codes);
        next = (found.at(-1) ?? 0) + 1;
        more = answer.more;
      }
      return found;
    };
    const all = allCommands()
      .map((command) => command.code)
      .filter((one) => bench.chip.implemented.has(one));
    for (const count of [1, 7, 254, 1000]) expect(walk(count)).toEqual(all);
  });

  it('answers properties of one group at a time', () => {
    const bench = new Bench();
    const groups = (first: number) =>
      new Set(
        (ask(bench, 'tpmProperties', first, 300).data as { property: number }[]).map(
          (one) => one.property >> 8,
        ),
      );
    expect([...groups(0)]).toEqual([1]);
    expect([...groups(0x12e)]).toEqual([1]);
    expect([...groups(0x200)]).toEqual([2]);
    expect([...groups(0x300)]).toEqual([]);
  });

  it('refuses what there is nothing to tell about', () => {
    const bench = new Bench();
    expect(code(bench, 'pcrs', 1)).toBe(0x2c4);
    expect(code(bench, 'handles', 0x90000000)).toBe(0x2cb);
    expect(code(bench, 'authPolicies', 0x80000000)).toBe(0x2c4);
    expect(code(bench, 'act', 0x40000000)).toBe(0x2c4);
    expect(ask(bench, 'act', 0x40000110, 1)).toEqual({ more: false, data: [] });
  });

  it('tells the policies of hierarchies', () => {
    const bench = new Bench();
    const digest = new Uint8Array(32).fill(7);
    bench.ask(TPM2_SetPrimaryPolicy, { authHandle: ENDORSEMENT, authPolicy: digest, hashAlg: 'sha256' });
    expect(ask(bench, 'authPolicies', LOCKOUT, 10)).toEqual({
      more: false,
      data: [
        { handle: LOCKOUT, policyHash: { hashAlg: 'null' } },
        { handle: ENDORSEMENT, policyHash: { hashAlg: 'sha256', digest } },
        { handle: PLATFORM, policyHash: { hashAlg: 'null' } },
      ],
    });
  });
});

describe('TPMA_PERMANENT', () => {
  it('shows which auth values are set, whether TPM2_Clear is off, and a lockout', () => {
    const bench = new Bench();
    const shown = () => property(bench, 'permanent');
    expect(shown()).toBe(0x400);
    for (const [authHandle, bit] of [
      [OWNER, 1],
      [ENDORSEMENT, 2],
      [LOCKOUT, 4],
    ] as const) {
      const before = shown() ?? 0;
      bench.ask(TPM2_HierarchyChangeAuth, { authHandle, newAuth: Uint8Array.of(1) });
      expect(shown()).toBe(before + bit);
    }
    bench.ask(TPM2_ClearControl, { auth: PLATFORM, disable: 'yes' });
    expect(shown()).toBe(0x507);
    bench.ask(TPM2_ClearControl, { auth: PLATFORM, disable: 'no' });
    bench.ask(TPM2_Clear, { authHandle: PLATFORM });
    expect(shown()).toBe(0x400);
    define(bench, 0x01500001);
    for (let i = 0; i < 3; i++)
      bench.code(TPM2_NV_Read, { authHandle: 0x01500001, nvIndex: 0x01500001, size: 1, offset: 0 });
    expect(shown()).toBe(0x600);
  });
});

describe('TPMA_STARTUP_CLEAR', () => {
  it('shows what is switched on, and whether the start came after TPM2_Shutdown', () => {
    const bench = new Bench();
    const shown = () => property(bench, 'startupClear');
    expect(shown()).toBe(0x8000000f);
    bench.ask(TPM2_HierarchyControl, { authHandle: OWNER, enable: OWNER, state: 'no' });
    expect(shown()).toBe(0x8000000d);
    bench.cycle();
    expect(shown()).toBe(0x0f);
    bench.cycle('clear');
    expect(shown()).toBe(0x8000000f);
  });
});

describe('what is left of NV', () => {
  it('shrinks with what is defined, counters among it', () => {
    const bench = new Bench();
    const left = () =>
      (['nvCounters', 'nvCountersAvail', 'hrPersistentAvail', 'hrNvIndex'] as const).map((name) =>
        property(bench, name),
      );
    expect(left()).toEqual([0, 25, 65, 0]);
    for (let at = 0; at < 60; at++) define(bench, 0x01500000 + at, at < 50 ? 'counter' : 'ordinary');
    expect(left()).toEqual([50, 25, 62, 60]);
  });
});
