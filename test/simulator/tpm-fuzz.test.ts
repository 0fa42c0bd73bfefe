import { describe, expect, it } from 'vitest';
import { allCommands } from '../../src/tpm/command-table.ts';
import { fuzzClient } from '../fuzz/client.ts';
import { scenes } from '../fuzz/scenes.ts';
import { fuzzSoftwareTpm } from '../fuzz/software-tpm.ts';
import { Malformed, wellFormed } from '../fuzz/spoil.ts';

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

  it('plays scenes that work when nothing is spoilt, and with the stream come to every command', async () => {
    const calls = Object.keys(scenes).length;
    const { refused, succeeded } = await fuzzClient({ seed: 23, calls, spoilt: 'nothing' });
    expect(refused).toBe(0);
    const stream = await fuzzSoftwareTpm({ seed: 24, commands: 20_000, spoiltOneIn: 1_000_000 });
    const never = allCommands().filter(
      ({ name }) => !succeeded.has(name) && !stream.succeeded.has(name) && name !== 'TPM2_Startup',
    );
    expect(never.map(({ name }) => name)).toEqual([]);
  });

  it.each(['answers', 'commands'] as const)(
    'finds no error of the client but its own, and no wrong answer, when %s are spoilt',
    async (what) => {
      const { spoilt, refused, calls } = await fuzzClient({ seed: 22, calls: 200, spoilt: what });
      expect(spoilt).toBeGreaterThan(100);
      expect(refused).toBeGreaterThan(60);
      expect(refused).toBeLessThan(calls);
    },
  );

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
