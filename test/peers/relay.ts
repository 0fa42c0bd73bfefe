import { once } from 'node:events';
import type { Server, Socket } from 'node:net';
import { createConnection, createServer } from 'node:net';
import { freePorts } from './swtpm.ts';

/** One command and its answer, as they were on the wire. */
export interface Overheard {
  readonly command: Uint8Array;
  readonly answer: Uint8Array;
}

/** Listens between programs and a TPM that is reached by swtpm's protocol on TCP. */
export interface Relay {
  readonly port: number;
  /** What went over the port of commands, in the order of the answers. */
  readonly overheard: readonly Overheard[];
  close(): Promise<void>;
}

/** Starts a relay to the TPM at `port` and `port` + 1. */
export async function startRelay(port: number): Promise<Relay> {
  const own = await freePorts();
  const overheard: Overheard[] = [];
  const open = new Set<Socket>();
  const servers = [0, 1].map((offset) =>
    createServer({ noDelay: true }, (client) => {
      const tpm = createConnection({ port: port + offset, host: '127.0.0.1', noDelay: true });
      for (const socket of [client, tpm]) {
        open.add(socket);
        socket.on('error', () => socket.destroy());
        socket.on('close', () => open.delete(socket));
      }
      if (offset === 0) listen(client, tpm, overheard);
      client.pipe(tpm);
      tpm.pipe(client);
    }).listen(own + offset, '127.0.0.1'),
  );
  await Promise.all(servers.map((server) => once(server, 'listening')));
  return {
    port: own,
    overheard,
    async close() {
      const closed = servers.map((server: Server) => new Promise((done) => server.close(done)));
      for (const socket of open) socket.destroy();
      await Promise.all(closed);
    },
  };
}

/** Cuts both directions into messages; answers come in the order of commands. */
function listen(client: Socket, tpm: Socket, overheard: Overheard[]): void {
  const commands: Uint8Array[] = [];
  messages(client, (command) => commands.push(command));
  messages(tpm, (answer) => {
    const command = commands.shift();
    if (command) overheard.push({ command, answer });
  });
}

function messages(socket: Socket, each: (message: Uint8Array) => void): void {
  let buffered = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    buffered = Buffer.concat([buffered, chunk]);
    while (buffered.length >= 10 && buffered.length >= buffered.readUInt32BE(2)) {
      const size = buffered.readUInt32BE(2);
      each(buffered.subarray(0, size));
      buffered = buffered.subarray(size);
    }
  });
}
