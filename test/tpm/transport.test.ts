import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openTransport } from '../../src/tpm/index.ts';

const command = Uint8Array.of(0x80, 0x01, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 8);
const reply = Uint8Array.of(0x80, 0x01, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0);

/** A TPM's socket that treats the n-th connection's commands as `serve` says. */
async function listening(serve: (socket: Socket, connection: number) => void) {
  let connections = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    const connection = connections++;
    socket.on('data', () => serve(socket, connection)).on('error', () => {});
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const transport = openTransport(`swtpm:host=127.0.0.1,port=${port}`);
  return {
    transport,
    connections: () => connections,
    async close() {
      await transport.close?.();
      server.close();
      await once(server, 'close');
    },
  };
}

describe('the socket transport', () => {
  it('puts an answer together however it is cut up, on one connection', async () => {
    const tpm = await listening((socket) => {
      socket.write(reply.subarray(0, 3), () =>
        socket.write(reply.subarray(3, 11), () => socket.write(reply.subarray(11))),
      );
    });
    expect(await tpm.transport.exchange(command)).toEqual(reply);
    expect(await tpm.transport.exchange(command)).toEqual(reply);
    expect(tpm.connections()).toBe(1);
    await tpm.close();
  });

  it.each<[string, Uint8Array]>([
    ['an impossible size', Uint8Array.of(0x80, 0x01, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)],
    ['a size below its header', Uint8Array.of(0x80, 0x01, 0, 0, 0, 3, 0, 0, 0, 0)],
    ['more bytes than its size', new Uint8Array([...reply, 0])],
  ])('refuses an answer with %s, and begins afresh', async (_, answer) => {
    const tpm = await listening((socket, connection) => socket.write(connection === 0 ? answer : reply));
    await expect(tpm.transport.exchange(command)).rejects.toMatchObject({ code: 'tpm.malformed' });
    expect(await tpm.transport.exchange(command)).toEqual(reply);
    expect(tpm.connections()).toBe(2);
    await tpm.close();
  });

  it('is silent when the connection ends in the middle, and connects again for the next command', async () => {
    const tpm = await listening((socket, connection) =>
      connection === 0 ? socket.end(reply.subarray(0, 5)) : socket.write(reply),
    );
    await expect(tpm.transport.exchange(command)).rejects.toMatchObject({ code: 'tpm.silent' });
    expect(await tpm.transport.exchange(command)).toEqual(reply);
    await tpm.close();
  });

  it('does not take a late answer for that of the next command', async () => {
    const late: Socket[] = [];
    const abort = new AbortController();
    const tpm = await listening((socket, connection) => {
      if (connection > 0) return void socket.write(reply);
      late.push(socket);
      abort.abort();
    });
    await expect(tpm.transport.exchange(command, abort.signal)).rejects.toMatchObject({ code: 'tpm.silent' });
    late[0]?.write(reply.map((byte) => byte ^ 0xff));
    expect(await tpm.transport.exchange(command)).toEqual(reply);
    expect(tpm.connections()).toBe(2);
    await tpm.close();
  });

  it('is silent when nobody listens', async () => {
    const tpm = await listening(() => {});
    await tpm.close();
    await expect(tpm.transport.exchange(command)).rejects.toMatchObject({ code: 'tpm.silent' });
  });
});

describe('the device transport', () => {
  it('writes a command and reads its answer in one piece (a named pipe gives back what it gets)', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'fealty-device-'));
    const path = join(directory, 'tpm');
    execFileSync('mkfifo', [path]);
    const transport = openTransport(`device:${path}`);
    expect(await transport.exchange(command)).toEqual(command);
    expect(await transport.exchange(reply)).toEqual(reply);
    await transport.close?.();
    await transport.close?.();
    await rm(directory, { recursive: true });
  });

  it('is silent, and says what to look for, when there is no device', async () => {
    await expect(openTransport('device:/dev/no-such-tpm').exchange(command)).rejects.toMatchObject({
      code: 'tpm.silent',
      message: expect.stringContaining('group tss'),
    });
  });
});

describe('naming a transport', () => {
  it.each([
    'device:/dev/tpmrm0',
    'device',
    'swtpm:host=127.0.0.1,port=2321',
    'swtpm:port=1',
    'swtpm:path=/run/x',
    'swtpm:',
  ])('`%s` is one', (spec) => {
    expect(openTransport(spec).exchange).toBeTypeOf('function');
  });

  it.each([
    '',
    'tabrmd:',
    'device:tpm0',
    'swtpm:port=0',
    'swtpm:port=65536',
    'swtpm:port=x',
    'swtpm:path=',
    'swtpm:path=/x,port=1',
    'swtpm:colour=red',
    'swtpm:port=1,port=2',
  ])('`%s` is none', (spec) => {
    expect(() => openTransport(spec)).toThrow(TypeError);
  });
});
