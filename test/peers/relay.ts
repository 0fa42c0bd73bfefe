import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Place } from './tpm-provider.ts';
import { beside } from './tpm-provider.ts';

/** One command and its answer, as they were on the wire. */
export interface Overheard {
  readonly command: Uint8Array;
  readonly answer: Uint8Array;
}

/** Listens between programs and a TPM that is reached by swtpm's protocol. */
export interface Relay {
  readonly tcti: string;
  /** What went over the socket of commands, in the order of the answers. */
  readonly overheard: readonly Overheard[];
  close(): Promise<void>;
}

/** Starts a relay to the TPM at `place`, on Unix sockets in a folder of its own. */
export async function startRelay(place: Place): Promise<Relay> {
  const directory = await mkdtemp(join(tmpdir(), 'fealty-relay-'));
  const own = { path: join(directory, 'sock') };
  const overheard: Overheard[] = [];
  const open = new Set<Socket>();
  const relay = (from: Place, to: Place, heard?: Overheard[]) =>
    createServer((client) => {
      const tpm = createConnection(to);
      for (const socket of [client, tpm]) {
        open.add(socket);
        socket.on('error', () => socket.destroy());
        socket.on('close', () => open.delete(socket));
      }
      if (heard) listen(client, tpm, heard);
      client.pipe(tpm);
      tpm.pipe(client);
    }).listen(from);
  const servers = [relay(own, place, overheard), relay(beside(own), beside(place))];
  await Promise.all(servers.map((server) => once(server, 'listening')));
  return {
    tcti: `swtpm:path=${own.path}`,
    overheard,
    async close() {
      const closed = servers.map((server) => new Promise((done) => server.close(done)));
      for (const socket of open) socket.destroy();
      await Promise.all(closed);
      await rm(directory, { recursive: true, force: true });
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
