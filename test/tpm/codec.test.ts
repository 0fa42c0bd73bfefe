import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../simulator/random.ts';
import { fromHex, hex } from '../../src/core/bytes.ts';
import { OperandError, splitCommand } from '../../src/tpm/chip-framing.ts';
import type { Codec } from '../../src/tpm/codec.ts';
import { CodecError, decode, encode } from '../../src/tpm/codec.ts';
import { bytesOf, list } from '../../src/tpm/combinators.ts';
import { allCommands } from '../../src/tpm/command-table.ts';
import { decodeFields, decodeResponse, encodeCommand, encodeFields } from '../../src/tpm/framing.ts';
import { constants, flags, i32, u8, u16, u64 } from '../../src/tpm/scalars.ts';
import type { TPMT_SIGNATURE } from '../../src/tpm/structures.ts';
import * as structures from '../../src/tpm/structures.ts';
import { iakTemplate } from '../../src/tpm/templates.ts';
import {
  anyAttest,
  anyNvPublic,
  anyPcrs,
  anyPublic,
  anySensitive,
  anySignature,
  upTo,
} from './arbitraries.ts';
import { dream, Frugal } from './dreams.ts';

const seed = 20_2611;
const u32 = fc.nat(0xffffffff);
const hierarchy = fc.constantFrom(0x40000001, 0x40000007, 0x4000000b, 0x4000000c);

/** Structures with any value they can have. */
const all: readonly (readonly [Codec<unknown>, fc.Arbitrary<unknown>])[] = [
  [structures.TPMT_PUBLIC, anyPublic],
  [structures.TPM2B_PUBLIC, anyPublic],
  [structures.TPMT_SENSITIVE, anySensitive],
  [structures.TPM2B_SENSITIVE, fc.option(anySensitive, { nil: undefined })],
  [structures.TPMT_SIGNATURE, anySignature],
  [structures.TPMS_ATTEST, anyAttest],
  [structures.TPMS_NV_PUBLIC, anyNvPublic],
  [structures.TPM2B_NV_PUBLIC, anyNvPublic],
  [structures.TPML_PCR_SELECTION, anyPcrs],
  [structures.TPML_DIGEST, fc.array(upTo(64), { maxLength: 8 })],
  [
    structures.TPMS_CONTEXT,
    fc.record({
      sequence: fc.bigInt(0n, 2n ** 64n - 1n),
      savedHandle: fc.oneof(
        fc.nat(0xffffff).map((number) => 0x02000000 + number),
        fc.constantFrom(0x80000000, 0x80000002),
      ),
      hierarchy,
      contextBlob: upTo(500),
    }),
  ],
  [
    structures.TPMT_TK,
    fc.record({ tag: fc.constantFrom('verified', 'hashcheck'), hierarchy, digest: upTo(64) }),
  ],
  [structures.TPM2B_SENSITIVE_CREATE, fc.record({ userAuth: upTo(64), data: upTo(256) })],
  [
    structures.TPMT_SYM_DEF,
    fc.oneof(fc.constant({ algorithm: 'xor', keyBits: 'sha256' }), fc.constant({ algorithm: 'null' })),
  ],
  [
    structures.TPMS_AUTH_COMMAND,
    fc.record({
      sessionHandle: fc.constantFrom(0x02000001, 0x03000000, 0x40000009),
      nonce: upTo(64),
      sessionAttributes: fc.record(
        { continueSession: fc.constant(true), audit: fc.constant(true) },
        { requiredKeys: [] },
      ),
      hmac: upTo(64),
    }),
  ],
  [
    structures.TPMS_CAPABILITY_DATA,
    fc.oneof(
      fc.record({ capability: fc.constant('handles'), data: fc.array(u32, { maxLength: 254 }) }),
      fc.record({ capability: fc.constant('pcrs'), data: anyPcrs }),
      fc.record({
        capability: fc.constant('tpmProperties'),
        data: fc.array(fc.record({ property: u32, value: u32 }), { maxLength: 127 }),
      }),
    ),
  ],
  [
    structures.TPM2B_CREATION_DATA,
    fc.record({
      pcrSelect: anyPcrs,
      pcrDigest: upTo(64),
      locality: fc.nat(255),
      parentNameAlg: fc.constantFrom('sha256', 'null'),
      parentName: upTo(68),
      parentQualifiedName: upTo(68),
      outsideInfo: upTo(66),
    }),
  ],
];

/** Every codec of Part 2, also those without an arbitrary above. */
const codecs = (Object.values(structures) as readonly unknown[]).filter(
  (one): one is Codec<unknown> => typeof one === 'object' && one !== null && 'read' in one && 'write' in one,
);

/** Elements of all arrays in a value. */
function elementsIn(value: unknown): number {
  if (value instanceof Uint8Array || typeof value !== 'object' || value === null) return 0;
  const inside = Object.values(value).reduce<number>((sum, one) => sum + elementsIn(one), 0);
  return inside + (Array.isArray(value) ? value.length : 0);
}

describe('the structures of Part 2', () => {
  it.each(all.map(([codec, any]) => [codec.name, codec, any] as const))(
    '%s comes back as it went',
    (_, codec, any) => {
      fc.assert(
        fc.property(any, (value) => {
          expect(decode(codec, encode(codec, value))).toEqual(value);
        }),
        { seed, numRuns: 100 },
      );
    },
  );

  it.each(all.map(([codec, any]) => [codec.name, codec, any] as const))(
    '%s, damaged, is refused or is exactly what its bytes say: never two readings',
    (_, codec, any) => {
      fc.assert(
        fc.property(
          any,
          fc.nat(),
          fc.nat(255),
          fc.constantFrom('flip', 'cut', 'add'),
          (value, at, byte, how) => {
            const bytes = encode(codec, value);
            const damaged =
              how === 'cut'
                ? bytes.slice(0, at % (bytes.length + 1))
                : how === 'add'
                  ? Uint8Array.of(...bytes, byte)
                  : bytes.map((one, i) => (i === at % Math.max(bytes.length, 1) ? byte : one));
            let read: unknown;
            try {
              read = decode(codec, damaged);
            } catch (error) {
              expect(error).toBeInstanceOf(CodecError);
              return;
            }
            expect(hex(encode(codec, read))).toBe(hex(damaged));
          },
        ),
        { seed, numRuns: 300 },
      );
    },
  );

  it.each(codecs.map((codec) => [codec.name, codec] as const))(
    '%s comes back as it went, whatever it holds, and cut short it is refused',
    (_, codec) => {
      fc.assert(
        fc.property(fc.nat(), fc.nat(), (dreamer, at) => {
          const value = dream(codec, seededRandom(dreamer));
          const bytes = encode(codec, value);
          expect(decode(codec, bytes)).toEqual(value);
          if (bytes.length === 0) return;
          const short = bytes.subarray(0, at % bytes.length);
          expect(() => decode(codec, short)).toThrow(CodecError);
        }),
        { seed, numRuns: 60 },
      );
    },
  );

  it('are dreamt in all their variants', () => {
    const seen = new Set<string>();
    for (let i = 0; i < 250; i++) {
      const random = seededRandom(i);
      seen.add(dream(structures.TPMT_PUBLIC, random).type);
      seen.add(dream(structures.TPMS_ATTEST, random).type);
      seen.add(dream(structures.TPMT_SIGNATURE, random).sigAlg);
      seen.add(dream(structures.TPMS_CAPABILITY_DATA, random).capability);
    }
    expect([...seen].sort()).toEqual(
      expect.arrayContaining(
        (
          'ecc keyedhash rsa symcipher attestCertify attestQuote attestTime attestNv attestSessionAudit ' +
          'attestCommandAudit attestCreation ecdsa rsapss hmac handles pcrs tpmProperties eccCurves'
        ).split(' '),
      ),
    );
  });

  it('take no more memory for hostile bytes than there are bytes', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...codecs),
        fc.nat(),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
        (codec, dreamer, changes) => {
          const bytes = encode(codec, dream(codec, seededRandom(dreamer)));
          for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
          const reader = new Frugal(bytes);
          let value: unknown;
          try {
            value = codec.read(reader);
          } catch (error) {
            expect(error).toBeInstanceOf(CodecError);
          }
          expect(reader.copied).toBeLessThanOrEqual(bytes.length);
          // elements of lists are at least a byte each, so that no count in the bytes alone makes an array large
          expect(elementsIn(value)).toBeLessThanOrEqual(8 * bytes.length);
        },
      ),
      { seed, numRuns: 1500 },
    );
  });

  it('meet hostile bytes with nothing but their own RangeError', () => {
    expect(codecs.length).toBeGreaterThan(80);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const codec of codecs) {
          try {
            expect(hex(encode(codec, decode(codec, bytes)))).toBe(hex(bytes));
          } catch (error) {
            expect(error).toBeInstanceOf(RangeError);
            expect(error).toBeInstanceOf(CodecError);
          }
        }
      }),
      { seed, numRuns: 300 },
    );
  });

  it('have the bytes of the specification: the IAK template H-2', () => {
    const expected =
      `0023000b000500f20020${hex(iakTemplate().authPolicy)}` + // ecc, sha256, attributes, policy
      '00100018000b00030010' + // no symmetric, ECDSA with SHA-256, P-256, no KDF
      '000349414b0000'; // x = "IAK", y empty
    expect(hex(encode(structures.TPMT_PUBLIC, iakTemplate()))).toBe(expected);
    expect(decode(structures.TPMT_PUBLIC, fromHex(expected))).toEqual(iakTemplate());
  });

  it('refuse what is too long, unknown or reserved, and say which structure it was', () => {
    expect(() => encode(structures.TPM2B_DIGEST, new Uint8Array(65))).toThrow(/^TPM2B_DIGEST: /);
    expect(() => decode(structures.TPM_ALG_ID, fromHex('7fff'))).toThrow(
      expect.objectContaining({ fault: 'value' }),
    );
    expect(() => decode(structures.TPMA_OBJECT, fromHex('80000000'))).toThrow(
      expect.objectContaining({ fault: 'reserved' }),
    );
    expect(() => decode(structures.TPMT_SIG_SCHEME, fromHex('0023'))).toThrow(
      expect.objectContaining({ fault: 'selector' }),
    );
    expect(() => decode(structures.TPML_HANDLE, fromHex('ffffffff'))).toThrow(
      expect.objectContaining({ fault: 'size' }),
    );
    expect(() => decode(structures.TPM2B_PUBLIC, fromHex('0000'))).toThrow(
      expect.objectContaining({ fault: 'size' }),
    );
    expect(() =>
      encode(structures.TPMT_SIGNATURE, { sigAlg: 'toString' } as unknown as TPMT_SIGNATURE),
    ).toThrow(CodecError);
  });
});

describe('the combinators', () => {
  it('keep integers in their range', () => {
    expect(hex(encode(i32, -2))).toBe('fffffffe');
    expect(decode(i32, fromHex('80000000'))).toBe(-0x80000000);
    expect(hex(encode(u64, 2n ** 64n - 1n))).toBe('ffffffffffffffff');
    for (const wrong of [-1, 256, 1.5, Number.NaN]) expect(() => encode(u8, wrong)).toThrow(CodecError);
    expect(() => encode(u64, 2n ** 64n)).toThrow(CodecError);
  });

  it('hold constants and flags by name', () => {
    const fruit = constants('FRUIT', u16, { apple: 1, pear: 2 });
    expect(decode(fruit, encode(fruit, 'pear'))).toBe('pear');
    expect(() => encode(fruit, 'constructor' as 'pear')).toThrow(CodecError);
    const bits = flags('BITS', u8, { low: 0, high: 7 });
    expect(hex(encode(bits, { high: true, low: false }))).toBe('80');
    expect(decode(bits, fromHex('81'))).toEqual({ low: true, high: true });
  });

  it('keep the bytes of what they read, wherever those stood, and make those of anything else', () => {
    const { TPMT_PUBLIC, TPM2B_PUBLIC } = structures;
    fc.assert(
      fc.property(anyPublic, (area) => {
        const bytes = encode(TPMT_PUBLIC, area);
        const message = encode(TPM2B_PUBLIC, area);
        const read = decode(TPM2B_PUBLIC, message);
        message.fill(0xff); // they are a copy
        expect(bytesOf(TPMT_PUBLIC, read)).toEqual(bytes);
        expect(bytesOf(TPMT_PUBLIC, area)).toEqual(bytes);
        expect(bytesOf(TPMT_PUBLIC, { ...read, authPolicy: bytes.slice(0, 3) })).not.toEqual(bytes);
      }),
      { seed, numRuns: 100 },
    );
  });

  it('bound lists before they read them', () => {
    const few = list('FEW', u8, 2);
    expect(() => decode(few, fromHex('00000003010203'))).toThrow(expect.objectContaining({ fault: 'size' }));
    expect(() => decode(few, fromHex('0000000201'))).toThrow(expect.objectContaining({ fault: 'short' }));
  });
});

describe('the commands of Part 3', () => {
  it('have each a code of their own, T0 and T1 complete (facts: 17 + 32)', () => {
    const names = allCommands().map(({ name }) => name.slice(5));
    const tiers =
      'Startup Shutdown SelfTest GetTestResult IncrementalSelfTest GetCapability TestParms GetRandom StirRandom ReadClock Clear ' +
      'ClearControl HierarchyChangeAuth FlushContext ContextSave ContextLoad StartAuthSession CreatePrimary Create Load ' +
      'LoadExternal CreateLoaded ReadPublic EvictControl Sign VerifySignature Hash Quote Certify CertifyCreation MakeCredential ' +
      'ActivateCredential PCR_Read PCR_Extend PCR_Reset PCR_Event NV_DefineSpace NV_UndefineSpace NV_ReadPublic NV_Read NV_Write ' +
      'NV_WriteLock NV_ReadLock PolicySecret PolicyCommandCode PolicyOR PolicyGetDigest PolicyRestart Unseal ' +
      'NV_Increment NV_Certify PolicyPCR PolicyAuthValue PolicyPassword DictionaryAttackLockReset GetTime ECDH_ZGen';
    for (const name of tiers.split(' ')) expect(names).toContain(name);
    expect(new Set(allCommands().map(({ code }) => code)).size).toBe(names.length);
  });

  it('meet hostile answers with nothing but CodecError', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...allCommands()),
        fc.nat(2),
        fc.uint8Array({ maxLength: 300 }),
        (command, sessions, body) => {
          const answer = encodeCommand(0, [], [], body); // the form of a successful answer
          const view = new DataView(answer.buffer);
          view.setUint16(0, sessions === 0 ? 0x8001 : 0x8002);
          try {
            const parts = decodeResponse(command, sessions, answer);
            decodeFields(command.name, command.responseParameters, parts.parameters);
          } catch (error) {
            expect(error).toBeInstanceOf(CodecError);
          }
        },
      ),
      { seed, numRuns: 2000 },
    );
  });

  it('meet hostile commands, at the chip, with nothing but OperandError', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...allCommands()),
        fc.uint8Array({ maxLength: 300 }),
        fc.boolean(),
        (command, body, tagged) => {
          const bytes = encodeCommand(command.code, [], [], body);
          new DataView(bytes.buffer).setUint16(0, tagged ? 0x8002 : 0x8001);
          try {
            splitCommand(command, bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(OperandError);
          }
        },
      ),
      { seed, numRuns: 2000 },
    );
  });

  it('take their parameters in the order of Part 3', () => {
    const sign = allCommands().find(({ name }) => name === 'TPM2_Sign');
    const bytes = encodeFields(sign?.parameters ?? {}, {
      digest: Uint8Array.of(0xaa),
      inScheme: { scheme: 'null' },
      validation: { tag: 'hashcheck', hierarchy: 0x40000007, digest: new Uint8Array(0) },
    });
    expect(hex(bytes)).toBe('0001aa00108024400000070000');
  });
});
