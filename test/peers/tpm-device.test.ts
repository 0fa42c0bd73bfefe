import { describe, expect, it } from 'vitest';
import { nodePlatform } from '../../src/core/node.ts';
import type { Tpm } from '../../src/tpm/index.ts';
import {
  createPrimary,
  flush,
  getRandom,
  ldevidTemplate,
  listHandles,
  openSharedTpm,
  openTpm,
  openTransport,
  tpmSigner,
} from '../../src/tpm/index.ts';
import { clientSuite } from '../tpm/suite.ts';
import { evidenceStories } from '../tpm/suite-evidence.ts';
import { identityStories } from '../tpm/suite-identity.ts';
import { swapStories } from '../tpm/suite-swap.ts';
import { kernelLendsTpms, lendTpm } from './kernel-tpm.ts';

const { clock, random } = nodePlatform({ directory: '.' });
const open = (path: string) => openTpm({ transport: openTransport(`device:${path}`), clock, random });

describe.skipIf(!kernelLendsTpms)('a TPM behind Linux', { timeout: 120_000 }, () => {
  // The kernel starts and tests each new TPM, which takes it seconds: what is about a device's keys, proofs and places.
  const stories = [identityStories, evidenceStories, swapStories];
  clientSuite(
    '/dev/tpmrm0',
    async () => {
      const device = await lendTpm();
      const transport = openTransport(`device:${device.managed}`);
      return {
        transport,
        async close() {
          await transport.close?.();
          await device.close();
        },
      };
    },
    stories,
  );

  it('is shared by programs, each with more keys than the TPM has places', async () => {
    const device = await lendTpm();
    const program = () =>
      openSharedTpm({ transport: openTransport(`device:${device.managed}`), clock, random });
    const programs = await Promise.all([program(), program(), program()]);
    const keysOf = async (tpm: Tpm) => {
      const keys = [];
      for (let i = 0; i < 5; i++)
        keys.push(await createPrimary(tpm, { hierarchy: 'owner', template: ldevidTemplate }));
      return keys;
    };
    const keys = await Promise.all(programs.map(keysOf));
    for (const [at, tpm] of programs.entries())
      for (const key of keys[at] ?? [])
        expect(await tpmSigner(tpm, key).sign(Uint8Array.of(at))).toHaveLength(64);
    for (const tpm of programs) await tpm.close();
    await device.close();
  });

  it('forgets what a program had when it closes the device', async () => {
    const device = await lendTpm();
    const first = await open(device.managed);
    const key = await createPrimary(first, { hierarchy: 'owner', template: ldevidTemplate });
    expect(await listHandles(first, 'transient')).toEqual([key.handle]);
    const second = await open(device.managed);
    expect(await listHandles(second, 'transient')).toEqual([]);
    await first.close();
    const again = await open(device.managed);
    expect(await listHandles(again, 'transient')).toEqual([]);
    await Promise.all([second.close(), again.close()]);
    await device.close();
  });

  it('refuses what is not there, and forgets nothing else', async () => {
    const device = await lendTpm();
    const tpm = await open(device.managed);
    const template = { hierarchy: 'owner', template: ldevidTemplate } as const;
    const [key, gone] = [await createPrimary(tpm, template), await createPrimary(tpm, template)];
    await flush(tpm, gone);
    await expect(flush(tpm, gone)).rejects.toMatchObject({ code: 'tpm.refused', responseCode: 0xb008b });
    expect(await tpmSigner(tpm, key).sign(Uint8Array.of(1))).toHaveLength(64);
    await tpm.close();
    await device.close();
  });

  it('is for one program alone without the resource manager, and says so', async () => {
    const device = await lendTpm();
    const first = await open(device.plain);
    expect(await getRandom(first, 8)).toHaveLength(8);
    const second = open(device.plain);
    await expect(second).rejects.toMatchObject({ code: 'tpm.silent', cause: { code: 'EBUSY' } });
    await first.close();
    await device.close();
  });

  it('is silent once it is taken away', async () => {
    const device = await lendTpm();
    const tpm = await open(device.managed);
    await device.close();
    await expect(getRandom(tpm, 8)).rejects.toMatchObject({ code: 'tpm.silent' });
    await tpm.close();
  });
});
