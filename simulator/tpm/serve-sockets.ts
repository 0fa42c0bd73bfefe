import { rm } from 'node:fs/promises';
import type { Server, Socket } from 'node:net';
import { createConnection, createServer } from 'node:net';
import type { Dialect } from './serve-connection.ts';
import { Connection } from './serve-connection.ts';
import { wakefulness } from './wakefulness.ts';

/** Where a TPM listens: two sockets, one beside the other. */
export type ServeOptions =
  /** TCP on loopback: commands on `port` (0: a free pair is chosen), control on `port` + 1. */
  | { readonly port: number; readonly host?: string | undefined }
  /** Unix sockets: commands on `path`, control on `path` + `.ctrl`. */
  | { readonly path: string };

/** A TPM that other programs can reach. */
export interface TpmServer {
  /** The TCTI string for tpm2-tools (`TPM2TOOLS_TCTI`), for example `swtpm:host=127.0.0.1,port=2321`. */
  readonly tcti: string;
  /** The port of commands; 0 with Unix sockets. */
  readonly port: number;
  /** Settles when the server was closed, by {@link TpmServer.close} or by a client that asked for it. */
  readonly closed: Promise<void>;
  /** Closes both sockets and all connections; idempotent. The chip stays as it is. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const mostConnections = 64;
/** Pairs of ports that are tried, first such as the system chooses. */
const attemptsByChance = 100;
const mostAttempts = 500;
/** Below the ports that systems give to connections: where tools come and go, those wait for their last packets for a minute. */
const lowestPort = 20_000;

/** Offers both dialects, each on its socket. `tctiOf` names the pair by where it listens. */
export async function servePair(
  options: ServeOptions,
  tctiOf: (where: string) => string,
  commands: Dialect,
  control: Dialect,
): Promise<TpmServer> {
  const open = new Set<Socket>();
  const stop = () => void close();
  const servers = [listener(open, commands, stop), listener(open, control, stop)] as const;
  let finished: () => void = () => {};
  const closed = new Promise<void>((resolve) => {
    finished = resolve;
  });
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= Promise.all(servers.map((one) => new Promise((done) => one.close(done)))).then(finished);
    // What a client that does not read has not taken by now it never takes.
    for (const socket of open) socket.writableLength === 0 ? socket.destroySoon() : socket.destroy();
    return closing;
  };
  const port = await listenBoth(...servers, options);
  return {
    port,
    tcti: tctiOf('path' in options ? `path=${options.path}` : `host=${hostOf(options)},port=${port}`),
    closed,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** A server that cuts the stream into requests and writes each reply in one piece, in order. */
function listener(open: Set<Socket>, dialect: Dialect, stop: () => void): Server {
  const stayAwake = wakefulness();
  // Half open: a connection that the other end has closed is let go of at once, not shut down politely.
  const listening = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    open.add(socket);
    stayAwake();
    const connection = new Connection(socket, dialect, stop);
    socket.on('data', (chunk: Uint8Array) => {
      connection.take(chunk);
      stayAwake();
    });
    socket.on('end', () => connection.end());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => open.delete(socket));
  });
  listening.maxConnections = mostConnections;
  return listening;
}

function hostOf(options: { readonly host?: string | undefined }): string {
  return options.host ?? '127.0.0.1';
}

type Place = { readonly path: string } | { readonly port: number; readonly host: string };

async function listenBoth(commands: Server, control: Server, options: ServeOptions): Promise<number> {
  if ('path' in options) {
    await listenOn(commands, { path: options.path });
    await listenBeside(commands, control, { path: `${options.path}.ctrl` });
    return 0;
  }
  const host = hostOf(options);
  for (let attempt = 1; ; attempt++) {
    const chosen = attempt <= attemptsByChance ? 0 : lowestPort + 2 * (attempt - attemptsByChance);
    try {
      return await listenPair(commands, control, { port: options.port || chosen, host });
    } catch (error) {
      // A port that the caller named is not ours to change.
      const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
      if (!taken || options.port !== 0 || attempt === mostAttempts) throw error;
    }
  }
}

async function listenPair(
  commands: Server,
  control: Server,
  where: { readonly port: number; readonly host: string },
): Promise<number> {
  await listenOn(commands, where);
  const address = commands.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  await listenBeside(commands, control, { port: port + 1, host: where.host });
  return port;
}

/** Listens on the second place, or gives up the first. */
async function listenBeside(first: Server, second: Server, where: Place): Promise<void> {
  try {
    await listenOn(second, where);
  } catch (error) {
    await new Promise((done) => first.close(done));
    throw error;
  }
}

async function listenOn(one: Server, where: Place): Promise<void> {
  try {
    await listen(one, where);
  } catch (error) {
    // A socket that nobody answers any more was left by a process that was killed.
    if (!('path' in where) || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    if (await answers(where.path)) throw error;
    await rm(where.path, { force: true });
    await listen(one, where);
  }
}

function listen(one: Server, where: Place): Promise<void> {
  return new Promise((resolve, reject) => {
    const listening = () => {
      one.off('error', failed);
      resolve();
    };
    const failed = (error: Error) => {
      one.off('listening', listening);
      reject(error);
    };
    one.once('error', failed).once('listening', listening);
    one.listen(where);
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createConnection({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}
