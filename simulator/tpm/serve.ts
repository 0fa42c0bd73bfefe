import { rm } from 'node:fs/promises';
import type { Server, Socket } from 'node:net';
import { createConnection, createServer } from 'node:net';
import { concat, u32 } from '../../src/core/bytes.ts';
import type { SoftwareTpm } from './chip.ts';

/** Where {@link serveTpm} listens. */
export type ServeOptions =
  /** TCP on loopback: commands on `port` (0: a free pair is chosen), control on `port` + 1, as the TCTI `swtpm` expects. */
  | { readonly port: number; readonly host?: string | undefined }
  /** Unix sockets: commands on `path`, control on `path` + `.ctrl`. */
  | { readonly path: string };

/** A TPM that other programs can reach. */
export interface TpmServer {
  /** The TCTI string for tpm2-tools (`TPM2TOOLS_TCTI`), for example `swtpm:host=127.0.0.1,port=2321`. */
  readonly tcti: string;
  /** The port of commands; 0 with Unix sockets. */
  readonly port: number;
  /** Settles when the server was closed, by {@link TpmServer.close} or by a client's CMD_SHUTDOWN. */
  readonly closed: Promise<void>;
  /** Closes both sockets and all connections; idempotent. The chip stays as it is. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Control commands of swtpm (swtpm_ioctl(3)) that we have; every other one is answered "not implemented". */
const CONTROL = {
  getCapability: 1,
  init: 2,
  shutdown: 3,
  getTpmEstablished: 4,
  setLocality: 5,
  storeVolatile: 0xa,
  resetTpmEstablished: 0xb,
  stop: 0xe,
} as const;

/** Bytes that follow the code of a control command. */
const CONTROL_BODY: Readonly<Record<number, number>> = {
  [CONTROL.init]: 4,
  [CONTROL.setLocality]: 1,
  [CONTROL.resetTpmEstablished]: 1,
};

/** PTM_CAP_INIT, SHUTDOWN, GET_TPMESTABLISHED, SET_LOCALITY, STOP: what {@link CONTROL} offers. */
const CAPABILITIES = 0x1 | 0x2 | 0x4 | 0x8 | 0x400;
const SUCCESS = 0;
const FAIL = 9;
const BAD_LOCALITY = 0x3d;
const NOT_IMPLEMENTED = 0xa;

const largestCommand = 4096;
const mostConnections = 64;

/**
 * Offers `chip` over swtpm's protocol: raw TPM commands on one socket (one or more in each connection), a few control
 * commands on the other. Binds to loopback unless told otherwise: whoever reaches the port is the TPM's owner.
 */
export async function serveTpm(chip: SoftwareTpm, options: ServeOptions): Promise<TpmServer> {
  const open = new Set<Socket>();
  const commands = server(open, largestCommand, commandLength, (command) => chip.exchange(command));
  const control = server(
    open,
    16,
    controlLength,
    (request) => obey(chip, request),
    (request) => {
      if (controlCode(request) === CONTROL.shutdown) void close();
    },
  );
  let finished: () => void = () => {};
  const closed = new Promise<void>((resolve) => {
    finished = resolve;
  });
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= Promise.all([commands, control].map((one) => new Promise((done) => one.close(done)))).then(
      finished,
    );
    for (const socket of open) socket.destroySoon();
    return closing;
  };
  const port = await listenBoth(commands, control, options);
  return {
    port,
    tcti: 'path' in options ? `swtpm:path=${options.path}` : `swtpm:host=${hostOf(options)},port=${port}`,
    closed,
    close,
    [Symbol.asyncDispose]: close,
  };
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
    await listenOn(commands, { port: options.port, host });
    const address = commands.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    try {
      await listenBeside(commands, control, { port: port + 1, host });
      return port;
    } catch (error) {
      // The neighbour of a chosen port may be taken; a port the caller named is not ours to change.
      if (options.port !== 0 || attempt === 32) throw error;
    }
  }
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
    one.once('error', reject);
    one.listen(where, () => {
      one.off('error', reject);
      resolve();
    });
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

/** A server that cuts the stream into requests and writes each reply in one piece, in order. */
function server(
  open: Set<Socket>,
  largest: number,
  lengthOf: (buffered: Uint8Array) => number | undefined,
  answer: (request: Uint8Array) => Promise<Uint8Array>,
  answered: (request: Uint8Array) => void = () => {},
): Server {
  const listening = createServer({ noDelay: true }, (socket) => {
    open.add(socket);
    let buffered: Uint8Array = new Uint8Array();
    let busy = false;
    const work = async () => {
      if (busy) return;
      busy = true;
      try {
        for (;;) {
          const length = lengthOf(buffered);
          if (length === undefined || (length <= largest && buffered.length < length)) break;
          if (length > largest) {
            socket.destroy();
            break;
          }
          const request = buffered.slice(0, length);
          buffered = buffered.slice(length);
          const reply = await answer(request);
          if (!socket.writable) break;
          socket.write(reply);
          answered(request);
        }
      } catch {
        socket.destroy();
      } finally {
        busy = false;
      }
    };
    socket.on('data', (chunk: Uint8Array) => {
      buffered = concat(buffered, chunk);
      if (buffered.length > 2 * largest + 65_536) socket.destroy();
      else void work();
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => open.delete(socket));
  });
  listening.maxConnections = mostConnections;
  return listening;
}

/** Length of the command at the head, from its own header; a size below the header is taken as the header alone. */
function commandLength(buffered: Uint8Array): number | undefined {
  if (buffered.length < 10) return undefined;
  const size = new DataView(buffered.buffer, buffered.byteOffset).getUint32(2);
  return Math.max(10, size);
}

function controlLength(buffered: Uint8Array): number | undefined {
  if (buffered.length < 4) return undefined;
  return 4 + (CONTROL_BODY[controlCode(buffered)] ?? 0);
}

function controlCode(request: Uint8Array): number {
  return new DataView(request.buffer, request.byteOffset).getUint32(0);
}

async function obey(chip: SoftwareTpm, request: Uint8Array): Promise<Uint8Array> {
  switch (controlCode(request)) {
    case CONTROL.getCapability:
      return concat(u32(SUCCESS), u32(CAPABILITIES));
    case CONTROL.init:
      await chip.powerCycle();
      return u32(SUCCESS);
    case CONTROL.stop:
      await chip.powerOff();
      return u32(SUCCESS);
    case CONTROL.shutdown:
      return u32(SUCCESS); // the server closes once this is written
    case CONTROL.getTpmEstablished:
      return concat(u32(SUCCESS), new Uint8Array(4));
    case CONTROL.setLocality: {
      const locality = request[4] ?? 255;
      if (locality > 4) return u32(BAD_LOCALITY);
      chip.setLocality(locality);
      return u32(SUCCESS);
    }
    case CONTROL.storeVolatile:
    case CONTROL.resetTpmEstablished:
      return u32(NOT_IMPLEMENTED);
    default:
      return u32(request.length === 4 ? NOT_IMPLEMENTED : FAIL);
  }
}
