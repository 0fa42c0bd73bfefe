import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../simulator/random.ts';
import { base64url, fromBase64url } from '../../src/core/bytes.ts';
import { randomId } from '../../src/core/names.ts';

describe('an identifier by chance', () => {
  it('is base64url of as many bytes as were asked for', () => {
    const id = randomId(seededRandom(7), 12);
    expect(id).toBe(base64url(seededRandom(7).bytes(12)));
    expect(fromBase64url(id)).toHaveLength(12);
  });

  it('begins with no dash: `fealty why -x…` would be an option that nobody knows', () => {
    for (const first of [0xf8, 0xfb]) {
      const bytes = Uint8Array.of(first, 1, 2);
      expect(base64url(bytes)[0]).toBe('-');
      expect(randomId({ bytes: () => bytes }, 3)).toBe(`_${base64url(bytes).slice(1)}`);
    }
  });
});
