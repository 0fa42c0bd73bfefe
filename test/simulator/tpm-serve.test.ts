import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { ListenOptions, Socket } from 'node:net';
import { connect, createServer, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SoftwareTpm } from '../../simulator/tpm/chip.ts';
import type { TpmServer } from '../../simulator/tpm/serve.ts';
import { serveTpm } from '../../simulator/tpm/serve.ts';
import { concat, fromHex, hex, u32 } from '../../src/core/bytes.ts';
import { nodePlatform } from '../../src/core/node.ts';
import { getRandom, openTpm, openTransport } from '../../src/tpm/index.ts';

const run = promisify(execFile);
const { clock, random } = nodePlatform({ directory: '.' });
/** TPM2_GetRandom of 8 bytes. */
const command = fromHex('80010000000c0000017b0008');
/** Tag, size and code of its answer. */
const answered = '80010000001400000000';

let chip: SoftwareTpm;
let server: TpmServer;
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fealty-serve-'));
  chip = await SoftwareTpm.create({ clock, random });
  server = await serveTpm(chip, { port: 0 });
});
afterEach(async () => {
  await server.close();
  await rm(directory, { recursive: true, force: true });
});

async function dial(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  return socket;
}

/** The next `count` bytes. Rejects when the connection ends before. */
async function receive(socket: Socket, count: number): Promise<Uint8Array> {
  let got: Uint8Array = new Uint8Array();
  while (got.length < count) {
    const chunk = socket.read() as Uint8Array | null;
    if (chunk !== null) got = concat(got, chunk);
    else if (socket.readableEnded || socket.destroyed) throw new Error('the connection ended');
    else
      await Promise.race([once(socket, 'readable'), once(socket, 'close')]).catch(() => {
        throw new Error('the connection ended');
      });
  }
  return got;
}

async function ask(port: number, request: Uint8Array, count: number): Promise<Uint8Array> {
  const socket = await dial(port);
  socket.write(request);
  const reply = await receive(socket, count);
  socket.destroy();
  return reply;
}

const control = (request: string, count: number) => ask(server.port + 1, fromHex(request), count).then(hex);

describe('the software TPM behind sockets', () => {
  it('answers a command in each connection, as the TCTI sends them', async () => {
    for (let i = 0; i < 3; i++)
      expect(hex((await ask(server.port, command, 20)).slice(0, 10))).toBe(answered);
  });

  it('bears connections that say nothing, and commands in pieces and in a row', async () => {
    for (let i = 0; i < 20; i++) (await dial(server.port)).destroy();
    const socket = await dial(server.port);
    for (const byte of command) {
      socket.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(hex((await receive(socket, 20)).slice(0, 10))).toBe(answered);
    socket.write(concat(command, command, command));
    const three = await receive(socket, 60);
    expect(hex(three.slice(40, 50))).toBe(answered);
    socket.destroy();
  });

  it('bears connections that break', async () => {
    for (const { port } of [server, { port: server.port + 1 }]) {
      const socket = await dial(port);
      socket.on('error', () => {});
      socket.write(command);
      socket.resetAndDestroy();
    }
    expect(hex((await ask(server.port, command, 20)).slice(0, 10))).toBe(answered);
  });

  it('hangs up on a command that claims to be larger than any, and answers one that is too small', async () => {
    const huge = await dial(server.port);
    huge.write(concat(fromHex('8001'), u32(0xffffffff), u32(0x17b)));
    await expect(receive(huge, 1)).rejects.toThrow('ended');
    expect(hex(await ask(server.port, fromHex('8001000000050000017b'), 10))).toBe('80010000000a00000142');
    expect(hex((await ask(server.port, command, 20)).slice(0, 10))).toBe(answered);
  });

  it('serves the client of fealty over TCP and Unix sockets, many at once', async () => {
    await using unix = await serveTpm(chip, { path: join(directory, 'tpm') });
    for (const { tcti } of [server, unix]) {
      const clients = await Promise.all(
        Array.from({ length: 8 }, () => openTpm({ transport: openTransport(tcti), clock, random })),
      );
      const bytes = await Promise.all(clients.map((tpm) => getRandom(tpm, 16)));
      expect(new Set(bytes.map(hex)).size).toBe(8);
      for (const tpm of clients) await tpm.close();
    }
  });

  it('takes over a Unix socket left by a killed process, not one that is in use', async () => {
    const path = join(directory, 'tpm');
    const first = await serveTpm(chip, { path });
    await expect(serveTpm(chip, { path })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await first.close();
    const killed = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    await expect(run(process.execPath, ['-e', killed])).rejects.toMatchObject({ signal: 'SIGKILL' });
    const again = await serveTpm(chip, { path });
    await again.close();
  });

  it('says when its port is taken, and holds none of the two then', async () => {
    const pair = await serveTpm(chip, { port: 0 });
    await pair.close();
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(pair.port + 1, '127.0.0.1', resolve));
    await expect(serveTpm(chip, { port: pair.port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await new Promise((resolve) => blocker.close(resolve));
    const freed = await serveTpm(chip, { port: pair.port });
    await freed.close();
  });

  it('finds a pair where connections that are over hold every neighbour of a free port', async () => {
    const { listen } = Server.prototype;
    const only = vi.spyOn(Server.prototype, 'listen').mockImplementation(function (
      this: Server,
      where: unknown,
    ) {
      const { port = 0 } = where as { readonly port?: number };
      if (port < 32_768) return listen.call(this, where as ListenOptions);
      const taken = Object.assign(new Error('taken'), { code: 'EADDRINUSE' });
      process.nextTick(() => this.emit('error', taken));
      return this;
    });
    await using low = await serveTpm(chip, { port: 0 }).finally(() => only.mockRestore());
    expect(low.port).toBeGreaterThanOrEqual(20_000);
    expect(low.port).toBeLessThan(32_768);
    expect(hex((await ask(low.port, command, 20)).slice(0, 10))).toBe(answered);
  });
});

describe("swtpm's control channel", () => {
  it('sets the locality (CMD_SET_LOCALITY), 0 to 4', async () => {
    const reset20 = fromHex('80020000001b0000013d000000140000000940000009000001' + '0000');
    const code = async () => hex((await ask(server.port, reset20, 10)).slice(6, 10));
    expect(await code()).toBe('00000907');
    expect(await control('0000000502', 4)).toBe('00000000');
    expect(await code()).toBe('00000000');
    expect(await control('0000000504', 4)).toBe('00000000');
    expect(await code()).toBe('00000907');
    expect(await control('0000000505', 4)).not.toBe('00000000');
    expect(await control('0000000500', 4)).toBe('00000000');
    expect(await code()).toBe('00000907');
  });

  it('initialises the TPM (CMD_INIT): it then waits for TPM2_Startup', async () => {
    expect(await control('0000000200000001', 4)).toBe('00000000');
    expect(hex(await ask(server.port, command, 10))).toBe('80010000000a00000100');
    await ask(server.port, fromHex('80010000000c000001440000'), 10);
    expect(hex((await ask(server.port, command, 20)).slice(0, 10))).toBe(answered);
  });

  it('stops it (CMD_STOP) until it is initialised again', async () => {
    const startup = fromHex('80010000000c000001440000');
    expect(await control('0000000e', 4)).toBe('00000000');
    expect(hex(await ask(server.port, startup, 10))).toBe('80010000000a00000101');
    expect(await control('0000000200000000', 4)).toBe('00000000');
    expect(hex(await ask(server.port, startup, 10))).toBe('80010000000a00000000');
  });

  it('tells what it can (CMD_GET_CAPABILITY), and says of the rest that it is not implemented', async () => {
    expect(await control('00000001', 8)).toBe('000000000001efff');
    for (const code of ['00000000', '00000014', '00000099']) expect(await control(code, 4)).toBe('0000000a');
  });

  it('gives and takes states (CMD_GET_STATEBLOB, CMD_SET_STATEBLOB), taking only what is one', async () => {
    const getState = fromHex('0000000c000000000000000100000000');
    const head = await ask(server.port + 1, getState, 16);
    const total = new DataView(head.buffer, head.byteOffset).getUint32(8);
    const state = (await ask(server.port + 1, getState, 16 + total)).slice(16);
    const setState = (bytes: Uint8Array) =>
      ask(server.port + 1, concat(fromHex('0000000d0000000000000001'), u32(bytes.length), bytes), 4).then(
        hex,
      );
    expect(await setState(state)).toBe('0000000a');
    expect(await control('0000000e', 4)).toBe('00000000');
    const damaged = state.slice();
    damaged[40] = (damaged[40] ?? 0) ^ 1;
    expect(await setState(damaged)).toBe('00000003');
    expect(await setState(state)).toBe('00000000');
  });

  it('hangs up on data longer than a mebibyte', async () => {
    const socket = await dial(server.port + 1);
    socket.write(fromHex('00000007ffffffff'));
    await expect(receive(socket, 1)).rejects.toThrow('ended');
  });

  it('ends the server (CMD_SHUTDOWN)', async () => {
    expect(await control('00000003', 4)).toBe('00000000');
    await server.closed;
    await expect(dial(server.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});
