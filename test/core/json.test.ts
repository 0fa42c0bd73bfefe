import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import { Malformed } from '../../src/core/errors.ts';
import { canonicalJson, parseJson } from '../../src/core/json.ts';

describe('canonical JSON (RFC 8785)', () => {
  it('is the example of section 3.2.2', () => {
    const value = {
      numbers: [Number('333333333.33333329'), 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"/',
      literals: [null, true, false],
    };
    expect(canonicalJson(value)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
  });

  it('sorts members by UTF-16 code units, as in section 3.2.3', () => {
    const value = { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\ud83d\ude00': 5, '\u0080': 6, '\u00f6': 7 };
    expect(Object.values(JSON.parse(canonicalJson(value)) as object)).toEqual([4, 2, 6, 7, 1, 5, 3]);
  });

  it('has no NaN, no infinity and no functions', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, () => 1, undefined, 1n])
      expect(() => canonicalJson(value)).toThrow(TypeError);
  });

  it('says the same for equal values whatever the order of their members', async () => {
    await fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const shuffled = Object.fromEntries(Object.entries(value).reverse());
        expect(canonicalJson(shuffled)).toBe(canonicalJson(value));
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
      { seed: 1 },
    );
  });
});

describe('the strict JSON reader', () => {
  it('reads what JSON.parse reads', async () => {
    await fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const source = JSON.stringify(value);
        if (source.includes('__proto__')) return;
        expect(parseJson(utf8(source))).toEqual(JSON.parse(source));
      }),
      { seed: 2 },
    );
  });

  it.each([
    ['two equal members', '{"a":1,"a":2}'],
    ['two equal members, one of them escaped', '{"a":1,"\\u0061":2}'],
    ['two equal members further in', '[{"b":{"a":1,"c":[],"a":2}}]'],
    ['a prototype', '{"__proto__":{"admin":true}}'],
    ['nesting without end', '['.repeat(40) + ']'.repeat(40)],
    ['a trailing comma', '{"a":1,}'],
    ['something after the value', '{} {}'],
    ['nothing', ''],
    ['more than its bound', `"${'x'.repeat(70_000)}"`],
  ])('refuses %s', (_, source) => {
    expect(() => parseJson(source)).toThrow(Malformed);
  });

  it('lets equal names stand in different objects', () => {
    expect(parseJson('{"a":{"x":1},"b":{"x":2},"c":[{"x":3},{"x":4}]}')).toBeTruthy();
  });

  it('gives only its own error for hostile bytes', async () => {
    await fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          parseJson(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(Malformed);
        }
      }),
      { seed: 3, numRuns: 500 },
    );
  });
});
