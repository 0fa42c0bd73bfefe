import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import type { TpmServer } from '../../simulator/tpm/serve.ts';
import { serveMssim } from '../../simulator/tpm/serve-mssim.ts';
import { nodePlatform } from '../../src/core/node.ts';
import { present } from './present.ts';

const run = promisify(execFile);
const { clock, random } = nodePlatform({ directory: '.' });

describe("the software TPM behind the protocol of Microsoft's simulator", { timeout: 60_000 }, () => {
  let directory: string;
  let server: TpmServer;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fealty-mssim-'));
    server = await serveMssim(await SoftwareTpm.create({ clock, random, slots: 16 }), { port: 0 });
  });
  afterEach(async () => {
    await server.close();
    await rm(directory, { recursive: true, force: true });
  });

  const sh = async (script: string) => {
    const { stdout } = await run('bash', ['-e', '-o', 'pipefail', '-c', script], {
      cwd: directory,
      env: {
        ...process.env,
        TPM2TOOLS_TCTI: server.tcti,
        TSS2_LOG: 'all+ERROR',
        TPM_INTERFACE_TYPE: 'socsim',
        TPM_SERVER_TYPE: 'mssim',
        TPM_SERVER_NAME: '127.0.0.1',
        TPM_COMMAND_PORT: String(server.port),
        TPM_PLATFORM_PORT: String(server.port + 1),
        TPM_DATA_DIR: directory,
      },
      timeout: 30_000,
    });
    return stdout;
  };

  describe.skipIf(!present('tpm2_getrandom', 'openssl'))('serves tpm2-tools', () => {
    it('that sign what openssl verifies', async () => {
      expect(server.tcti).toMatch(/^mssim:host=127\.0\.0\.1,port=\d+$/);
      const verdict = await sh(`
        tpm2_getrandom --hex 32 > first
        tpm2_createprimary -C o -g sha256 -G ecc -c primary.ctx
        tpm2_create -C primary.ctx -G ecc:ecdsa-sha256 -u key.pub -r key.priv
        tpm2_load -C primary.ctx -u key.pub -r key.priv -c key.ctx
        tpm2_readpublic -c key.ctx -f pem -o key.pem
        echo -n 'a message' > msg
        tpm2_sign -c key.ctx -g sha256 -f plain -o sig msg
        openssl dgst -sha256 -verify key.pem -signature sig msg`);
      expect(verdict).toContain('Verified OK');
    });
  });

  describe.skipIf(!present('tsspowerup', 'tssstartup'))("serves IBM's TSS", () => {
    it('that switches the power off and on, starts the TPM, and uses it', async () => {
      await expect(sh('tssstartup -c')).rejects.toMatchObject({
        stdout: expect.stringContaining('INITIALIZE'),
      });
      const said = await sh(`
        tsspowerup
        tssstartup -c
        tssgetrandom -by 16
        tsscreateprimary -hi o -ecc nistp256 -st
        tsscreate -hp 80000000 -si -ecc nistp256 -kt f -kt p -opr key.priv -opu key.pub
        tssload -hp 80000000 -ipr key.priv -ipu key.pub
        echo -n 'a message' > msg
        tsssign -hk 80000001 -halg sha256 -ecc -if msg -os sig
        tssverifysignature -hk 80000001 -halg sha256 -ecc -if msg -is sig
        tssnvdefinespace -hi o -ha 01500001 -ty o -sz 4
        tssnvwrite -ha 01500001 -ic abcd
        tssnvread -ha 01500001 -sz 4
        tssflushcontext -ha 80000000`);
      expect(said).toMatch(/randomBytes length 16/i);
      expect(said).toContain('61 62 63 64');
    });

    it('that loses what is volatile with the power, and keeps the rest', async () => {
      const said = await sh(`
        tssnvdefinespace -hi o -ha 01500001 -ty o -sz 4 > /dev/null
        tssnvwrite -ha 01500001 -ic abcd > /dev/null
        tsspcrextend -ha 16 -ic measured > /dev/null
        tsspowerup
        tssstartup -c
        tssnvread -ha 01500001 -sz 4
        tsspcrread -ha 16 -halg sha256`);
      expect(said).toContain('61 62 63 64');
      expect(said).toMatch(/00 00 00 00 00 00 00 00/);
    });
  });
});
