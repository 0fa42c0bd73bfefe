import { describe, expect, it } from 'vitest';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { nodePlatform } from '../../src/core/node.ts';
import { pcrBanks } from '../../src/tpm/index.ts';
import { setStage } from './stage.ts';

const { clock, random } = nodePlatform({ directory: '.' });

describe('the banks of a TPM', () => {
  it('are told by name, also one whose hash is computed by nobody here, and not one that is switched off', async () => {
    const stage = await setStage(await SoftwareTpm.create({ clock, random }));
    expect(await pcrBanks(stage.tpm)).toEqual(['sha1', 'sha256', 'sha384', 'sha512']);
    const bank = (algorithm: number, ...map: readonly number[]) =>
      String.fromCharCode(0, algorithm, 3, ...map);
    stage.tamper = (answer) => {
      const text = Buffer.from(answer).toString('latin1');
      const changed = text
        .replace(bank(0x0c, 0xff, 0xff, 0xff), bank(0x12, 0xff, 0xff, 0xff)) // SM3
        .replace(bank(0x04, 0xff, 0xff, 0xff), bank(0x04, 0, 0, 0));
      return new Uint8Array(Buffer.from(changed, 'latin1'));
    };
    expect(await pcrBanks(stage.tpm)).toEqual(['sha256', 'sm3_256', 'sha512']);
  });
});
