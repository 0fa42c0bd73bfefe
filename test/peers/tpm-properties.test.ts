import { describe, expect, it } from 'vitest';
import { hex } from '../../src/core/bytes.ts';
import { nodePlatform } from '../../src/core/node.ts';
import * as tpm2 from '../../src/tpm/commands.ts';
import { openTpm, openTransport, run } from '../../src/tpm/index.ts';
import { TPM_PT } from '../../src/tpm/structures.ts';
import { Bench } from '../simulator/tpm-bench.ts';
import { bytesOf, codeOf } from '../tpm/raw.ts';
import { startPair } from './pair.ts';
import { needs } from './present.ts';
import { startSwtpm } from './swtpm.ts';

describe.skipIf(!needs('swtpm'))('what the software TPM and swtpm say about themselves', () => {
  const own = new Set<keyof typeof TPM_PT>([
    'manufacturer',
    'vendorString1',
    'vendorString2',
    'firmwareVersion1',
    'firmwareVersion2',
    // SHA-256 protects contexts and tickets here, SHA-512 there; contexts have other sizes.
    'contextHash',
    'maxObjectContext',
    'maxSessionContext',
    // Those of the PC Client profile here, of the library there.
    'psFamilyIndicator',
    'psRevision',
    'psDayOfYear',
    'psYear',
    'totalCommands',
    'libraryCommands',
    'loadedCurves',
  ]);

  it('are the same properties, with the same values wherever the limits are the same', async () => {
    const swtpm = await startSwtpm();
    const tpm = await openTpm({ transport: openTransport(swtpm.spec), ...nodePlatform({ directory: '.' }) });
    const bench = new Bench();
    try {
      for (const property of [0x100, 0x200]) {
        const request = { capability: 'tpmProperties', property, propertyCount: 256 } as const;
        const ours = bench.ask(tpm2.TPM2_GetCapability, request).capabilityData;
        const its = (await run(tpm, tpm2.TPM2_GetCapability, request)).capabilityData;
        if (ours.capability !== 'tpmProperties' || its.capability !== 'tpmProperties')
          throw new Error('other');
        const names = new Map(Object.entries(TPM_PT).map(([name, value]) => [value as number, name]));
        const shown = (list: typeof ours.data) =>
          list.map((one) => {
            const name = names.get(one.property) as keyof typeof TPM_PT;
            return [name, own.has(name) ? 'its own' : one.value];
          });
        expect(shown(ours.data)).toEqual(shown(its.data));
      }
    } finally {
      await tpm.close();
      await swtpm.close();
    }
  });

  it('are the same attributes of every command that both have', async () => {
    const swtpm = await startSwtpm();
    const tpm = await openTpm({ transport: openTransport(swtpm.spec), ...nodePlatform({ directory: '.' }) });
    const bench = new Bench();
    try {
      const request = { capability: 'commands', property: 0, propertyCount: 256 } as const;
      const ours = bench.ask(tpm2.TPM2_GetCapability, request).capabilityData;
      const its = (await run(tpm, tpm2.TPM2_GetCapability, request)).capabilityData;
      if (ours.capability !== 'commands' || its.capability !== 'commands') throw new Error('other');
      const known = new Map(its.data.map((one) => [one & 0xffff, one]));
      const shared = ours.data.filter((one) => known.has(one & 0xffff));
      expect(shared.length).toBe(108);
      expect(shared.map((one) => one.toString(16))).toEqual(
        shared.map((one) => known.get(one & 0xffff)?.toString(16)),
      );
    } finally {
      await tpm.close();
      await swtpm.close();
    }
  });

  it('are no countdown timers, of the sixteen there may be: VALUE for others', async () => {
    const pair = await startPair();
    try {
      const codes: number[] = [];
      for (const property of [0x40000110, 0x4000011f, 0x4000010f, 0x40000120]) {
        const request = { capability: 'act', property, propertyCount: 3 } as const;
        const [ours, its] = await pair.both(bytesOf(tpm2.TPM2_GetCapability, request));
        expect(hex(ours)).toBe(hex(its));
        codes.push(codeOf(ours));
      }
      expect(codes).toEqual([0, 0, 0x2c4, 0x2c4]);
    } finally {
      await pair.close();
    }
  });
});
