import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Reply } from '../../simulator/tpm/serve-connection.ts';
import { Connection } from '../../simulator/tpm/serve-connection.ts';

const reply = new Uint8Array(8000).fill(7);
const request = Uint8Array.of(1);

let directory: string;
let server: Server;
/** The end of the server. */
let served: Socket;
let client: Socket;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fealty-connection-'));
});
afterEach(async () => {
  client.destroy();
  server.close();
  await rm(directory, { recursive: true });
});

/** A client of a server whose requests are of one byte. */
async function dial(answer: () => Reply | Promise<Reply>): Promise<void> {
  server = createServer({ allowHalfOpen: true }, (socket) => {
    const connection = new Connection(socket, { lengthOf: () => 1, largest: 1, answer }, () => {});
    socket.on('data', (chunk: Uint8Array) => connection.take(chunk));
    socket.on('end', () => connection.end());
    served = socket;
  });
  const path = join(directory, 'socket');
  server.listen(path);
  await once(server, 'listening');
  client = connect({ path, allowHalfOpen: true });
  await Promise.all([once(client, 'connect'), once(server, 'connection')]);
}

/** How many bytes come before the end of the connection. */
async function received(): Promise<number> {
  let count = 0;
  for await (const chunk of client) count += (chunk as Uint8Array).length;
  return count;
}

describe('a connection', () => {
  it.each([
    [
      'at once',
      () => {
        throw new Error('no answer');
      },
    ],
    ['later', () => Promise.reject(new Error('no answer'))],
  ])('ends when there is no answer: %s', async (_, answer) => {
    await dial(answer);
    client.write(request);
    expect(await received()).toBe(0);
  });

  it('that the other end closes has its answer first', async () => {
    let give: (reply: Reply) => void = () => {};
    const asked = new Promise<void>((heard) => {
      void dial(() => {
        heard();
        return new Promise((resolve) => {
          give = resolve;
        });
      }).then(() => client.end(request));
    });
    await asked;
    await once(served, 'end');
    give(reply);
    expect(await received()).toBe(reply.length);
  });

  it('that the other end closes before it has read ends when that has everything', async () => {
    await dial(() => reply);
    let asked = 0;
    do {
      client.write(request);
      asked++;
      await once(served, 'data');
      await turn();
    } while (served.writableLength === 0);
    client.end();
    await once(served, 'end');
    expect(served.writableLength).toBeGreaterThan(0);
    expect(await received()).toBe(asked * reply.length);
  });
});
