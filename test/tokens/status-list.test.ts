import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../simulator/random.ts';
import { fromHex, hex } from '../../src/core/bytes.ts';
import { generateKey } from '../../src/core/signer.ts';
import {
  compressStatuses,
  inflateStatuses,
  packStatuses,
  readStatusList,
  signStatusList,
  statusAt,
} from '../../src/tokens/status-list.ts';

const URI = 'https://example.com/statuslists/1';
const key = generateKey(seededRandom(5));

describe('a status list (draft-ietf-oauth-status-list)', () => {
  it('packs 1-bit statuses as the example of section 4.1', () => {
    const statuses = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1];
    expect(hex(packStatuses(statuses, 1))).toBe('b9a3');
    expect(hex(inflateStatuses('eNrbuRgAAhcBXQ'))).toBe('b9a3');
    expect(compressStatuses(fromHex('b9a3'))).toBe('eNrbuRgAAhcBXQ');
  });

  it('packs 2-bit statuses as the example of section 4.2', () => {
    expect(hex(packStatuses([1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3], 2))).toBe('c944f9');
    expect(hex(inflateStatuses('eNo76fITAAPfAgc'))).toBe('c944f9');
  });

  it('gives back every status it packed', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1 as const, 2 as const, 4 as const, 8 as const),
        fc.array(fc.nat(255), { minLength: 1, maxLength: 300 }),
        (bits, raw) => {
          const statuses = raw.map((status) => status % 2 ** bits);
          const bytes = packStatuses(statuses, bits);
          const list = { uri: URI, iat: 0, exp: undefined, bits, bytes };
          expect(statuses.map((_, index) => statusAt(list, index))).toEqual(statuses);
          expect(() => statusAt(list, bytes.length * (8 / bits))).toThrow(/no such index/);
        },
      ),
      { seed: 1 },
    );
  });

  it("refuses what inflates without end, is not compressed, or is another list's", async () => {
    expect(() => inflateStatuses(compressStatuses(new Uint8Array(3 << 20)))).toThrow(/not a compressed/);
    expect(() => inflateStatuses('AAAA')).toThrow(/not a compressed/);
    const list = { uri: URI, iat: 100, exp: 200, ttl: 60, bits: 2 as const, bytes: packStatuses([0, 1], 2) };
    const token = await signStatusList(key, list);
    const expected = { uri: URI, key: key.publicJwk, at: 150_000 };
    expect(statusAt(await readStatusList(token, expected), 1)).toBe(1);
    await expect(readStatusList(token, { ...expected, uri: `${URI}0` })).rejects.toMatchObject({
      check: 'uri',
    });
    await expect(readStatusList(token, { ...expected, at: 200_000 })).rejects.toMatchObject({
      check: 'expired',
    });
    await expect(readStatusList(token, { ...expected, notBefore: 101 })).rejects.toMatchObject({
      check: 'rollback',
    });
    const other = generateKey(seededRandom(6)).publicJwk;
    await expect(readStatusList(token, { ...expected, key: other })).rejects.toMatchObject({
      check: 'signature',
    });
  });
});
