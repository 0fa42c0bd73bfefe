import { describe, expect, it } from 'vitest';
import { hex } from '../../src/core/bytes.ts';
import {
  TPM2_NV_DefineSpace,
  TPM2_NV_Read,
  TPM2_NV_Write,
  TPM2_PolicySecret,
  TPM2_Startup,
} from '../../src/tpm/commands.ts';
import type { TPMA_NV } from '../../src/tpm/index.ts';
import { Bench } from './tpm-bench.ts';

const none = new Uint8Array();
const text = (value: string) => new TextEncoder().encode(value);

const OWNER = 0x40000001;
const index = 0x01500001;
const pin = text('1234');
const wrong = text('0000');

/** A PIN index with a count of 0 and this limit. */
function pinIndex(nt: 'pinFail' | 'pinPass', limit: number, attributes: Partial<TPMA_NV> = {}): Bench {
  const bench = new Bench();
  bench.ask(TPM2_NV_DefineSpace, {
    authHandle: OWNER,
    auth: pin,
    publicInfo: {
      nvIndex: index,
      nameAlg: 'sha256',
      attributes: { nt, ownerread: true, ownerwrite: true, authread: true, noDa: true, ...attributes },
      authPolicy: none,
      dataSize: 8,
    },
  });
  bench.ask(TPM2_NV_Write, {
    authHandle: OWNER,
    nvIndex: index,
    data: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, limit),
    offset: 0,
  });
  return bench;
}

const read = (bench: Bench, guess: Uint8Array) =>
  bench.code(TPM2_NV_Read, { authHandle: index, nvIndex: index, size: 8, offset: 0 }, guess);
const countOf = (bench: Bench) =>
  hex(bench.ask(TPM2_NV_Read, { authHandle: OWNER, nvIndex: index, size: 4, offset: 0 }).data);

describe('a PIN FAIL index (Part 1 §37.2.8)', () => {
  it('counts wrong values in a row, and at its limit can no longer be used', () => {
    const bench = pinIndex('pinFail', 2);
    expect([read(bench, wrong), countOf(bench)]).toEqual([0x9a2, '00000001']);
    expect([read(bench, pin), countOf(bench)]).toEqual([0, '00000000']);
    expect([read(bench, wrong), read(bench, wrong)]).toEqual([0x9a2, 0x9a2]);
    expect([read(bench, pin), countOf(bench)]).toEqual([0x12f, '00000002']);
  });

  it('counts a failure before it is told, also in the store', () => {
    const bench = pinIndex('pinFail', 2);
    bench.chip.dirty = false;
    read(bench, wrong);
    expect(bench.chip.dirty).toBe(true);
    bench.reboot();
    bench.chip.startup('clear');
    expect(countOf(bench)).toBe('00000001');
  });

  it('that is orderly does not forget a failure by a resume', () => {
    const bench = pinIndex('pinFail', 1, { orderly: true });
    bench.chip.shutDown('state');
    read(bench, wrong);
    expect(bench.chip.shutdown).toBe(null);
    bench.chip.powerOn();
    expect(bench.code(TPM2_Startup, { startupType: 'state' })).toBe(0x1c4);
    bench.chip.startup('clear');
    expect(read(bench, pin)).toBe(0x12f);
  });

  it('can be used again when its owner writes a new count', () => {
    const bench = pinIndex('pinFail', 1);
    read(bench, wrong);
    expect(read(bench, pin)).toBe(0x12f);
    const data = Uint8Array.of(0, 0, 0, 0);
    bench.ask(TPM2_NV_Write, { authHandle: OWNER, nvIndex: index, data, offset: 0 });
    expect(read(bench, pin)).toBe(0);
  });
});

describe('a PIN PASS index', () => {
  it('counts right values only, and at its limit can no longer be used', () => {
    const bench = pinIndex('pinPass', 2);
    expect([read(bench, wrong), countOf(bench)]).toEqual([0x9a2, '00000000']);
    expect([read(bench, pin), read(bench, pin)]).toEqual([0, 0]);
    expect([read(bench, pin), countOf(bench)]).toEqual([0x12f, '00000002']);
  });

  it('authorises TPM2_PolicySecret as often', () => {
    const bench = pinIndex('pinPass', 1);
    const policySession = bench.policySession();
    const secret = () =>
      bench.code(
        TPM2_PolicySecret,
        { authHandle: index, policySession, nonceTPM: none, cpHashA: none, policyRef: none, expiration: 0 },
        pin,
      );
    expect([secret(), secret()]).toEqual([0, 0x12f]);
  });
});

describe('any PIN index', () => {
  it('authorises nothing before it is written', () => {
    const bench = new Bench();
    bench.ask(TPM2_NV_DefineSpace, {
      authHandle: OWNER,
      auth: pin,
      publicInfo: {
        nvIndex: index,
        nameAlg: 'sha256',
        attributes: { nt: 'pinPass', ownerread: true, ownerwrite: true, authread: true },
        authPolicy: none,
        dataSize: 8,
      },
    });
    expect(read(bench, pin)).toBe(0x12f);
  });
});
