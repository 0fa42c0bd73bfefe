import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';

/** A TPM simulator of Microsoft's kind, as far as its protocol goes: a platform port of ours before swtpm's data port. */
export interface MssimRelay {
  /** For `openTransport`. */
  readonly spec: string;
  /** Signals the platform port was given, in order. */
  readonly signals: readonly number[];
  close(): Promise<void>;
}

/**
 * swtpm takes commands with the prefix of that protocol on its data port and answers them in kind
 * (`mssim_tpm2_packet`, tpmlib.c); it has no platform port, and knows no end of session.
 */
export async function startMssimRelay(swtpmPath: string): Promise<MssimRelay> {
  const signals: number[] = [];
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  };
  const data = createServer({ noDelay: true }, (socket) => {
    keep(socket);
    const chip = connect(swtpmPath);
    keep(chip);
    chip.pipe(socket);
    let got = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      got = Buffer.concat([got, chunk]);
      while (got.length >= 4) {
        const signal = got.readUInt32BE(0);
        if (signal !== 8) return void socket.end(); // TPM_SESSION_END, or nothing we know
        if (got.length < 9 || got.length < 9 + got.readUInt32BE(5)) return;
        const size = 9 + got.readUInt32BE(5);
        chip.write(got.subarray(0, size));
        got = got.subarray(size);
      }
    });
    socket.on('close', () => chip.destroy());
  });
  const platform = createServer({ noDelay: true }, (socket) => {
    keep(socket);
    let got = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      got = Buffer.concat([got, chunk]);
      for (; got.length >= 4; got = got.subarray(4)) {
        signals.push(got.readUInt32BE(0));
        if (got.readUInt32BE(0) === 20) return void socket.end();
        socket.write(Buffer.alloc(4));
      }
    });
  });
  const port = await neighbours(data, platform);
  return {
    spec: `mssim:host=127.0.0.1,port=${port}`,
    signals,
    async close() {
      for (const socket of sockets) socket.destroy();
      await Promise.all([data, platform].map((server) => new Promise((done) => server.close(done))));
    },
  };
}

/** Has both listen, the second on the port after the first. */
async function neighbours(first: Server, second: Server): Promise<number> {
  for (;;) {
    first.listen(0, '127.0.0.1');
    await once(first, 'listening');
    const { port } = first.address() as AddressInfo;
    const free = await new Promise<boolean>((resolve) => {
      second.once('error', () => resolve(false));
      second.listen(port + 1, '127.0.0.1', () => resolve(true));
    });
    if (free) return port;
    await new Promise((done) => first.close(done));
  }
}
