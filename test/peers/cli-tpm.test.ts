import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runHere } from '../cli/paper.ts';
import { needs } from './present.ts';
import type { Swtpm } from './swtpm.ts';
import { startSwtpm } from './swtpm.ts';

const exec = promisify(execFile);
const here = ['swtpm', 'tpm2_quote'].map(needs).every(Boolean);

describe.skipIf(!here)('fealty tpm on a TPM that tpm2-tools prepared', () => {
  let swtpm: Swtpm;
  let folder: string;

  /** A program of tpm2-tools. */
  const tool = async (name: string, ...args: readonly string[]) => {
    const env = { ...process.env, TPM2TOOLS_TCTI: swtpm.tcti };
    const { stdout } = await exec(`tpm2_${name}`, [...args], { cwd: folder, env });
    return stdout;
  };
  const fealty = (command: string, ...args: readonly string[]) =>
    runHere(`tpm ${command}`, '--tpm', swtpm.spec, ...args);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fealty-cli-peers-'));
    swtpm = await startSwtpm('tcp');
    await tool('createek', '-G', 'ecc', '-c', '0x81010002', '-u', 'ek.pub');
    await tool('createak', '-C', '0x81010002', '-G', 'ecc', '-g', 'sha256', '-s', 'ecdsa', '-c', 'ak.ctx');
    await tool('flushcontext', '-t');
    await tool('evictcontrol', '-C', 'o', '-c', 'ak.ctx', '0x81010003');
    await tool(
      'nvdefine',
      '0x01500001',
      '-C',
      'o',
      '-a',
      'ownerread|ownerwrite|authread|authwrite|nt=counter',
    );
    await tool('nvincrement', '0x01500001', '-C', 'o');
    await tool('pcrextend', `23:sha256=${'ab'.repeat(32)}`);
  });

  afterAll(async () => {
    await swtpm.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('tells what they made', async () => {
    const keys = await fealty('keys');
    expect(keys.out).toMatch(/0x81010002 {2}EK: P-256/);
    expect(keys.out).toMatch(/0x81010003 {2}attestation key: P-256, ecdsa sha256/);
    const nv = await fealty('nv');
    expect(nv.out).toMatch(/0x01500001 {2}counter, 1\n +read by the owner, its auth value/);
    const pcr = await fealty('pcr', '23');
    const theirs = await tool('pcrread', 'sha256:23');
    expect(theirs.toLowerCase()).toContain(pcr.out.split(/\s+/)[2]);
    const info = await fealty('info', '--json');
    expect(JSON.parse(info.out)).toMatchObject({
      manufacturer: 'IBM',
      software: true,
      lockout: { locked: false },
    });
    expect((await fealty('certs')).out).toBe('The TPM holds no certificate.');
    expect((await fealty('quote')).err).toContain('no IAK');
    expect((await fealty('clear-lockout', '--yes')).out).toContain('Forgiven: 0');
  });

  it('makes a quote that tpm2_checkquote accepts, for this nonce alone', async () => {
    const nonce = '0123456789abcdef';
    const out = join(folder, 'proof');
    const made = await fealty(
      'quote',
      '--key',
      '0x81010003',
      '--nonce',
      nonce,
      '--pcrs',
      '0,23',
      '--out',
      out,
    );
    expect(made).toMatchObject({ code: 0, err: '' });
    expect(await readFile(join(out, 'key.pem'), 'utf8')).toContain('BEGIN PUBLIC KEY');
    const check = (given: string) =>
      tool(
        'checkquote',
        '-u',
        join(out, 'key.pem'),
        '-m',
        join(out, 'quote.attest'),
        '-s',
        join(out, 'quote.signature'),
        '-q',
        given,
      );
    await expect(check(nonce)).resolves.toContain('sig:');
    await expect(check('0123456789abcdee')).rejects.toThrow();
  });
});
