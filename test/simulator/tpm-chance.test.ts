import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { seededRandom } from '../../simulator/random.ts';
import { memoryStore } from '../../simulator/store.ts';
import { pooled } from '../../simulator/tpm/chance.ts';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { concat, hex } from '../../src/core/bytes.ts';
import * as tpm2 from '../../src/tpm/commands.ts';
import { ask } from '../tpm/raw.ts';
import { eccKey } from './external-keys.ts';

const none = new Uint8Array();
const NULL = 0x40000007;

describe('chance drawn in larger pieces', () => {
  it('gives out every byte of its source once, in order', () => {
    let next = 0;
    const source = { bytes: (count: number) => Uint8Array.from({ length: count }, () => next++ & 0xff) };
    const random = pooled(source);
    const counts = [1, 32, 0, 64, 7, 256, 200];
    expect(concat(...counts.map((count) => random.bytes(count)))).toEqual(
      Uint8Array.from({ length: 560 }, (_, i) => i & 0xff),
    );
  });

  it('asks the source for large amounts themselves, and never gives the same bytes again', () => {
    const random = pooled(seededRandom('pool'));
    const seen = new Set<string>();
    for (let i = 0; i < 500; i++) seen.add(hex(random.bytes(i % 7 === 0 ? 300 : 16)).slice(0, 32));
    expect(seen.size).toBe(500);
  });

  it('does not keep what it gave out', () => {
    const pool = new Uint8Array(1024).fill(1);
    const random = pooled({ bytes: () => pool });
    random.bytes(16);
    expect(pool.findIndex((byte) => byte !== 0)).toBe(16);
  });
});

describe('a signature', () => {
  it('changes nothing that is stored, and so stores nothing', async () => {
    const store = memoryStore();
    let writes = 0;
    const counting = {
      ...store,
      write: (name: string, bytes: Uint8Array) => {
        writes++;
        return store.write(name, bytes);
      },
    };
    const chip = await SoftwareTpm.create({
      random: seededRandom('sign'),
      clock: virtualClock(),
      store: counting,
    });
    const { objectHandle: keyHandle } = await ask(chip, tpm2.TPM2_LoadExternal, {
      ...eccKey('P-256'),
      hierarchy: NULL,
    });
    expect(writes).toBeGreaterThan(0);
    writes = 0;
    const inScheme = { scheme: 'ecdsa', hashAlg: 'sha256' } as const;
    const validation = { tag: 'hashcheck', hierarchy: NULL, digest: none } as const;
    await ask(chip, tpm2.TPM2_Sign, { keyHandle, digest: new Uint8Array(32), inScheme, validation });
    await ask(chip, tpm2.TPM2_Quote, {
      signHandle: keyHandle,
      qualifyingData: none,
      inScheme,
      PCRselect: [],
    });
    await ask(chip, tpm2.TPM2_GetRandom, { bytesRequested: 32 });
    expect(writes).toBe(0);
  });
});
