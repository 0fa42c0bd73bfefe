import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import { nodePlatform } from '../../src/core/node.ts';
import { openTpm } from '../../src/tpm/index.ts';
import { TpmCrypto } from '../../src/tpm/webcrypto/index.ts';
import type { Provided } from '../tpm/suite.ts';
import { papersOf, webcryptoSuite } from '../tpm/suite-webcrypto.ts';
import { needs } from './present.ts';
import { openSwtpm } from './swtpm.ts';

const { clock, random } = nodePlatform({ directory: '.' });
const exec = promisify(execFile);

const software = async (): Promise<Provided> => {
  const transport = await SoftwareTpm.create({ clock, random });
  return { transport, close: () => transport.close() };
};

const withSwtpm = needs('swtpm');

describe.skipIf(!withSwtpm)('with swtpm as the TPM', () => {
  webcryptoSuite('swtpm', openSwtpm);
});

const rsa = { modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1), hash: 'SHA-256' };
const algorithms = [
  { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  { name: 'RSASSA-PKCS1-v1_5', ...rsa },
  { name: 'RSA-PSS', saltLength: 32, ...rsa },
] as const;

describe.skipIf(!needs('openssl')).each([
  ['the software TPM', software, true],
  ['swtpm', openSwtpm, withSwtpm],
] as const)('a key of WebCrypto in %s', (_name, open, here) => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fealty-webcrypto-'));
  });

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it.skipIf(!here).each(algorithms)(
    'signs a request and a certificate that openssl verifies: $name $hash',
    async (algorithm) => {
      const provided = await open();
      const tpm = await openTpm({ transport: provided.transport, clock, random });
      try {
        const { request, certificate } = await papersOf(new TpmCrypto(tpm), algorithm);
        await writeFile(join(folder, 'request.pem'), request.toString('pem'));
        await writeFile(join(folder, 'certificate.pem'), certificate.toString('pem'));
        const openssl = (...args: readonly string[]) => exec('openssl', [...args], { cwd: folder });
        const { stdout, stderr } = await openssl(
          'req',
          '-in',
          'request.pem',
          '-verify',
          '-noout',
          '-subject',
        );
        expect(`${stdout}${stderr}`).toMatch(/verify OK/);
        expect(stdout).toMatch(/CN = robot-7/);
        const chain = ['-CAfile', 'certificate.pem', '-check_ss_sig', 'certificate.pem'];
        expect((await openssl('verify', ...chain)).stdout).toBe('certificate.pem: OK\n');
      } finally {
        await tpm.close();
        await provided.close();
      }
    },
  );
});
