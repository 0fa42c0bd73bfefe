import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { u32 } from '../../src/core/bytes.ts';
import { TPM2_FlushContext } from '../../src/tpm/commands.ts';
import { encodeCommand } from '../../src/tpm/framing.ts';
import { mssimTransport, openRobotTransport, openTransport } from '../../src/tpm/index.ts';
import { codeOf } from './raw.ts';

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

  it('gives each answer room of its own', async () => {
    const other = Uint8Array.from(reply, (byte, at) => (at === 11 ? 7 : byte));
    const answers = [reply, other];
    const tpm = await listening((socket) => socket.write(answers.shift() ?? reply));
    const first = await tpm.transport.exchange(command);
    expect(await tpm.transport.exchange(command)).toEqual(other);
    expect(first).toEqual(reply);
    await tpm.close();
  });

  it.each<[string, Uint8Array]>([
    [
      'more bytes than any has',
      Uint8Array.from({ length: 8193 }, (_, at) => (at === 4 ? 0x20 : at === 5 ? 1 : 0)),
    ],
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

/** A simulator of Microsoft's kind: what came to its two ports, and what these say: `serve` for data, `answers` for signals. */
async function simulating(
  serve: (frame: Buffer, socket: Socket, connection: number) => void,
  answers: (connection: number) => number = () => 0,
) {
  const frames: Buffer[] = [];
  const signals: number[] = [];
  let connections = 0;
  const open = new Set<Socket>();
  const keep = (socket: Socket) => {
    open.add(socket);
    socket.on('error', () => {}).on('close', () => open.delete(socket));
  };
  const data = createServer({ noDelay: true }, (socket) => {
    keep(socket);
    const connection = connections++;
    socket.on('data', (chunk: Buffer) => {
      frames.push(chunk);
      if (chunk.readUInt32BE(0) === 8) serve(chunk, socket, connection);
    });
  }).listen(0, '127.0.0.1');
  await once(data, 'listening');
  const platform = createServer({ noDelay: true }, (socket) => {
    keep(socket);
    socket.on('data', (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; at += 4) signals.push(chunk.readUInt32BE(at));
      socket.write(Buffer.alloc(chunk.length, answers(connections - 1)));
    });
  }).listen(0, '127.0.0.1');
  await once(platform, 'listening');
  const [port, platformPort] = [data, platform].map((one) => (one.address() as AddressInfo).port);
  const transport = mssimTransport({
    host: '127.0.0.1',
    port: port ?? 0,
    platformPort,
    locality: 3,
  });
  return {
    transport,
    frames,
    signals,
    connections: () => connections,
    async close() {
      for (const socket of open) socket.destroy();
      await Promise.all([data, platform].map((one) => new Promise((done) => one.close(done))));
    },
  };
}

const framed = (answer: Uint8Array, trailer = 0, more = 0): Buffer => {
  const out = Buffer.alloc(answer.length + 8 + more);
  out.writeUInt32BE(answer.length, 0);
  out.set(answer, 4);
  out.writeUInt32BE(trailer, answer.length + 4);
  return out;
};

describe('the mssim transport', () => {
  it('sends each command in one piece, with its locality, after power and NV are on', async () => {
    const tpm = await simulating((_, socket) => {
      const answer = framed(reply);
      socket.write(answer.subarray(0, 2), () =>
        socket.write(answer.subarray(2, 20), () => socket.write(answer.subarray(20))),
      );
    });
    expect(await tpm.transport.exchange(command)).toEqual(reply);
    expect(await tpm.transport.exchange(command)).toEqual(reply);
    const frame = Buffer.concat([Buffer.of(0, 0, 0, 8, 3, 0, 0, 0, 12), command]);
    expect(tpm.frames).toEqual([frame, frame]);
    expect(tpm.signals).toEqual([1, 11]);
    expect(tpm.connections()).toBe(1);
    await tpm.transport.close?.();
    await vi.waitFor(() =>
      expect([tpm.frames.at(-1), tpm.signals.at(-1)]).toEqual([Buffer.of(0, 0, 0, 20), 20]),
    );
    await tpm.close();
  });

  it.each<[string, Buffer, string]>([
    ['an impossible size', Buffer.of(0xff, 0xff, 0xff, 0xff), 'tpm.malformed'],
    ['a size below its header', framed(new Uint8Array(3)), 'tpm.malformed'],
    ['another end than zero', framed(reply, 1), 'tpm.malformed'],
    ['more behind it than an answer can be', framed(new Uint8Array(4096), 0, 20_000), 'tpm.silent'],
  ])('refuses an answer with %s, and begins afresh', async (_, answer, code) => {
    const tpm = await simulating((__, socket, connection) =>
      socket.write(connection === 0 ? answer : framed(reply)),
    );
    await expect(tpm.transport.exchange(command)).rejects.toMatchObject({ code });
    expect(await tpm.transport.exchange(command)).toEqual(reply);
    expect(tpm.connections()).toBe(2);
    await tpm.close();
  });

  it('is silent when the connection ends, and connects again for the next command', async () => {
    const tpm = await simulating((_, socket, connection) =>
      connection === 0 ? socket.end(framed(reply).subarray(0, 9)) : socket.write(framed(reply)),
    );
    await expect(tpm.transport.exchange(command)).rejects.toMatchObject({ code: 'tpm.silent' });
    expect(await tpm.transport.exchange(command)).toEqual(reply);
    expect(tpm.signals).toEqual([1, 11, 1, 11]);
    await tpm.close();
  });

  it('takes nothing for an answer that came before it was asked for', async () => {
    const tpm = await simulating((_, socket, connection) =>
      socket.write(connection === 0 ? Buffer.concat([framed(reply), framed(reply)]) : framed(reply)),
    );
    expect(await tpm.transport.exchange(command)).toEqual(reply);
    await expect(tpm.transport.exchange(command)).rejects.toMatchObject({ code: 'tpm.malformed' });
    expect(await tpm.transport.exchange(command)).toEqual(reply);
    await tpm.close();
  });

  it('is asked nothing when it refuses to be switched on', async () => {
    let refuses = true;
    const tpm = await simulating(
      (_, socket) => socket.write(framed(reply)),
      () => (refuses ? 1 : 0),
    );
    await expect(tpm.transport.exchange(command)).rejects.toMatchObject({ code: 'tpm.malformed' });
    expect(tpm.frames).toEqual([]);
    refuses = false;
    expect(await tpm.transport.exchange(command)).toEqual(reply);
    await tpm.close();
  });

  it('cancels a command that is given up, and discards its answer before the next one', async () => {
    const abort = new AbortController();
    const cancelled = reply.map((byte) => byte ^ 0xff);
    const tpm = await simulating((_, socket) => {
      if (abort.signal.aborted) return void socket.write(framed(reply));
      abort.abort();
      // a TPM ends the command when it sees the signal
      void vi.waitFor(() => expect(tpm.signals).toContain(9)).then(() => socket.write(framed(cancelled)));
    });
    await expect(tpm.transport.exchange(command, abort.signal)).rejects.toMatchObject({ code: 'tpm.silent' });
    expect(await tpm.transport.exchange(command)).toEqual(reply);
    expect(tpm.signals).toEqual([1, 11, 9, 10]);
    expect(tpm.connections()).toBe(1);
    await tpm.close();
  });

  it('begins afresh when a TPM does not care to be cancelled', async () => {
    const aborts = [new AbortController(), new AbortController()];
    const tpm = await simulating((_, socket, connection) => {
      if (connection > 0) return void socket.write(framed(reply));
      aborts[0]?.abort();
    });
    await expect(tpm.transport.exchange(command, aborts[0]?.signal)).rejects.toMatchObject({
      code: 'tpm.silent',
    });
    const waiting = tpm.transport.exchange(command, aborts[1]?.signal);
    aborts[1]?.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'tpm.silent' });
    expect(await tpm.transport.exchange(command)).toEqual(reply);
    expect(tpm.connections()).toBe(2);
    await tpm.close();
  });

  it('is silent when nobody listens', async () => {
    const tpm = await simulating(() => {});
    await tpm.close();
    await expect(tpm.transport.exchange(command)).rejects.toMatchObject({ code: 'tpm.silent' });
    await tpm.transport.close?.();
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

  it('refuses a handle that Linux does not know, and keeps the device with all that is in it', async () => {
    // Takes numbers in letters alone, and says EINVAL of all else, as /dev/tpmrm0 does of such a command.
    const transport = openTransport('device:/proc/self/oom_score_adj');
    const flushing = encodeCommand(TPM2_FlushContext.code, [], [], u32(0x80ffffff));
    for (let i = 0; i < 2; i++) expect(codeOf(await transport.exchange(flushing))).toBe(0xb008b);
    await transport.close?.();
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
    'mssim',
    'mssim:host=127.0.0.1,port=2321',
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
    'mssim:path=/run/x',
    'mssim:port=0',
  ])('`%s` is none', (spec) => {
    expect(() => openTransport(spec)).toThrow(TypeError);
  });

  it("that a robot has leaves out simulators of Microsoft's kind", () => {
    expect(() => openRobotTransport('mssim:port=2321')).toThrow(TypeError);
    expect(openRobotTransport('swtpm:port=2321').exchange).toBeTypeOf('function');
  });
});
