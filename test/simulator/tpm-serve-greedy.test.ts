import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { serveTpm } from '../../simulator/tpm/serve.ts';
import { serveMssim } from '../../simulator/tpm/serve-mssim.ts';
import { concat, fromHex, u32 } from '../../src/core/bytes.ts';
import { nodePlatform } from '../../src/core/node.ts';

const { clock, random } = nodePlatform({ directory: '.' });
/** TPM2_GetCapability of 256 commands: a short question with a long answer. */
const listing = fromHex('8001000000160000017a000000020000000000000100');
const many = 4000;

let directory: string;
let chip: SoftwareTpm;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fealty-greedy-'));
  chip = await SoftwareTpm.create({ clock, random });
});
afterEach(() => rm(directory, { recursive: true }));

describe.each([
  ['swtpm', serveTpm, 'answer', listing],
  ['mssim', serveMssim, 'exchangeAt', concat(u32(8), Uint8Array.of(0), u32(listing.length), listing)],
] as const)(
  'a client that asks and does not read, over the protocol of %s',
  (_name, serve, asked, request) => {
    const flood = new Uint8Array(Array.from({ length: many }, () => [...request]).flat());

    it('is not worked for until it reads, and then has every answer', async () => {
      const path = join(directory, 'tpm');
      await using _server = await serve(chip, { path });
      const answered = vi.spyOn(chip, asked);
      const greedy = connect({ path });
      greedy.write(flood);
      // It stands still when others are answered again and again and its count does not move.
      for (let before = -1, others = 0; answered.mock.calls.length - others !== before; ) {
        before = answered.mock.calls.length - others;
        for (let i = 0; i < 50; i++, others++) {
          const other = connect({ path });
          other.write(request);
          await once(other, 'data');
          other.destroy();
        }
      }
      expect(answered.mock.calls.length).toBeLessThan(many); // the kernel holds some hundred kilobytes

      const size = (await chip.exchange(listing)).length + (request === listing ? 0 : 8);
      let got = 0;
      for await (const chunk of greedy) {
        got += (chunk as Buffer).length;
        if (got >= size * many) break;
      }
      expect(got).toBe(size * many);
    });

    it('does not keep the server from closing', async () => {
      const path = join(directory, 'tpm');
      const server = await serve(chip, { path });
      const greedy = connect({ path });
      greedy.on('error', () => {});
      greedy.write(flood);
      const other = connect({ path });
      for (let i = 0; i < 200; i++) {
        other.write(request);
        await once(other, 'data');
      }
      await server.close();
      greedy.destroy();
      other.destroy();
    });
  },
);
