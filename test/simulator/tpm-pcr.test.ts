import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { concat, hex } from '../../src/core/bytes.ts';
import {
  TPM2_Clear,
  TPM2_CreatePrimary,
  TPM2_GetCapability,
  TPM2_GetRandom,
  TPM2_PCR_Allocate,
  TPM2_PCR_Event,
  TPM2_PCR_Extend,
  TPM2_PCR_Read,
  TPM2_PCR_Reset,
  TPM2_PCR_SetAuthPolicy,
  TPM2_PCR_SetAuthValue,
  TPM2_Quote,
  TPM2_ReadClock,
  TPM2_Shutdown,
  TPM2_Startup,
} from '../../src/tpm/commands.ts';
import { Policy, pcrDigest, readAttest, srkTemplate } from '../../src/tpm/index.ts';
import type { Proof } from '../tpm/raw.ts';
import { Bench } from './tpm-bench.ts';

const none = new Uint8Array();
const text = (value: string) => new TextEncoder().encode(value);
const banks = ['sha1', 'sha256', 'sha384', 'sha512'] as const;
type Bank = (typeof banks)[number];
const sizes = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 } as const;
const hash = (bank: Bank, ...parts: readonly Uint8Array[]) =>
  new Uint8Array(
    createHash(bank)
      .update(concat(...parts))
      .digest(),
  );
/** All zeros but for the last byte. */
const ending = (bank: Bank, last: number) => {
  const value = new Uint8Array(sizes[bank]);
  value[value.length - 1] = last;
  return value;
};

const OWNER = 0x40000001;
const LOCKOUT = 0x4000000a;
const PLATFORM = 0x4000000c;
const everyPcr = Array.from({ length: 24 }, (_, pcr) => pcr);

/** The value, or `undefined` when the bank does not have the PCR. */
function valueIn(bench: Bench, pcr: number, bank: Bank = 'sha256'): string | undefined {
  const pcrSelectionIn = [{ hash: bank, pcrSelect: [pcr] }];
  const [value] = bench.ask(TPM2_PCR_Read, { pcrSelectionIn }).pcrValues;
  return value && hex(value);
}

const counter = (bench: Bench) => bench.ask(TPM2_PCR_Read, { pcrSelectionIn: [] }).pcrUpdateCounter;
const extendCode = (bench: Bench, pcrHandle: number, proof: Proof = none) =>
  bench.code(
    TPM2_PCR_Extend,
    { pcrHandle, digests: [{ hashAlg: 'sha256', digest: new Uint8Array(32) }] },
    proof,
  );
const allocate = (bench: Bench, allocation: Partial<Record<Bank, readonly number[]>>) =>
  bench.code(TPM2_PCR_Allocate, {
    authHandle: PLATFORM,
    pcrAllocation: banks.flatMap((bank) => {
      const pcrSelect = allocation[bank];
      return pcrSelect === undefined ? [] : [{ hash: bank, pcrSelect }];
    }),
  });
const allocated = (bench: Bench) => {
  const { capabilityData } = bench.ask(TPM2_GetCapability, {
    capability: 'pcrs',
    property: 0,
    propertyCount: 1,
  });
  return Object.fromEntries(
    capabilityData.capability === 'pcrs'
      ? capabilityData.data.map((one) => [one.hash, one.pcrSelect.length])
      : [],
  );
};

describe('the banks of PCRs', () => {
  it('are as TPM2_PCR_Allocate says from the next start on, and stored', () => {
    const bench = new Bench();
    expect(allocated(bench)).toEqual({ sha1: 24, sha256: 24, sha384: 24, sha512: 24 });
    expect(allocate(bench, { sha1: [], sha384: [0, 7] })).toBe(0);
    expect(allocated(bench)).toEqual({ sha1: 24, sha256: 24, sha384: 24, sha512: 24 });
    bench.chip.shutDown('clear');
    bench.reboot();
    bench.chip.startup('clear');
    expect(allocated(bench)).toEqual({ sha1: 0, sha256: 24, sha384: 2, sha512: 24 });
    const all = banks.map((bank) => [0, 1].map((pcr) => valueIn(bench, pcr, bank)?.length));
    expect(all).toEqual([
      [undefined, undefined],
      [64, 64],
      [96, undefined],
      [128, 128],
    ]);
  });

  it('that are off are extended in vain, and the others as ever', () => {
    const bench = new Bench();
    allocate(bench, { sha1: [], sha384: [], sha512: [] });
    bench.cycle('clear');
    const before = counter(bench);
    const { digests } = bench.ask(TPM2_PCR_Event, { pcrHandle: 9, eventData: text('abc') });
    expect(digests.map(({ digest }) => hex(digest))).toEqual(
      banks.map((bank) => hex(hash(bank, text('abc')))),
    );
    expect(counter(bench)).toBe(before + 1);
    expect(valueIn(bench, 9)).toBe(hex(hash('sha256', new Uint8Array(32), hash('sha256', text('abc')))));
  });

  it('must have a PCR for each root of trust', () => {
    const bench = new Bench();
    expect(allocate(bench, { sha1: [], sha256: [], sha384: [], sha512: [] })).toBe(0x127);
    expect(allocate(bench, { sha1: [0], sha256: [], sha384: [], sha512: [] })).toBe(0x127);
    expect(allocate(bench, { sha1: [0], sha256: [17], sha384: [], sha512: [] })).toBe(0);
  });

  it('that will change cannot be kept by TPM2_Shutdown(STATE)', () => {
    const bench = new Bench();
    allocate(bench, { sha1: [] });
    expect(bench.code(TPM2_Shutdown, { shutdownType: 'state' })).toBe(0x1ca);
    expect(bench.code(TPM2_Shutdown, { shutdownType: 'clear' })).toBe(0);
    bench.cycle();
    expect(bench.code(TPM2_Shutdown, { shutdownType: 'state' })).toBe(0);
  });

  it('are quoted and written into creation data only as far as they are there', () => {
    const bench = new Bench();
    allocate(bench, { sha1: [], sha256: everyPcr.filter((pcr) => pcr !== 1) });
    bench.cycle('clear');
    const selection = [
      { hash: 'sha1', pcrSelect: [0] },
      { hash: 'sha256', pcrSelect: [0, 1, 2] },
    ] as const;
    const left = [
      { hash: 'sha1', pcrSelect: [] },
      { hash: 'sha256', pcrSelect: [0, 2] },
    ];
    const digest = pcrDigest('sha256', [new Uint8Array(32), new Uint8Array(32)]);
    const { quoted } = bench.ask(TPM2_Quote, {
      signHandle: 0x40000007,
      qualifyingData: none,
      inScheme: { scheme: 'null' },
      PCRselect: selection,
    });
    expect(readAttest(quoted)).toMatchObject({ attested: { pcrSelect: left, pcrDigest: digest } });
    const { creationData } = bench.ask(TPM2_CreatePrimary, {
      primaryHandle: OWNER,
      inPublic: srkTemplate,
      inSensitive: { userAuth: none, data: none },
      outsideInfo: none,
      creationPCR: selection,
    });
    expect(creationData).toMatchObject({ pcrSelect: left, pcrDigest: digest });
  });
});

describe('a root of trust', () => {
  const measure = (bench: Bench) => {
    bench.chip.hashStart();
    bench.chip.hashData(text('ab'));
    bench.chip.hashData(text('c'));
  };

  it('that measures before TPM2_Startup finds its way into PCR 0, in every bank', () => {
    const bench = new Bench();
    bench.chip.powerOn();
    measure(bench);
    bench.chip.hashEnd();
    bench.chip.startup('clear');
    for (const bank of banks)
      expect(valueIn(bench, 0, bank)).toBe(hex(hash(bank, ending(bank, 4), hash(bank, text('abc')))));
    // The next power on knows nothing of it.
    bench.cycle('clear');
    expect(valueIn(bench, 0)).toBe('00'.repeat(32));
  });

  it('leaves a bank that has no PCR 0 as it is', () => {
    const bench = new Bench();
    allocate(bench, { sha1: [1] });
    bench.chip.powerOn();
    measure(bench);
    bench.chip.hashEnd();
    bench.chip.startup('clear');
    expect(valueIn(bench, 0, 'sha256')).not.toBe('00'.repeat(32));
    expect([...bench.chip.banks.sha1.keys()]).toEqual([1]);
  });

  it('must have measured before a resume if it had before, and must not if it had not', () => {
    const bench = new Bench();
    const resume = (withHcrtm: boolean) => {
      bench.chip.powerOn();
      if (withHcrtm) measure(bench);
      bench.chip.hashEnd();
      return bench.code(TPM2_Startup, { startupType: 'state' });
    };
    bench.ask(TPM2_Shutdown, { shutdownType: 'state' });
    expect([resume(true), resume(false)]).toEqual([0x1c4, 0]);
    bench.chip.powerOn();
    measure(bench);
    bench.chip.hashEnd();
    bench.chip.startup('clear');
    const before = valueIn(bench, 0);
    bench.ask(TPM2_Shutdown, { shutdownType: 'state' });
    expect([resume(false), resume(true)]).toEqual([0x1c4, 0]);
    expect(valueIn(bench, 0)).toBe(before);
  });

  it('that measures later resets the dynamic PCRs, and finds its way into PCR 17', () => {
    const bench = new Bench();
    expect(valueIn(bench, 18)).toBe('ff'.repeat(32));
    const restarts = () => bench.ask(TPM2_ReadClock, {}).currentTime.clockInfo.restartCount;
    const [before, count] = [restarts(), counter(bench)];
    measure(bench);
    bench.chip.hashEnd();
    for (const bank of banks)
      expect(valueIn(bench, 17, bank)).toBe(
        hex(hash(bank, new Uint8Array(sizes[bank]), hash(bank, text('abc')))),
      );
    for (const pcr of [18, 19, 20, 21, 22]) expect(valueIn(bench, pcr)).toBe('00'.repeat(32));
    expect([restarts(), counter(bench)]).toEqual([before + 1, count + 4]);
  });

  it('that is interrupted by a command has measured nothing', () => {
    const bench = new Bench();
    measure(bench);
    bench.ask(TPM2_GetRandom, { bytesRequested: 1 });
    bench.chip.hashEnd();
    expect(valueIn(bench, 17)).toBe('ff'.repeat(32));
    bench.chip.hashData(text('abc'));
    bench.chip.hashEnd();
    expect(valueIn(bench, 17)).toBe('ff'.repeat(32));
  });
});

describe('the locality of a start', () => {
  it('is 0 or 3, shows in PCR 0, and must be the same for a resume', () => {
    const bench = new Bench();
    const start = (locality: number, startupType: 'clear' | 'state') => {
      bench.chip.locality = locality;
      const code = bench.code(TPM2_Startup, { startupType });
      bench.chip.locality = 0;
      return code;
    };
    bench.chip.powerOn();
    expect([1, 2, 4].map((locality) => start(locality, 'clear'))).toEqual([0x907, 0x907, 0x907]);
    expect(start(3, 'clear')).toBe(0);
    for (const bank of banks) expect(valueIn(bench, 0, bank)).toBe(hex(ending(bank, 3)));
    bench.ask(TPM2_Shutdown, { shutdownType: 'state' });
    bench.chip.powerOn();
    expect([start(0, 'state'), start(3, 'state')]).toEqual([0x907, 0]);
    expect(valueIn(bench, 0)).toBe(hex(ending('sha256', 3)));
  });
});

describe('PCRs 20 to 22', () => {
  it('can have an auth value, until the next TPM2_Startup(CLEAR) or TPM2_Clear', () => {
    const bench = new Bench();
    bench.chip.locality = 2;
    const set = (pcrHandle: number) => bench.code(TPM2_PCR_SetAuthValue, { pcrHandle, auth: text('pcr') });
    expect([set(16), set(19), set(23), set(20)]).toEqual([0x84, 0x84, 0x84, 0]);
    expect([extendCode(bench, 21), extendCode(bench, 21, text('pcr')), extendCode(bench, 19)]).toEqual([
      0x9a2, 0, 0,
    ]);
    bench.chip.locality = 0;
    bench.chip.shutDown('state');
    bench.reboot();
    bench.chip.startup('state');
    bench.chip.locality = 2;
    expect([extendCode(bench, 22), extendCode(bench, 22, text('pcr'))]).toEqual([0x9a2, 0]);
    bench.chip.locality = 0;
    bench.cycle('state');
    bench.chip.locality = 2;
    expect([extendCode(bench, 22), set(22), extendCode(bench, 22)]).toEqual([0, 0, 0x9a2]);
    bench.ask(TPM2_Clear, { authHandle: LOCKOUT });
    expect(extendCode(bench, 22)).toBe(0);
  });

  it('with a policy can be changed by that alone, also after a reset', () => {
    const bench = new Bench();
    const authPolicy = Policy.start('sha256').commandCode(TPM2_PCR_Extend.code).digest;
    const set = (pcrNum: number, policy = authPolicy, hashAlg: 'sha256' | 'null' = 'sha256') =>
      bench.code(TPM2_PCR_SetAuthPolicy, { authHandle: PLATFORM, authPolicy: policy, hashAlg, pcrNum });
    expect([set(16), set(24), set(20, none), set(20)]).toEqual([0x3c4, 0x3c4, 0x1d5, 0]);
    bench.reboot();
    bench.chip.startup('clear');
    bench.chip.locality = 2;
    expect(extendCode(bench, 21)).toBe(0x124);
    expect(extendCode(bench, 21, { sessionHandle: bench.policy(TPM2_PCR_Extend.code) })).toBe(0);
    expect(extendCode(bench, 16, { sessionHandle: bench.policy(TPM2_PCR_Extend.code) })).toBe(0x12f);
    expect(bench.code(TPM2_PCR_Reset, { pcrHandle: 20 })).toBe(0x124);
    set(20, none, 'null');
    expect(extendCode(bench, 21)).toBe(0);
  });
});

describe('pcrUpdateCounter', () => {
  it('counts changes of all PCRs but 16 and 21 to 23, bank by bank, and starts with those of a start', () => {
    const bench = new Bench();
    expect(counter(bench)).toBe(20);
    const extended = (pcr: number) => {
      expect(extendCode(bench, pcr)).toBe(0);
      return counter(bench);
    };
    expect([extended(0), extended(16), extended(23), extended(15)]).toEqual([21, 21, 21, 22]);
    bench.ask(TPM2_PCR_Event, { pcrHandle: 1, eventData: none });
    expect(counter(bench)).toBe(26);
    bench.chip.locality = 2;
    bench.ask(TPM2_PCR_Reset, { pcrHandle: 20 });
    bench.ask(TPM2_PCR_Reset, { pcrHandle: 21 });
    expect(counter(bench)).toBe(27);
    bench.chip.locality = 0;
    bench.chip.shutDown('state');
    bench.reboot();
    bench.chip.startup('state');
    expect(counter(bench)).toBe(27 + 4);
    bench.cycle('state');
    expect(counter(bench)).toBe(31 + 20);
    bench.cycle('clear');
    expect(counter(bench)).toBe(20);
  });
});
