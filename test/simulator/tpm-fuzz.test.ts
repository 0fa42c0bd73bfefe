import { describe, expect, it } from 'vitest';
import { fuzzClient } from '../fuzz/client.ts';
import { fuzzSoftwareTpm } from '../fuzz/software-tpm.ts';
import { Malformed, wellFormed } from '../fuzz/stream.ts';

describe('the fuzzer', { timeout: 120_000 }, () => {
  it('finds no answer of the software TPM that must not be, spoilt commands or not', async () => {
    for (const spoiltOneIn of [3, 1_000_000]) {
      const { codes } = await fuzzSoftwareTpm({ seed: 21, commands: 3000, spoiltOneIn });
      expect(codes.get(0)).toBeGreaterThan(300);
      expect(codes.size).toBeGreaterThan(30);
    }
  });

  it('repeats a run from its seed, and only from it', async () => {
    const run = async (seed: number) => (await fuzzSoftwareTpm({ seed, commands: 400 })).digest;
    expect(await run(5)).toEqual(await run(5));
    expect(await run(5)).not.toEqual(await run(6));
  });

  it('finds no error of the client but its own when answers are spoilt', async () => {
    const { spoilt, refused, calls } = await fuzzClient({ seed: 22, calls: 300 });
    expect(spoilt).toBeGreaterThan(100);
    expect(refused).toBeGreaterThan(100);
    expect(refused).toBeLessThan(calls);
  });

  it.each([
    ['a cut answer', '800100000a'],
    ['a size of another answer', '80010000000b00000000'],
    ['an unknown tag', '80030000000a00000000'],
    ['a refusal with more than a code', '80010000000b00000184ff'],
    ['failure mode', '80010000000a00000101'],
  ])('takes %s for a defect', (_, answer) => {
    expect(() =>
      wellFormed('TPM2_GetRandom', new Uint8Array(), new Uint8Array(Buffer.from(answer, 'hex'))),
    ).toThrow(Malformed);
  });
});
