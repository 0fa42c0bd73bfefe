import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seededRandom } from '../../simulator/random.ts';
import { concat } from '../../src/core/bytes.ts';
import { TPM2_ActivateCredential, TPM2_CreatePrimary } from '../../src/tpm/commands.ts';
import { TPM_RH } from '../../src/tpm/index.ts';
import { protectedFor } from '../../src/tpm/protect.ts';
import { seedTo } from '../../src/tpm/seed.ts';
import { ask, bytesOf, filled } from '../tpm/raw.ts';
import { aes128, creation, fixedStorage, rsaTemplate } from '../tpm/raw-templates.ts';
import type { Pair } from './pair.ts';
import { startPair } from './pair.ts';
import { needs } from './present.ts';

const random = seededRandom('credentials');
const rsaStorage = rsaTemplate(fixedStorage.objectAttributes, { parameters: { symmetric: aes128 } });
const withSize = (size: number, content: Uint8Array) => concat(Uint8Array.of(0, size), content);

const suite = describe.skipIf(!needs('swtpm'));

suite('a credential for a key of the software TPM and of swtpm', { timeout: 60_000 }, () => {
  let pair: Pair;

  beforeAll(async () => {
    pair = await startPair();
  });
  afterAll(() => pair.close());

  it.each([
    ['ECC', fixedStorage],
    ['RSA', rsaStorage],
  ] as const)('is one digest of any hash, by an %s key: INSUFFICIENT, SIZE', async (_, inPublic) => {
    const asked = { primaryHandle: TPM_RH.owner, ...creation, inPublic };
    const keys = {
      ours: await ask(pair.ours, TPM2_CreatePrimary, asked),
      its: await ask(pair.its, TPM2_CreatePrimary, asked),
    };
    /** Has each activate what only its own key can open, and what is no more than `content`. */
    const activated = async (content: Uint8Array) => {
      const [code] = await pair.compareEach(`${content}`, (which) => {
        const { outPublic, name, objectHandle } = keys[which];
        const { seed, secret } = seedTo(outPublic, 'IDENTITY', random);
        const credentialBlob = protectedFor(outPublic, seed, name, content);
        const request = { activateHandle: objectHandle, keyHandle: objectHandle, credentialBlob, secret };
        return bytesOf(TPM2_ActivateCredential, request);
      });
      return code;
    };
    const [done, INSUFFICIENT, SIZE] = [0, 0x1da, 0x1d5];
    expect(await activated(withSize(0, filled(0)))).toBe(done);
    expect(await activated(withSize(32, filled(32)))).toBe(done);
    expect(await activated(withSize(64, filled(64)))).toBe(done);
    expect(await activated(withSize(65, filled(65)))).toBe(SIZE);
    expect(await activated(withSize(4, filled(5)))).toBe(SIZE);
    expect(await activated(withSize(4, filled(3)))).toBe(INSUFFICIENT);
    expect(await activated(filled(1))).toBe(INSUFFICIENT);
    expect(await activated(filled(0))).toBe(INSUFFICIENT);
    expect(pair.differences()).toEqual([]);
  });
});
