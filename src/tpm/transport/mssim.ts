import type { Socket } from 'node:net';
import { concat, u32, u32At } from '../../core/bytes.ts';
import { TpmMalformed, TpmSilent } from '../errors.ts';
import { HEADER_SIZE, MESSAGE_MAX } from '../framing.ts';
import { connected } from './stream.ts';
import type { Transport } from './transport.ts';

/** Where a TPM simulator of Microsoft's kind listens. */
export interface MssimAddress {
  readonly host: string;
  /** Of the commands. */
  readonly port: number;
  /** Of power, NV and cancel. Default: the port after `port`. */
  readonly platformPort?: number | undefined;
  /** Locality of every command. Default: 0. */
  readonly locality?: number | undefined;
}

/** TpmTcpProtocol.h of the reference implementation. */
const SIGNAL_POWER_ON = 1;
const SEND_COMMAND = 8;
const SIGNAL_CANCEL_ON = 9;
const SIGNAL_CANCEL_OFF = 10;
const SIGNAL_NV_ON = 11;
const SESSION_END = 20;

/**
 * The protocol of Microsoft's simulator, which IBM's TSS and tss.js speak too: two lasting connections, of which the
 * second switches the TPM on. A command that is given up is cancelled there, and its answer, whatever it is, discarded.
 */
export function mssimTransport(address: MssimAddress): Transport {
  const { host, port, platformPort = port + 1, locality = 0 } = address;
  let wire: Wire | undefined;
  /** Resolved when nothing is left of a command that was given up. */
  let cancelled: Promise<void> = Promise.resolve();

  const open = async (signal: AbortSignal | undefined): Promise<Wire> => {
    if (wire !== undefined && !wire.data.socket.destroyed && !wire.platform.socket.destroyed) return wire;
    wire?.data.socket.destroy();
    wire?.platform.socket.destroy();
    const data = pieces(await connected({ host, port }, signal));
    const platform = pieces(await connected({ host, port: platformPort }, signal));
    wire = { data, platform };
    await acknowledged(platform, SIGNAL_POWER_ON);
    await acknowledged(platform, SIGNAL_NV_ON);
    return wire;
  };
  const forget = () => {
    wire?.data.socket.destroy();
    wire?.platform.socket.destroy();
  };

  return {
    async exchange(command, signal) {
      let giveUp = forget; // enough while nothing is sent
      const aborted = () => giveUp();
      signal?.addEventListener('abort', aborted, { once: true });
      try {
        await cancelled;
        const to = await open(signal);
        if (signal?.aborted === true) throw new TpmSilent('the command was given up');
        if (to.data.waiting() > 0) throw malformed(to.data, 'something was answered before it was asked');
        const header = concat(u32(SEND_COMMAND), Uint8Array.of(locality), u32(command.length));
        to.data.socket.write(concat(header, command));
        const answer = oneAnswer(to.data);
        const late = new Promise<never>((_, reject) => {
          giveUp = () => {
            cancelled = cancel(to, answer);
            reject(new TpmSilent('the command was given up'));
          };
        });
        return await Promise.race([answer, late]);
      } finally {
        signal?.removeEventListener('abort', aborted);
      }
    },
    close() {
      for (const end of [wire?.data, wire?.platform])
        if (end !== undefined && !end.socket.destroyed) end.socket.end(u32(SESSION_END));
    },
  };
}

interface Wire {
  readonly data: Pieces;
  readonly platform: Pieces;
}

/** What comes out of a socket, in pieces whose sizes are known. */
interface Pieces {
  readonly socket: Socket;
  /** The next `count` bytes. @throws {TpmSilent} when the connection ends before. */
  next(count: number): Promise<Uint8Array>;
  /** Bytes nobody has asked for yet. */
  waiting(): number;
}

function pieces(socket: Socket): Pieces {
  let got = Buffer.alloc(0);
  let wanted: { readonly count: number; readonly settle: (got?: Uint8Array) => void } | undefined;
  const serve = () => {
    if (wanted === undefined || got.length < wanted.count) return;
    const { count, settle } = wanted;
    wanted = undefined;
    const piece = new Uint8Array(got.subarray(0, count));
    got = got.subarray(count);
    settle(piece);
  };
  socket.on('data', (chunk: Buffer) => {
    got = Buffer.concat([got, chunk]);
    if (got.length > MESSAGE_MAX + 8) return void socket.destroy();
    serve();
  });
  socket.once('close', () => wanted?.settle());
  return {
    socket,
    waiting: () => got.length,
    next: (count) =>
      new Promise((resolve, reject) => {
        const gone = () => reject(new TpmSilent('the TPM closed the connection'));
        wanted = { count, settle: (piece) => (piece === undefined ? gone() : resolve(piece)) };
        serve();
        if (socket.destroyed && wanted !== undefined) gone();
      }),
  };
}

async function oneAnswer(from: Pieces): Promise<Uint8Array> {
  const size = u32At(await from.next(4), 0);
  if (size < HEADER_SIZE || size > MESSAGE_MAX) throw malformed(from, 'the answer has an impossible size');
  const answer = await from.next(size);
  if (u32At(await from.next(4), 0) !== 0) throw malformed(from, 'the answer does not end as it must');
  return answer;
}

/** One signal to the platform port, and its acknowledgement. */
async function acknowledged(platform: Pieces, signal: number): Promise<void> {
  platform.socket.write(u32(signal));
  if (u32At(await platform.next(4), 0) === 0) return;
  throw malformed(platform, 'the platform port refuses a signal');
}

/** The cancel signal stays on until the command has ended: a TPM looks at it only now and then. */
async function cancel(to: Wire, answer: Promise<unknown>): Promise<void> {
  try {
    await acknowledged(to.platform, SIGNAL_CANCEL_ON);
    await answer;
    await acknowledged(to.platform, SIGNAL_CANCEL_OFF);
  } catch {
    to.data.socket.destroy();
    to.platform.socket.destroy();
  }
}

/** What else comes out of this connection means nothing any more. */
function malformed(from: Pieces, message: string): TpmMalformed {
  from.socket.destroy();
  return new TpmMalformed(message);
}
