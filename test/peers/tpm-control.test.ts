import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import type { TpmServer } from '../../simulator/tpm/serve.ts';
import { serveTpm } from '../../simulator/tpm/serve.ts';
import { concat, fromHex, hex } from '../../src/core/bytes.ts';
import { nodePlatform } from '../../src/core/node.ts';
import { present } from './present.ts';
import type { Swtpm } from './swtpm.ts';
import { startSwtpm } from './swtpm.ts';

const run = promisify(execFile);
const { clock, random } = nodePlatform({ directory: '.' });

/** What comes back on `port` until `quiet` ms pass without a byte, or the other end closes. */
async function ask(port: number, request: string, quiet = 60): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  let got: Uint8Array = new Uint8Array();
  const ended = new Promise<void>((resolve) => {
    socket.setTimeout(quiet, resolve);
    socket.on('data', (chunk) => {
      got = concat(got, chunk);
    });
    socket.once('close', () => resolve());
    socket.once('error', () => resolve());
  });
  socket.write(fromHex(request.replaceAll(' ', '')));
  await ended;
  socket.destroy();
  return hex(got);
}

describe.skipIf(!present('swtpm'))('control commands, as swtpm answers them', () => {
  let swtpm: Swtpm;
  let server: TpmServer;

  beforeEach(async () => {
    swtpm = await startSwtpm('tcp');
    server = await serveTpm(await SoftwareTpm.create({ clock, random }), { port: 0 });
  });
  afterEach(async () => {
    await swtpm.close();
    await server.close();
  });

  /** The same request to both: the same bytes back. `d` is the data port, `c` the control port. */
  async function alike(lines: string): Promise<void> {
    for (const line of lines.trim().split('\n')) {
      const [port = '', ...words] = line.trim().split(' ');
      const request = words.join('');
      const at = (base: number) => (port === 'c' ? base + 1 : base);
      const [theirs, ours] = await Promise.all([ask(at(swtpm.port), request), ask(at(server.port), request)]);
      expect({ line, answer: ours }).toEqual({ line, answer: theirs });
    }
  }
  const startup = 'd 80010000000c000001440000';

  it('set localities, 0 to 4', async () => {
    await alike(`
      c 00000005 00
      c 00000005 04
      c 00000005 05
      c 00000005 ff
      c 00000005 00`);
  });

  it('stop and initialise it; meanwhile most of the others are refused, and TPM commands fail', async () => {
    await alike(`
      c 0000000e
      d 80010000000c0000017b0008
      c 00000004
      c 00000005 00
      c 00000006
      c 00000007 00000003 616263
      c 00000008
      c 00000009
      c 0000000a
      c 0000000b 03
      c 0000000c 00000000 00000001 00000000
      c 0000000f
      c 0000000e
      c 00000002 00000000
      ${startup}
      c 00000004
      c 00000002 00000001
      d 80010000000c0000017b0008
      ${startup}`);
  });

  it('measure a dynamic root of trust into PCR 17, and tell that there was one', async () => {
    await alike(`
      c 00000004
      c 00000006
      c 00000004
      c 00000007 00000003 616263
      c 00000008`);
    const pcr17 = async (port: number) =>
      (await ask(port, '8001000000140000017e00000001000b03000002')).slice(-64);
    expect(await pcr17(server.port)).toBe(await pcr17(swtpm.port));
    expect(await pcr17(server.port)).toMatch(/^589f9ffe/);
    await alike(`
      c 00000004
      c 0000000b 00
      c 0000000b 02
      c 00000004
      c 0000000b 04
      c 00000004
      c 00000006
      c 00000002 00000000
      c 00000004
      c 0000000b 03
      c 00000004
      c 00000007 00000001 00
      c 00000008`);
  });

  it('keep volatile state over an initialisation, as often as asked for', async () => {
    await alike(`
      c 0000000a
      c 00000002 00000000
      ${startup}
      c 00000002 00000000
      ${startup}
      c 00000002 00000001
      c 00000002 00000001
      ${startup}`);
  });

  it('negotiate the size of the buffer, with the TPM stopped only', async () => {
    await alike(`
      c 00000011 00000000
      c 00000011 00000100
      c 0000000e
      c 00000011 00000100
      c 00000011 00000000
      c 00000011 00000c00
      c 00000011 00010000
      c 00000011 00000000`);
  });

  it('refuse states that are none, and to load any while it runs', async () => {
    await alike(`
      c 0000000c 00000000 00000003 00000000
      c 0000000c 00000000 00000009 00000000
      c 0000000c 00000000 00000001 00010000
      c 0000000d 00000000 00000001 00000004 deadbeef
      c 0000000e
      c 0000000d 00000000 00000001 00000004 deadbeef
      c 0000000d 00000000 00000002 00000004 deadbeef
      c 0000000d 00000000 00000009 00000004 deadbeef
      c 00000002 00000000
      ${startup}`);
  });

  it('are refused when there are no such, and wait for what is missing', async () => {
    await alike(`
      c 00000000
      c 00000014
      c ffffffff
      c 00000010
      c 0000
      c 00000005`);
  });

  it('tell of the specification, attributes and features in JSON, from an offset on', async () => {
    await alike(`
      c 00000012 0000000000000001 00000000 00000000
      c 00000012 0000000000000001 00000010 00000000
      c 00000012 0000000000000001 00001000 00000000
      c 00000012 0000000000000000 00000000 00000000`);
    const about = async (port: number) =>
      JSON.parse(
        Buffer.from(
          (await ask(port, '00000012000000000000000600000000 00000000')).slice(24, -2),
          'hex',
        ).toString(),
      ) as Record<string, object>;
    const [theirs, ours] = [await about(swtpm.port + 1), await about(server.port + 1)];
    expect(Object.keys(ours)).toEqual(Object.keys(theirs));
    expect(Object.keys(ours['TPMAttributes'] ?? {})).toEqual(Object.keys(theirs['TPMAttributes'] ?? {}));
  });

  it("take commands behind the prefix of Microsoft's simulator on the data port", async () => {
    await alike(`
      d 00000008 00 0000000c 80010000000c000001440000
      d 00000008 00 0000000c 80010000000d0000017b0008`);
  });

  it('tell what they can: all of swtpm 0.7.1 but to be handed a file, and to lock storage', async () => {
    expect(await ask(swtpm.port + 1, '00000001')).toBe('000000000000ffff');
    expect(await ask(server.port + 1, '00000001')).toBe('000000000001efff');
    expect(await ask(server.port + 1, '00000013 00000064')).toBe('00000000');
  });
});

describe.skipIf(!present('swtpm_ioctl', 'tpm2_nvdefine'))('swtpm_ioctl', () => {
  let directory: string;
  let server: TpmServer;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fealty-ioctl-'));
    server = await serveTpm(await SoftwareTpm.create({ clock, random }), { port: 0 });
  });
  afterEach(async () => {
    await server.close();
    await rm(directory, { recursive: true, force: true });
  });

  const sh = async (script: string) => {
    const { stdout } = await run('bash', ['-e', '-c', script], {
      cwd: directory,
      env: {
        ...process.env,
        TPM2TOOLS_TCTI: server.tcti,
        IOCTL: `swtpm_ioctl --tcp 127.0.0.1:${server.port + 1}`,
      },
    });
    return stdout;
  };

  it('asks, sets, hashes, stores and cancels', async () => {
    const said = await sh(`
      $IOCTL -c ; $IOCTL -g ; $IOCTL -e ; $IOCTL -h abc ; $IOCTL -e ; $IOCTL -r 3 ; $IOCTL -e
      $IOCTL -l 3 ; $IOCTL -l 0 ; $IOCTL -b 0 ; $IOCTL -v ; $IOCTL -C ; $IOCTL --info 1
      tpm2_pcrread sha256:17`);
    expect(said).toContain('ptm capability is 0x1efff');
    expect(said).toContain('configuration flags: 0x0');
    expect([...said.matchAll(/tpmEstablished is (\d)/g)].map(([, bit]) => bit)).toEqual(['0', '1', '0']);
    expect(said).toContain('TPM buffersize: 4096');
    expect(said).toContain('"TPMSpecification":{"family":"2.0"');
    // H(0 ‖ H("abc")), as swtpm has it.
    expect(said).toContain('17: 0x589F9FFED4C477966BFB8D41F37895B08C69047DF8F911D6F3B57FBE08FA');
  });

  it('moves a TPM from one server to another, awake: keys, NV, objects, PCRs', async () => {
    await writeFile(join(directory, 'data'), 'abcd');
    await sh(`
      tpm2_nvdefine 0x01500001 -C o -s 4 ; tpm2_nvwrite 0x01500001 -C o -i data
      tpm2_createprimary -C o -G ecc -c primary.ctx ; tpm2_flushcontext -t
      tpm2_pcrextend 10:sha256=$(printf '%064d' 1)
      tpm2_pcrread sha256:10 > before
      $IOCTL -v
      $IOCTL --save permanent permanent ; $IOCTL --save volatile volatile
      $IOCTL -s`);
    await server.closed;
    expect((await stat(join(directory, 'permanent'))).size).toBeLessThan(6144);

    server = await serveTpm(await SoftwareTpm.create({ clock, random }), { port: 0 });
    const said = await sh(`
      $IOCTL --stop
      $IOCTL --load permanent permanent ; $IOCTL --load volatile volatile
      $IOCTL -i
      tpm2_nvread 0x01500001 -C o -s 4 ; echo
      tpm2_pcrread sha256:10 > after
      tpm2_readpublic -c primary.ctx -n name > /dev/null && echo the key is there`);
    expect(said).toContain('abcd');
    expect(said).toContain('the key is there');
    expect(await readFile(join(directory, 'after'), 'utf8')).toBe(
      await readFile(join(directory, 'before'), 'utf8'),
    );

    // An empty state is a TPM that nobody had before.
    await writeFile(join(directory, 'empty'), '');
    const anew = await sh(`
      $IOCTL --stop ; $IOCTL --load permanent empty ; $IOCTL -i ; tpm2_startup -c
      tpm2_getcap handles-nv-index ; tpm2_readpublic -c primary.ctx 2>/dev/null || echo another TPM`);
    expect(anew.trim()).toBe('another TPM');
  });
});
