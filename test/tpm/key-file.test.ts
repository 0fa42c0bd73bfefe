import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../simulator/random.ts';
import { integer, octetString, oid, sequence } from '../../src/core/der-writer.ts';
import { Malformed } from '../../src/core/errors.ts';
import { fromPem, pem } from '../../src/core/pem.ts';
import { encode, readKeyFile, writeKeyFile } from '../../src/tpm/index.ts';
import { TPM2B_PRIVATE, TPM2B_PUBLIC, TPMT_PUBLIC } from '../../src/tpm/structures.ts';
import { ldevidTemplate } from '../../src/tpm/templates.ts';
import { upTo } from './arbitraries.ts';
import { dream } from './dreams.ts';

const LABEL = 'TSS2 PRIVATE KEY';
const maybe = <T>(any: fc.Arbitrary<T>) => fc.option(any, { nil: undefined });
const u32 = fc.nat(0xffffffff);

describe('a TSS2 PRIVATE KEY file', () => {
  it('comes back as it went', () => {
    fc.assert(
      fc.property(
        fc.record({
          type: fc.constantFrom('loadable', 'importable', 'sealed'),
          emptyAuth: fc.boolean(),
          parent: u32,
          private: upTo(300),
          public: fc.nat().map((seed) => dream(TPMT_PUBLIC, seededRandom(seed))),
          secret: maybe(upTo(256)),
          policy: maybe(fc.array(fc.record({ code: u32, parameters: upTo(100) }), { maxLength: 4 })),
          description: maybe(fc.string({ unit: 'grapheme', maxLength: 20 })),
          rsaParent: maybe(fc.boolean()),
        }),
        (file) => {
          expect(readKeyFile(writeKeyFile(file))).toEqual(file);
        },
      ),
      { seed: 20_2611, numRuns: 200 },
    );
  });

  it('that is damaged is refused as malformed, or is what its bytes say', () => {
    const file = writeKeyFile({
      public: ldevidTemplate,
      private: new Uint8Array(100),
      policy: [{ code: 0x16b, parameters: new Uint8Array(0) }],
      description: 'a key',
    });
    const [der = new Uint8Array(0)] = fromPem(LABEL, file);
    fc.assert(
      fc.property(fc.nat(der.length - 1), fc.nat(255), fc.boolean(), (at, byte, cut) => {
        const damaged = cut ? der.slice(0, at) : der.map((one, i) => (i === at ? byte : one));
        try {
          readKeyFile(pem(LABEL, damaged));
        } catch (error) {
          expect(error).toBeInstanceOf(Malformed);
        }
      }),
      { seed: 20_2611, numRuns: 2000 },
    );
  });

  it('may name its parent by a negative number, and leave out whether it has an auth value', () => {
    const body = (parent: Uint8Array) =>
      pem(
        LABEL,
        sequence(
          oid('2.23.133.10.1.3'),
          parent,
          octetString(encode(TPM2B_PUBLIC, ldevidTemplate)),
          octetString(encode(TPM2B_PRIVATE, new Uint8Array(9))),
        ),
      );
    expect(readKeyFile(body(Uint8Array.of(2, 4, 0x81, 0, 0, 1)))).toMatchObject({
      parent: 0x81000001,
      emptyAuth: false,
      type: 'loadable',
    });
    expect(readKeyFile(body(integer(0x81000001))).parent).toBe(0x81000001);
    expect(() => readKeyFile(body(integer(2 ** 33)))).toThrow(Malformed);
  });

  it('of an unknown type, with a member twice, too long or one too few, is refused', () => {
    const whole = [
      integer(1),
      octetString(encode(TPM2B_PUBLIC, ldevidTemplate)),
      octetString(encode(TPM2B_PRIVATE, new Uint8Array(9))),
    ];
    const flag = Uint8Array.of(0xa0, 3, 1, 1, 0xff);
    for (const members of [
      [oid('2.23.133.10.1.9'), ...whole],
      [oid('2.23.133.10.1.3'), flag, flag, ...whole],
      [oid('2.23.133.10.1.3'), Uint8Array.of(0xa0, 4, 1, 2, 0xff, 0xff), ...whole],
      [oid('2.23.133.10.1.3'), ...whole.slice(0, 2)],
      [oid('2.23.133.10.1.3'), ...whole, integer(1)],
    ])
      expect(() => readKeyFile(pem(LABEL, sequence(...members)))).toThrow(Malformed);
    expect(() => readKeyFile(pem('PRIVATE KEY', sequence()))).toThrow(Malformed);
  });
});
