import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, hex } from '../../src/core/bytes.ts';
import {
  childrenOf,
  readBitString,
  readBoolean,
  readDer,
  readDerPrefix,
  readNamedBits,
  readOid,
  readSmallInteger,
  readText,
  readTime,
  readUnsigned,
} from '../../src/core/der.ts';
import {
  der,
  integer,
  namedBits,
  octetString,
  oid,
  sequence,
  utf8String,
} from '../../src/core/der-writer.ts';
import { Malformed } from '../../src/core/errors.ts';

const at = (text: string) => readDer(fromHex(text));

describe('DER', () => {
  it.each([
    ['an indefinite length', '30800000'],
    ['a length that is not minimal', '308105' + '0000000000'],
    ['a two-byte length that fits one', `30820080${'00'.repeat(128)}`],
    ['a length beyond the end', '3003000' + '0'],
    ['a missing length', '30'],
    ['nothing', ''],
    ['bytes after the end', '05000500'],
    ['a high tag number', '1f810500'],
    ['a length of five bytes', '30850000000001' + '00'],
  ])('with %s is refused', (_what, bytes) => {
    expect(() => at(bytes)).toThrow(Malformed);
  });

  it.each([
    ['an empty integer', () => readUnsigned(at('0200'))],
    ['a negative integer', () => readUnsigned(at('0201ff'))],
    ['an integer with a needless zero', () => readUnsigned(at('02020001'))],
    ['a small integer of five bytes', () => readSmallInteger(at('02050100000000'))],
    ['a boolean that is neither 00 nor FF', () => readBoolean(at('010101'))],
    ['an object identifier with a leading 80', () => readOid(at('0602' + '8001'))],
    ['an object identifier that ends too early', () => readOid(at('060181'))],
    ['a bit string with unused bits where bytes are meant', () => readBitString(at('030204f0'))],
    ['named bits whose unused bits are set', () => readNamedBits(at('030204ff'))],
    ['a time without seconds', () => readTime(at(`170b${hex(new TextEncoder().encode('2611241000Z'))}`))],
    [
      'a time with an offset',
      () => readTime(at(`1711${hex(new TextEncoder().encode('261124100000+0100'))}`)),
    ],
    ['a day no calendar has', () => readTime(at(`170d${hex(new TextEncoder().encode('260230100000Z'))}`))],
    ['text that is not UTF-8', () => readText(at('0c01ff'))],
    [
      'too many children',
      () =>
        childrenOf({ tag: 0x30, content: new Uint8Array(0).fill(0), raw: new Uint8Array() }).concat(
          childrenOf(readDer(sequence(...Array<Uint8Array>(257).fill(der(5))))),
        ),
    ],
  ])('with %s is refused', (_what, read) => {
    expect(read).toThrow(Malformed);
  });

  it('reads times of both forms, and the year 9999', () => {
    const time = (tag: number, text: string) => readTime(readDer(der(tag, new TextEncoder().encode(text))));
    expect(time(0x17, '261124100000Z')).toBe(Date.UTC(2026, 10, 24, 10));
    expect(time(0x17, '500101000000Z')).toBe(Date.UTC(1950, 0, 1));
    expect(time(0x18, '99991231235959Z')).toBe(253_402_300_799_000);
  });

  it('reads back every object identifier, integer, text and set of bits it writes', () => {
    const arcs = fc.tuple(fc.nat(2), fc.nat(39), fc.array(fc.nat(2 ** 31), { maxLength: 8 }));
    fc.assert(
      fc.property(
        arcs,
        fc.uint8Array({ minLength: 1, maxLength: 40 }),
        fc.string(),
        fc.uniqueArray(fc.nat(8), { minLength: 1 }),
        ([top, second, rest], number, text, bits) => {
          const dotted = [top, second, ...rest].join('.');
          expect(readOid(readDer(oid(dotted)))).toBe(dotted);
          expect(BigInt(`0x0${hex(readUnsigned(readDer(integer(number))))}`)).toBe(
            BigInt(`0x${hex(number)}`),
          );
          expect(readText(readDer(utf8String(text)))).toBe(text);
          expect(readNamedBits(readDer(namedBits(bits)))).toEqual([...bits].sort((a, b) => a - b));
        },
      ),
      { seed: 2 },
    );
  });

  it('of any size is framed as it was written', () => {
    for (const size of [0, 127, 128, 255, 256, 65_000]) {
      const inner = new Uint8Array(size).fill(7);
      expect(readDer(octetString(inner)).content).toEqual(inner);
    }
    expect(() => readDer(octetString(new Uint8Array(70_000)))).toThrow(Malformed);
  });

  it('made of hostile bytes gives an element that is a prefix of them, or Malformed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          const element = readDerPrefix(bytes);
          expect(hex(bytes).startsWith(hex(element.raw))).toBe(true);
          expect(der(element.tag, element.content)).toEqual(element.raw); // one encoding only
          for (const child of childrenOf(element)) expect(child.raw.length).toBeLessThanOrEqual(bytes.length);
        } catch (error) {
          expect(error).toBeInstanceOf(Malformed);
        }
      }),
      { seed: 3, numRuns: 2000 },
    );
  });
});
