import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runHere } from './paper.ts';

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fealty-serve-'));
  await mkdir(join(directory, 'damaged'));
  await writeFile(join(directory, 'damaged', 'tpm'), 'not the state of a TPM');
  await writeFile(join(directory, 'file'), '');
});

afterAll(() => rm(directory, { recursive: true }));

describe('fealty tpm serve', () => {
  it.each([
    ['a percentage above 100', ['--fault', 'RETRY%500'], /--fault: `RETRY%500` is more than 100 percent/],
    ['a fault of a command that no TPM has', ['--fault', 'RETRY@Sing'], /--fault: `TPM2_Sing` is no command/],
    ['a socket without a path', ['--socket', ''], /--socket needs a path/],
    ['a path that the kernel would cut off', ['--socket', `/tmp/${'x'.repeat(120)}`], /at most 98 bytes/],
    ['a port without a next one', ['--port', '65535'], /--port is a whole number from 0 to 65534/],
    ['slots that are no number', ['--port', '0', '--slots', 'many'], /--slots is a whole number/],
  ])('calls %s a misuse', async (_what, args, says) => {
    const { code, out, err } = await runHere('tpm serve', ...args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(says);
  });

  it.each([
    [
      'damaged',
      ['--port', '0', '--state', 'damaged'],
      /--state `.*damaged` cannot be used; another directory/,
    ],
    ['in no directory', ['--port', '0', '--state', 'file'], /--state `.*file` cannot be used/],
    ['nowhere to listen', ['--socket', 'no/where'], /cannot listen at `.*no\/where`.*--socket names another/],
  ])('says what to do when it is %s', async (_what, args, says) => {
    const given = args.map((one, at) =>
      args[at - 1] === '--state' || args[at - 1] === '--socket' ? join(directory, one) : one,
    );
    const { code, out, err } = await runHere('tpm serve', ...given);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toMatch(says);
    expect(err).toContain('[cli.cannot-serve]');
  });

  it('says which ports are taken, and how to have others', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo;
    const { code, err } = await runHere('tpm serve', '--port', String(port));
    expect(code).toBe(1);
    expect(err).toMatch(`cannot listen on ports ${port} and ${port + 1}; --port names another`);
    await new Promise((resolve) => other.close(resolve));
  });
});
