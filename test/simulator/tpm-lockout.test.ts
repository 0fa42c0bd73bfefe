import { describe, expect, it } from 'vitest';
import {
  TPM2_Clear,
  TPM2_ClockRateAdjust,
  TPM2_DictionaryAttackLockReset,
  TPM2_DictionaryAttackParameters,
  TPM2_GetCapability,
  TPM2_HierarchyChangeAuth,
  TPM2_NV_DefineSpace,
  TPM2_NV_Read,
  TPM2_NV_Write,
  TPM2_SetPrimaryPolicy,
  TPM2_StartAuthSession,
} from '../../src/tpm/commands.ts';
import { Policy } from '../../src/tpm/index.ts';
import { keyless } from '../tpm/raw-sessions.ts';
import { Bench } from './tpm-bench.ts';

const none = new Uint8Array();
const text = (value: string) => new TextEncoder().encode(value);

const OWNER = 0x40000001;
const LOCKOUT = 0x4000000a;
const PLATFORM = 0x4000000c;
const guarded = 0x01500001;
const open = 0x01500002;
const right = text('right');
const wrong = text('wrong');

const AUTH_FAIL = 0x98e;
const BAD_AUTH = 0x9a2;
const LOCKED = 0x921;

/** A TPM with an index that is guarded, and one with NO_DA. */
function protectedBench(): Bench {
  const bench = new Bench();
  for (const nvIndex of [guarded, open]) {
    bench.ask(TPM2_NV_DefineSpace, {
      authHandle: OWNER,
      auth: right,
      publicInfo: {
        nvIndex,
        nameAlg: 'sha256',
        attributes: { nt: 'ordinary', authread: true, ownerwrite: true, noDa: nvIndex === open },
        authPolicy: none,
        dataSize: 1,
      },
    });
    bench.ask(TPM2_NV_Write, { authHandle: OWNER, nvIndex, data: text('x'), offset: 0 });
  }
  return bench;
}

const read = (bench: Bench, nvIndex: number, guess: Uint8Array) =>
  bench.code(TPM2_NV_Read, { authHandle: nvIndex, nvIndex, size: 1, offset: 0 }, guess);
const parameters = (bench: Bench, newMaxTries: number, newRecoveryTime: number, lockoutRecovery: number) =>
  bench.code(TPM2_DictionaryAttackParameters, {
    lockHandle: LOCKOUT,
    newMaxTries,
    newRecoveryTime,
    lockoutRecovery,
  });
const lockReset = (bench: Bench, auth = none) =>
  bench.code(TPM2_DictionaryAttackLockReset, { lockHandle: LOCKOUT }, auth);

/** TPM_PT_LOCKOUT_COUNTER. */
function failures(bench: Bench): number | undefined {
  const { capabilityData } = bench.ask(TPM2_GetCapability, {
    capability: 'tpmProperties',
    property: 0x20e,
    propertyCount: 1,
  });
  return capabilityData.capability === 'tpmProperties' ? capabilityData.data[0]?.value : undefined;
}

describe('protection against guessing', () => {
  it('tells a wrong value that counted from one that did not, and locks out only what is guarded', () => {
    const bench = protectedBench();
    expect(read(bench, open, wrong)).toBe(BAD_AUTH);
    expect(failures(bench)).toBe(0);
    for (let i = 1; i <= 3; i++) {
      expect(read(bench, guarded, wrong)).toBe(AUTH_FAIL);
      expect(failures(bench)).toBe(i);
    }
    expect([read(bench, guarded, right), read(bench, open, right)]).toEqual([LOCKED, 0]);
    expect(lockReset(bench)).toBe(0);
    expect(read(bench, guarded, right)).toBe(0);
  });

  it('forgives one failure for each recovery time that passed since the last one', async () => {
    const bench = protectedBench();
    for (let i = 0; i < 3; i++) read(bench, guarded, wrong);
    await bench.clock.advance(999_999);
    expect(failures(bench)).toBe(3);
    await bench.clock.advance(1);
    expect(failures(bench)).toBe(2);
    await bench.clock.advance(600_000);
    // A new failure begins the time anew.
    read(bench, guarded, wrong);
    await bench.clock.advance(999_999);
    expect(failures(bench)).toBe(3);
    await bench.clock.advance(2_000_001);
    expect(failures(bench)).toBe(0);
  });

  it("goes by the TPM's own clock", async () => {
    const bench = protectedBench();
    for (let i = 0; i < 3; i++) read(bench, guarded, wrong);
    for (let i = 0; i < 10; i++) bench.ask(TPM2_ClockRateAdjust, { auth: OWNER, rateAdjust: 'coarseSlower' });
    await bench.clock.advance(1_050_000);
    expect(read(bench, guarded, right)).toBe(LOCKED);
    await bench.clock.advance(51_000);
    expect(read(bench, guarded, right)).toBe(0);
  });

  it('counts only time with power in one piece', async () => {
    const bench = protectedBench();
    await bench.clock.advance(500_000);
    for (let i = 0; i < 3; i++) read(bench, guarded, wrong);
    await bench.clock.advance(900_000);
    bench.cycle('clear');
    await bench.clock.advance(900_000);
    expect(read(bench, guarded, right)).toBe(LOCKED);
    await bench.clock.advance(100_000);
    expect(read(bench, guarded, right)).toBe(0);
  });

  it('is off with a recovery time of 0, and always locked with no try at all', () => {
    const bench = protectedBench();
    for (let i = 0; i < 2; i++) read(bench, guarded, wrong);
    expect(parameters(bench, 3, 0, 1000)).toBe(0);
    expect(failures(bench)).toBe(0);
    for (let i = 0; i < 5; i++) expect(read(bench, guarded, wrong)).toBe(AUTH_FAIL);
    expect(read(bench, guarded, right)).toBe(0);
    read(bench, guarded, wrong);
    parameters(bench, 3, 1000, 1000);
    expect(failures(bench)).toBe(0);
    parameters(bench, 0, 1000, 1000);
    expect(read(bench, guarded, right)).toBe(LOCKED);
  });

  it('keeps failures and parameters over power cuts and in the store', () => {
    const bench = protectedBench();
    parameters(bench, 5, 2000, 3000);
    for (let i = 0; i < 2; i++) read(bench, guarded, wrong);
    bench.cycle('clear');
    bench.chip.shutDown('clear');
    bench.reboot();
    bench.chip.startup('clear');
    expect(failures(bench)).toBe(2);
    expect(bench.chip).toMatchObject({ maxTries: 5, recoveryTime: 2000, lockoutRecovery: 3000 });
    bench.ask(TPM2_Clear, { authHandle: PLATFORM });
    expect(failures(bench)).toBe(0);
    expect(bench.chip).toMatchObject({ maxTries: 3, recoveryTime: 1000, lockoutRecovery: 1000 });
  });
});

describe('a start without TPM2_Shutdown', () => {
  it('counts a failure if a guarded value had been looked at, for a failure might have been hidden', () => {
    const bench = protectedBench();
    bench.cycle();
    expect(failures(bench)).toBe(0);
    read(bench, open, wrong);
    bench.cycle();
    expect(failures(bench)).toBe(0);
    bench.chip.dirty = false;
    read(bench, guarded, right);
    // That it was looked at is stored before it is told.
    expect(bench.chip.dirty).toBe(true);
    bench.reboot();
    bench.chip.startup('clear');
    expect(failures(bench)).toBe(1);
    bench.cycle();
    expect(failures(bench)).toBe(1);
  });

  it('counts none above the limit, and none with protection off', () => {
    const bench = protectedBench();
    for (let i = 0; i < 3; i++) read(bench, guarded, wrong);
    bench.cycle();
    expect(failures(bench)).toBe(3);
    parameters(bench, 3, 0, 0);
    read(bench, guarded, right);
    bench.cycle();
    expect(failures(bench)).toBe(0);
  });

  it('counts a use that came after TPM2_Shutdown', () => {
    const bench = protectedBench();
    read(bench, guarded, right);
    bench.cycle('clear');
    expect(failures(bench)).toBe(0);
    read(bench, guarded, right);
    bench.chip.shutDown('clear');
    read(bench, guarded, right);
    bench.cycle();
    expect(failures(bench)).toBe(1);
  });
});

describe('lockoutAuth', () => {
  const closed = (): Bench => {
    const bench = protectedBench();
    bench.ask(TPM2_HierarchyChangeAuth, { authHandle: LOCKOUT, newAuth: right });
    return bench;
  };

  it('is closed by a single wrong try, for lockoutRecovery seconds with power', async () => {
    const bench = closed();
    expect(lockReset(bench, wrong)).toBe(AUTH_FAIL);
    expect(lockReset(bench, right)).toBe(LOCKED);
    expect(failures(bench)).toBe(0);
    await bench.clock.advance(999_999);
    expect(lockReset(bench, right)).toBe(LOCKED);
    await bench.clock.advance(1);
    expect(lockReset(bench, right)).toBe(0);
  });

  it('stays closed over a reset, whose power begins the time anew', async () => {
    const bench = closed();
    await bench.clock.advance(500_000);
    lockReset(bench, wrong);
    await bench.clock.advance(900_000);
    bench.cycle('clear');
    await bench.clock.advance(900_000);
    expect(lockReset(bench, right)).toBe(LOCKED);
    await bench.clock.advance(100_000);
    expect(lockReset(bench, right)).toBe(0);
  });

  it('with a recovery time of 0 opens with the next start, and not before', async () => {
    const bench = protectedBench();
    parameters(bench, 3, 1000, 0);
    bench.ask(TPM2_HierarchyChangeAuth, { authHandle: LOCKOUT, newAuth: right });
    lockReset(bench, wrong);
    await bench.clock.advance(100_000_000);
    expect(lockReset(bench, right)).toBe(LOCKED);
    bench.cycle('clear');
    expect(lockReset(bench, right)).toBe(0);
  });

  it('cannot be guessed by a session bound to it either', () => {
    const bench = closed();
    const { sessionHandle } = bench.ask(TPM2_StartAuthSession, { ...keyless('hmac'), bind: LOCKOUT });
    // The HMAC key of the session is made from lockoutAuth, whatever it authorises.
    const guess = { sessionHandle, hmac: new Uint8Array(32) };
    const request = { authHandle: OWNER, newAuth: none };
    expect(bench.code(TPM2_HierarchyChangeAuth, request, guess)).toBe(AUTH_FAIL);
    expect(bench.code(TPM2_HierarchyChangeAuth, request, guess)).toBe(LOCKED);
    expect(lockReset(bench, right)).toBe(LOCKED);
  });

  it('that is closed does not close the policy of the lockout hierarchy', () => {
    const bench = closed();
    const { code } = TPM2_DictionaryAttackLockReset;
    const authPolicy = Policy.start('sha256').commandCode(code).digest;
    bench.ask(TPM2_SetPrimaryPolicy, { authHandle: LOCKOUT, authPolicy, hashAlg: 'sha256' }, right);
    lockReset(bench, wrong);
    const session = bench.policy(code);
    expect(
      bench.code(TPM2_DictionaryAttackLockReset, { lockHandle: LOCKOUT }, { sessionHandle: session }),
    ).toBe(0);
  });
});
