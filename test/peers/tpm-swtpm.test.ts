import { describe, expect, it } from 'vitest';
import { nodePlatform } from '../../src/core/node.ts';
import { TPM2_PCR_Read } from '../../src/tpm/commands.ts';
import {
  createPrimary,
  ekTemplate,
  endSession,
  getRandom,
  openTpm,
  openTransport,
  run,
  startSession,
  using,
} from '../../src/tpm/index.ts';
import { clientSuite } from '../tpm/suite.ts';
import { needs } from './present.ts';
import { startSwtpm } from './swtpm.ts';

const here = needs('swtpm');

describe.skipIf(!here)('with swtpm as the oracle', { timeout: 60_000 }, () => {
  clientSuite('swtpm', async () => {
    const swtpm = await startSwtpm();
    const transport = openTransport(swtpm.spec);
    return {
      transport,
      async close() {
        await transport.close?.();
        await swtpm.close();
      },
    };
  });

  describe('an audit session', () => {
    it('has the TPM vouch for answers to commands that need no authorization', async () => {
      const swtpm = await startSwtpm();
      const { clock, random } = nodePlatform({ directory: '.' });
      const tpm = await openTpm({ transport: openTransport(swtpm.spec), clock, random });
      const ek = await createPrimary(tpm, { hierarchy: 'endorsement', template: ekTemplate });
      const session = await startSession(tpm, { kind: 'hmac', saltedTo: ek });
      const pcrSelectionIn = [{ hash: 'sha256', pcrSelect: [0] }] as const;
      const authorizations = [using(session, { audit: true })];
      const { pcrValues } = await run(tpm, TPM2_PCR_Read, { pcrSelectionIn }, { authorizations });
      expect(pcrValues).toEqual([new Uint8Array(32)]);
      await endSession(tpm, session);
      await tpm.close();
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
