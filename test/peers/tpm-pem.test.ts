import { execFile } from 'node:child_process';
import { verify } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodePlatform } from '../../src/core/node.ts';
import type { Tpm } from '../../src/tpm/index.ts';
import {
  createKey,
  createPrimary,
  flush,
  keyObjectOfPublic,
  ldevidTemplate,
  loadKeyFile,
  openTpm,
  openTransport,
  owned,
  persist,
  persistentHandles,
  readKeyFile,
  signMessage,
  srkTemplate,
  tpmSigner,
  writeKeyFile,
} from '../../src/tpm/index.ts';
import { present } from './present.ts';
import type { Swtpm } from './swtpm.ts';
import { startSwtpm } from './swtpm.ts';

const exec = promisify(execFile);

/** Whether OpenSSL has the provider of tpm2-openssl. */
async function hasProvider(): Promise<boolean> {
  if (!present('swtpm', 'openssl')) return false;
  const { stdout } = await exec('openssl', ['version', '-m']);
  const found = existsSync(join(/"(.*)"/.exec(stdout)?.[1] ?? '', 'tpm2.so'));
  if (!found && process.env['CI']) throw new Error('not installed: tpm2-openssl');
  return found;
}

describe.skipIf(!(await hasProvider()))('TSS2 PRIVATE KEY files and tpm2-openssl', () => {
  let swtpm: Swtpm;
  let folder: string;
  const at = (name: string) => join(folder, name);
  const message = 'signed where the key is';

  beforeAll(async () => {
    swtpm = await startSwtpm('tcp');
    folder = await mkdtemp(join(tmpdir(), 'fealty-pem-'));
    await writeFile(at('message'), message);
  });
  afterAll(async () => {
    await swtpm.close();
    await rm(folder, { recursive: true });
  });

  const openssl = async (...args: readonly string[]) =>
    await exec('openssl', args, { env: { ...process.env, TPM2OPENSSL_TCTI: swtpm.tcti } });
  const provider = ['-provider', 'tpm2', '-provider', 'default', '-propquery', '?provider=tpm2'];

  /** swtpm serves one connection at a time: ours is closed before OpenSSL's is opened. */
  async function withTpm<T>(work: (tpm: Tpm) => Promise<T>): Promise<T> {
    const { clock, random } = nodePlatform({ directory: '.' });
    await using tpm = await openTpm({ transport: openTransport(swtpm.spec), clock, random });
    return await work(tpm);
  }

  it.each([
    ['EC', 'group:P-256'],
    ['RSA', 'bits:2048'],
  ])('a key that OpenSSL made (%s) is loaded and signs', { timeout: 60_000 }, async (algorithm, option) => {
    const made = ['-algorithm', algorithm, '-pkeyopt', option, '-out', at('made.pem')];
    await openssl('genpkey', '-provider', 'tpm2', ...made);
    const file = readKeyFile(await readFile(at('made.pem'), 'utf8'));
    expect(file).toMatchObject({ type: 'loadable', emptyAuth: true });
    const data = Buffer.from(message);
    await withTpm(async (tpm) => {
      await using key = owned(tpm, await loadKeyFile(tpm, file));
      const signature = await signMessage(tpm, key, data); // verified before it is given out
      expect(signature.sigAlg).toBe(algorithm === 'EC' ? 'ecdsa' : 'rsassa');
      if (algorithm === 'EC') expect(await tpmSigner(tpm, key).sign(data)).toHaveLength(64);
    });
  });

  it('a key with an auth value, under a persistent parent, too', async () => {
    await withTpm(async (tpm) => {
      const srk = await createPrimary(tpm, { hierarchy: 'owner', template: srkTemplate });
      await persist(tpm, srk, persistentHandles.srk);
      await flush(tpm, srk);
    });
    const parent = ['-pkeyopt', `parent:0x${persistentHandles.srk.toString(16)}`];
    const made = ['-algorithm', 'EC', '-pkeyopt', 'group:P-256', '-pkeyopt', 'user-auth:abc', ...parent];
    await openssl('genpkey', '-provider', 'tpm2', ...made, '-out', at('auth.pem'));
    const file = readKeyFile(await readFile(at('auth.pem'), 'utf8'));
    expect(file).toMatchObject({ emptyAuth: false, parent: persistentHandles.srk });
    await withTpm(async (tpm) => {
      const data = Buffer.from(message);
      await using key = owned(tpm, await loadKeyFile(tpm, file, { auth: Buffer.from('abc') }));
      expect((await signMessage(tpm, key, data)).sigAlg).toBe('ecdsa');
      await using wrong = owned(tpm, await loadKeyFile(tpm, file, { auth: Buffer.from('abd') }));
      await expect(signMessage(tpm, wrong, data)).rejects.toMatchObject({ code: 'tpm.refused' });
    });
  });

  it.each([
    ['a hierarchy', undefined],
    ['a persistent handle', 0x81000123],
  ])('a key of ours, its parent %s, is used by openssl dgst and pkeyutl', async (_, handle) => {
    const area = await withTpm(async (tpm) => {
      await using parent = owned(
        tpm,
        await createPrimary(tpm, { hierarchy: 'owner', template: srkTemplate }),
      );
      if (handle !== undefined) await persist(tpm, parent, handle);
      const wrapped = await createKey(tpm, parent, {
        template: {
          ...ldevidTemplate,
          parameters: { ...ldevidTemplate.parameters, scheme: { scheme: 'null' } },
        },
      });
      const file = writeKeyFile({ ...wrapped, ...(handle === undefined ? {} : { parent: handle }) });
      await writeFile(at('ours.pem'), file);
      expect(readKeyFile(file)).toMatchObject({ parent: handle ?? 0x40000001, public: wrapped.public });
      return wrapped.public;
    });
    const key = keyObjectOfPublic(area);
    await openssl('dgst', ...provider, '-sha256', '-sign', at('ours.pem'), '-out', at('sig'), at('message'));
    expect(verify('sha256', Buffer.from(message), key, await readFile(at('sig')))).toBe(true);
    const raw = ['-sign', '-rawin', '-digest', 'sha256', '-inkey', at('ours.pem'), '-in', at('message')];
    await openssl('pkeyutl', ...provider, ...raw, '-out', at('sig2'));
    expect(verify('sha256', Buffer.from(message), key, await readFile(at('sig2')))).toBe(true);
    await withTpm(async (tpm) => {
      const file = readKeyFile(await readFile(at('ours.pem'), 'utf8'));
      await using again = owned(tpm, await loadKeyFile(tpm, file));
      expect(again.public).toEqual(area);
    });
  });

  it('a public key that OpenSSL reads out of a file of ours is that key', async () => {
    const area = readKeyFile(await readFile(at('ours.pem'), 'utf8')).public;
    const { stdout } = await openssl('pkey', ...provider, '-in', at('ours.pem'), '-pubout');
    expect(stdout).toBe(keyObjectOfPublic(area).export({ format: 'pem', type: 'spki' }));
  });
});
