import { describe, expect, it, vi } from 'vitest';
import { nodePlatform } from '../../src/core/node.ts';
import { getRandom, openTpm, openTransport } from '../../src/tpm/index.ts';
import { clientSuite } from '../tpm/suite.ts';
import { startMssimRelay } from './mssim-relay.ts';
import { needs } from './present.ts';
import { openSwtpm, startSwtpm } from './swtpm.ts';

const here = needs('swtpm');

describe.skipIf(!here)('with swtpm as the oracle', { timeout: 60_000 }, () => {
  for (const by of ['unix', 'tcp'] as const) clientSuite(`swtpm by ${by}`, () => openSwtpm(by));

  clientSuite('swtpm in mssim framing', async () => {
    const swtpm = await startSwtpm();
    const relay = await startMssimRelay(swtpm.spec.replace('swtpm:path=', ''));
    const transport = openTransport(relay.spec);
    return {
      transport,
      async close() {
        await transport.close?.();
        await relay.close();
        await swtpm.close();
      },
    };
  });

  describe('the mssim transport', () => {
    it('switches power and NV on once, and ends both sessions', async () => {
      const swtpm = await startSwtpm();
      const relay = await startMssimRelay(swtpm.spec.replace('swtpm:path=', ''));
      const { clock, random } = nodePlatform({ directory: '.' });
      const tpm = await openTpm({ transport: openTransport(relay.spec), clock, random });
      expect(await getRandom(tpm, 100)).toHaveLength(100);
      await tpm.close();
      await vi.waitFor(() => expect(relay.signals).toEqual([1, 11, 20]));
      await relay.close();
      await swtpm.close();
    });
  });

  describe('the TCP transport', () => {
    it('reaches swtpm on its port, one connection for all commands', async () => {
      const swtpm = await startSwtpm('tcp');
      const { clock, random } = nodePlatform({ directory: '.' });
      const tpm = await openTpm({ transport: openTransport(swtpm.spec), clock, random });
      expect(await getRandom(tpm, 100)).toHaveLength(100);
      await tpm.close();
      await swtpm.close();
    });

    it('says that the TPM is silent once swtpm is gone', async () => {
      const swtpm = await startSwtpm('tcp');
      const { clock, random } = nodePlatform({ directory: '.' });
      const tpm = await openTpm({ transport: openTransport(swtpm.spec), clock, random });
      await swtpm.close();
      await expect(getRandom(tpm, 8)).rejects.toMatchObject({ code: 'tpm.silent', remedy: 'retry' });
      await tpm.close();
    });
  });
});
