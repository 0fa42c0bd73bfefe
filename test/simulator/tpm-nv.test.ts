import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, hex } from '../../src/core/bytes.ts';
import {
  TPM2_Clear,
  TPM2_CreatePrimary,
  TPM2_EvictControl,
  TPM2_NV_Certify,
  TPM2_NV_ChangeAuth,
  TPM2_NV_DefineSpace,
  TPM2_NV_Extend,
  TPM2_NV_GlobalWriteLock,
  TPM2_NV_Increment,
  TPM2_NV_Read,
  TPM2_NV_ReadLock,
  TPM2_NV_ReadPublic,
  TPM2_NV_SetBits,
  TPM2_NV_UndefineSpace,
  TPM2_NV_UndefineSpaceSpecial,
  TPM2_NV_Write,
  TPM2_NV_WriteLock,
} from '../../src/tpm/commands.ts';
import type { TPMA_NV } from '../../src/tpm/index.ts';
import { iakTemplate, Policy, readAttest, srkTemplate } from '../../src/tpm/index.ts';
import { Bench } from './tpm-bench.ts';

const none = new Uint8Array();
const text = (value: string) => new TextEncoder().encode(value);
const sha256 = (...parts: readonly Uint8Array[]) =>
  new Uint8Array(
    createHash('sha256')
      .update(concat(...parts))
      .digest(),
  );

const OWNER = 0x40000001;
const PLATFORM = 0x4000000c;
const index = 0x01500001;
const onIndex = { authHandle: index, nvIndex: index };
const byAll: TPMA_NV = {
  nt: 'ordinary',
  ownerread: true,
  ownerwrite: true,
  authread: true,
  authwrite: true,
  noDa: true,
};

interface New {
  readonly attributes?: Partial<TPMA_NV>;
  readonly size?: number;
  readonly by?: number;
  readonly auth?: Uint8Array;
  readonly authPolicy?: Uint8Array;
  readonly at?: number;
}

function define(
  bench: Bench,
  { attributes, size = 8, by = OWNER, auth = none, authPolicy = none, at = index }: New,
) {
  return bench.code(TPM2_NV_DefineSpace, {
    authHandle: by,
    auth,
    publicInfo: {
      nvIndex: at,
      nameAlg: 'sha256',
      attributes: { ...byAll, ...attributes },
      authPolicy,
      dataSize: size,
    },
  });
}

const write = (bench: Bench, data: Uint8Array, offset = 0) =>
  bench.code(TPM2_NV_Write, { ...onIndex, data, offset });
const increment = (bench: Bench) => bench.code(TPM2_NV_Increment, onIndex);
const readCode = (bench: Bench) => bench.code(TPM2_NV_Read, { ...onIndex, size: 8, offset: 0 });
const read = (bench: Bench) => hex(bench.ask(TPM2_NV_Read, { ...onIndex, size: 8, offset: 0 }).data);
const attributesOf = (bench: Bench) => bench.ask(TPM2_NV_ReadPublic, { nvIndex: index }).nvPublic.attributes;

describe('an index of the software TPM', () => {
  it('that extends holds H(old ‖ data), from zeros on', () => {
    const bench = new Bench();
    define(bench, { attributes: { nt: 'extend' }, size: 32 });
    bench.ask(TPM2_NV_Extend, { ...onIndex, data: text('abc') });
    bench.ask(TPM2_NV_Extend, { ...onIndex, data: none });
    const { data } = bench.ask(TPM2_NV_Read, { ...onIndex, size: 32, offset: 0 });
    expect(hex(data)).toBe(hex(sha256(sha256(new Uint8Array(32), text('abc')))));
    expect(write(bench, new Uint8Array(32))).toBe(0x82);
  });

  it('of bits only ever sets them', () => {
    const bench = new Bench();
    define(bench, { attributes: { nt: 'bits' } });
    bench.ask(TPM2_NV_SetBits, { ...onIndex, bits: 0x8001n });
    bench.ask(TPM2_NV_SetBits, { ...onIndex, bits: 1n << 63n });
    bench.ask(TPM2_NV_SetBits, { ...onIndex, bits: 0n });
    expect(read(bench)).toBe('8000000000008001');
    expect(increment(bench)).toBe(0x282);
  });

  it('shows ones, or zeros if it is orderly, where a first write did not reach', () => {
    const bench = new Bench();
    define(bench, {});
    write(bench, text('ab'), 3);
    expect(read(bench)).toBe('ffffff6162ffffff');
    bench.ask(TPM2_NV_UndefineSpace, { authHandle: OWNER, nvIndex: index });
    define(bench, { attributes: { orderly: true } });
    write(bench, text('ab'), 3);
    expect(read(bench)).toBe('0000006162000000');
  });

  it('is blank again after a start that cleared it, whatever is written first', () => {
    const bench = new Bench();
    define(bench, { attributes: { clearStclear: true } });
    write(bench, text('12345678'));
    bench.cycle('state');
    expect(readCode(bench)).toBe(0x14a);
    write(bench, text('a'));
    expect(read(bench)).toBe('61ffffffffffffff');
  });

  it('stays locked for ever by WRITEDEFINE, until the next start by WRITE_STCLEAR and READ_STCLEAR', () => {
    const bench = new Bench();
    define(bench, { attributes: { writedefine: true } });
    write(bench, text('a'));
    bench.ask(TPM2_NV_WriteLock, onIndex);
    bench.cycle('clear');
    expect(write(bench, text('b'))).toBe(0x148);
    bench.ask(TPM2_NV_UndefineSpace, { authHandle: OWNER, nvIndex: index });
    define(bench, { attributes: { writeStclear: true, readStclear: true } });
    write(bench, text('a'));
    bench.ask(TPM2_NV_WriteLock, onIndex);
    bench.ask(TPM2_NV_ReadLock, onIndex);
    bench.cycle('state', 'state');
    expect([write(bench, text('b')), readCode(bench)]).toEqual([0x148, 0x148]);
    bench.cycle('state');
    expect([write(bench, text('b')), readCode(bench)]).toEqual([0, 0]);
  });

  it('with GLOBALLOCK is locked with all others that have it', () => {
    const bench = new Bench();
    define(bench, { attributes: { globallock: true } });
    define(bench, { at: index + 1 });
    bench.ask(TPM2_NV_GlobalWriteLock, { authHandle: OWNER });
    expect(write(bench, text('a'))).toBe(0x148);
    expect(
      bench.code(TPM2_NV_Write, { authHandle: OWNER, nvIndex: index + 1, data: text('a'), offset: 0 }),
    ).toBe(0);
    expect(attributesOf(bench).writelocked).toBe(true);
  });
});

describe('an orderly index of the software TPM', () => {
  it('costs no write to the store, keeps its value over TPM2_Shutdown and TPM2_Startup(STATE), and loses it with a reset', () => {
    const bench = new Bench();
    define(bench, { attributes: { orderly: true } });
    bench.chip.dirty = false;
    write(bench, text('12345678'));
    expect(bench.chip.dirty).toBe(false);
    bench.cycle('state', 'state');
    expect(read(bench)).toBe(hex(text('12345678')));
    bench.cycle('state');
    expect(read(bench)).toBe(hex(text('12345678')));
    bench.cycle('clear');
    expect(readCode(bench)).toBe(0x14a);
  });

  it('falls back to what the last TPM2_Shutdown kept when power is cut', () => {
    const bench = new Bench();
    define(bench, { attributes: { orderly: true, nt: 'bits' } });
    bench.ask(TPM2_NV_SetBits, { ...onIndex, bits: 1n });
    bench.chip.shutDown('clear');
    bench.ask(TPM2_NV_SetBits, { ...onIndex, bits: 2n });
    expect(bench.chip.shutdown).toBe(null);
    bench.chip.powerOn();
    expect(hex(bench.chip.nv.get(index)?.data ?? none)).toBe('0000000000000001');
  });

  it('that counts goes on above whatever it may have shown, after a power cut', () => {
    const bench = new Bench();
    define(bench, { attributes: { nt: 'counter', orderly: true } });
    for (let i = 0; i < 3; i++) increment(bench);
    bench.cycle('clear');
    expect(read(bench)).toBe('0000000000000003');
    bench.cycle();
    expect(read(bench)).toBe('00000000000000ff');
    bench.chip.dirty = false;
    increment(bench);
    // The lower bits are 0: now it is stored.
    expect(bench.chip.dirty).toBe(true);
    bench.reboot();
    bench.chip.startup('clear');
    expect(read(bench)).toBe('00000000000001ff');
  });
});

describe('a counter of the software TPM', () => {
  it('never shows a value twice or a lower one, whatever happens to power, store, index and owner', () => {
    const step = fc.constantFrom(
      'up',
      'up',
      'up',
      'cut',
      'orderly',
      'reboot',
      'redefine',
      'clear',
      'store fails',
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, orderly) => {
        const bench = new Bench();
        const attributes = { nt: 'counter', orderly } as const;
        define(bench, { attributes });
        let highest = 0n;
        let durable = bench.chip.snapshot();
        for (const one of steps) {
          if (one === 'up') {
            expect(increment(bench)).toBe(0);
            const value = BigInt(`0x${read(bench)}`);
            expect(value).toBeGreaterThan(highest);
            highest = value;
          } else if (one === 'cut') bench.cycle();
          else if (one === 'orderly') bench.cycle('clear');
          else if (one === 'reboot') {
            bench.reboot();
            bench.chip.startup('clear');
          } else if (one === 'redefine') {
            bench.ask(TPM2_NV_UndefineSpace, { authHandle: OWNER, nvIndex: index });
            define(bench, { attributes });
          } else if (one === 'clear') {
            bench.ask(TPM2_Clear, { authHandle: PLATFORM });
            define(bench, { attributes });
          } else bench.chip.restore(durable);
          durable = bench.chip.snapshot();
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('the administration of an index', () => {
  it('needs a policy that names the command: TPM2_NV_ChangeAuth', () => {
    const bench = new Bench();
    const { code } = TPM2_NV_ChangeAuth;
    const authPolicy = Policy.start('sha256').commandCode(code).digest;
    define(bench, { auth: text('old'), authPolicy });
    const newAuth = text('new');
    expect(bench.code(TPM2_NV_ChangeAuth, { nvIndex: index, newAuth }, text('old'))).toBe(0x124);
    const session = bench.policy(code);
    expect(bench.code(TPM2_NV_ChangeAuth, { nvIndex: index, newAuth }, { sessionHandle: session })).toBe(0);
    const data = text('a');
    expect(bench.code(TPM2_NV_Write, { ...onIndex, data, offset: 0 }, text('old'))).toBe(0x9a2);
    expect(bench.code(TPM2_NV_Write, { ...onIndex, data, offset: 0 }, text('new'))).toBe(0);
    // It is stored, too.
    bench.reboot();
    bench.chip.startup('clear');
    expect(bench.code(TPM2_NV_Write, { ...onIndex, data, offset: 0 }, text('new'))).toBe(0);
  });

  it('removes an index with POLICY_DELETE only together with the platform: TPM2_NV_UndefineSpaceSpecial', () => {
    const bench = new Bench();
    const { code } = TPM2_NV_UndefineSpaceSpecial;
    const authPolicy = Policy.start('sha256').commandCode(code).digest;
    const attributes = { policyDelete: true, platformcreate: true } as const;
    expect(define(bench, { attributes, authPolicy })).toBe(0x182);
    expect(define(bench, { attributes, authPolicy, by: PLATFORM })).toBe(0);
    const request = { nvIndex: index, platform: PLATFORM };
    expect(bench.code(TPM2_NV_UndefineSpace, { authHandle: PLATFORM, nvIndex: index })).toBe(0x282);
    expect(bench.code(TPM2_NV_UndefineSpaceSpecial, request)).toBe(0x124);
    const other = bench.policy(TPM2_NV_ChangeAuth.code);
    expect(bench.code(TPM2_NV_UndefineSpaceSpecial, request, { sessionHandle: other })).not.toBe(0);
    const session = bench.policy(code);
    expect(bench.code(TPM2_NV_UndefineSpaceSpecial, request, { sessionHandle: session })).toBe(0);
    expect(bench.chip.nv.size).toBe(0);
  });

  it('is by policy where the attributes say so: POLICYREAD and POLICYWRITE', () => {
    const bench = new Bench();
    const authPolicy = Policy.start('sha256').commandCode(TPM2_NV_Read.code).digest;
    const attributes = { policyread: true, authread: false } as const;
    define(bench, { attributes, authPolicy });
    write(bench, text('12345678'));
    expect(readCode(bench)).toBe(0x12f);
    const session = bench.policy(TPM2_NV_Read.code);
    const request = { ...onIndex, size: 8, offset: 0 };
    expect(bench.code(TPM2_NV_Read, request, { sessionHandle: session })).toBe(0);
    const toWrite = bench.policy(TPM2_NV_Write.code);
    const data = text('a');
    expect(bench.code(TPM2_NV_Write, { ...onIndex, data, offset: 0 }, { sessionHandle: toWrite })).toBe(
      0x12f,
    );
  });
});

describe('TPM2_NV_Certify', () => {
  it('signs a part of an index, or with size and offset 0 the digest of the whole', () => {
    const bench = new Bench();
    define(bench, {});
    write(bench, text('12345678'));
    const { objectHandle: signHandle } = bench.ask(TPM2_CreatePrimary, {
      primaryHandle: 0x4000000b,
      inPublic: iakTemplate(),
      inSensitive: { userAuth: none, data: none },
      outsideInfo: none,
      creationPCR: [],
    });
    const certify = (size: number, offset: number) => ({
      signHandle,
      ...onIndex,
      qualifyingData: text('nonce'),
      inScheme: { scheme: 'null' } as const,
      size,
      offset,
    });
    const part = readAttest(bench.ask(TPM2_NV_Certify, certify(4, 2)).certifyInfo);
    expect(part).toMatchObject({ type: 'attestNv', attested: { offset: 2, nvContents: text('3456') } });
    const whole = readAttest(bench.ask(TPM2_NV_Certify, certify(0, 0)).certifyInfo);
    expect(whole).toMatchObject({
      type: 'attestNvDigest',
      attested: { nvDigest: sha256(text('12345678')) },
    });
    // At the very end nothing is left, and it is not the whole that is meant.
    expect(readAttest(bench.ask(TPM2_NV_Certify, certify(0, 8)).certifyInfo).type).toBe('attestNv');
    expect(bench.code(TPM2_NV_Certify, certify(9, 0))).toBe(0x146);
  });
});

describe('full NV', () => {
  const primary = {
    primaryHandle: OWNER,
    inPublic: srkTemplate,
    inSensitive: { userAuth: none, data: none },
    outsideInfo: none,
    creationPCR: [],
  };

  it('refuses an index with NV_SPACE, and still has room for counters and seven persistent objects', () => {
    const bench = new Bench();
    let count = 0;
    while (define(bench, { size: 2048, at: index + count }) === 0) count++;
    expect(count).toBe(68);
    expect(define(bench, { size: 2048, at: index + count })).toBe(0x14b);
    const { objectHandle } = bench.ask(TPM2_CreatePrimary, primary);
    for (let at = 0; at < 7; at++)
      bench.ask(TPM2_EvictControl, { auth: OWNER, objectHandle, persistentHandle: 0x81000000 + at });
    for (let at = 0; at < 8; at++)
      expect(define(bench, { attributes: { nt: 'counter' }, at: 0x01600000 + at })).toBe(0);
    bench.ask(TPM2_NV_UndefineSpace, { authHandle: OWNER, nvIndex: index });
    expect(define(bench, { size: 2048 })).toBe(0);
  });

  it('refuses a persistent object with NV_SPACE, and still has room for eight counters', () => {
    const bench = new Bench();
    const { objectHandle } = bench.ask(TPM2_CreatePrimary, primary);
    const persist = (at: number) =>
      bench.code(TPM2_EvictControl, { auth: OWNER, objectHandle, persistentHandle: 0x81000000 + at });
    let count = 0;
    while (count < 100 && persist(count) === 0) count++;
    expect(count).toBe(65);
    expect(persist(count)).toBe(0x14b);
    for (let at = 0; at < 8; at++)
      expect(define(bench, { attributes: { nt: 'counter' }, at: 0x01600000 + at })).toBe(0);
  });

  it('is that of orderly indices first, which live in 512 bytes of RAM', () => {
    const bench = new Bench();
    expect(define(bench, { size: 501, attributes: { orderly: true } })).toBe(0x14b);
    expect(define(bench, { size: 500, attributes: { orderly: true } })).toBe(0);
    expect(define(bench, { size: 0, attributes: { orderly: true }, at: index + 1 })).toBe(0x14b);
  });
});
