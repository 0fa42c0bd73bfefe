import type { Socket } from 'node:net';
import { TpmMalformed, TpmSilent } from '../errors.ts';
import { HEADER_SIZE, MESSAGE_MAX } from '../framing.ts';
import { connected } from './stream.ts';
import type { Transport } from './transport.ts';

/** Where swtpm listens for commands. */
export type SwtpmAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/**
 * swtpm's data socket: raw commands and answers over one lasting connection, which is made anew after a failure. The
 * control socket is not needed: swtpm starts in locality 0.
 */
export function swtpmTransport(address: SwtpmAddress): Transport {
  let socket: Socket | undefined;
  const open = async (signal: AbortSignal | undefined): Promise<Socket> => {
    if (socket !== undefined && !socket.destroyed) return socket;
    socket = await connected('path' in address ? { path: address.path } : { ...address }, signal);
    return socket;
  };
  return {
    async exchange(command, signal) {
      const to = await open(signal);
      try {
        return await oneAnswer(to, command, signal);
      } catch (error) {
        to.destroy(); // what comes later would be taken for the answer to the next command
        throw error;
      }
    },
    close() {
      socket?.destroy();
    },
  };
}

function oneAnswer(
  socket: Socket,
  command: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let got = Buffer.alloc(0);
    const settle = (act: () => void) => {
      socket.off('data', data).off('close', closed);
      signal?.removeEventListener('abort', aborted);
      act();
    };
    const closed = () => settle(() => reject(new TpmSilent('the TPM closed the connection')));
    const aborted = () => settle(() => reject(new TpmSilent('the command was given up')));
    const data = (chunk: Buffer) => {
      got = Buffer.concat([got, chunk]);
      if (got.length < HEADER_SIZE) return;
      const size = got.readUInt32BE(2);
      if (size < HEADER_SIZE || size > MESSAGE_MAX || got.length > size)
        return settle(() => reject(new TpmMalformed('the answer has an impossible size')));
      if (got.length === size) settle(() => resolve(new Uint8Array(got)));
    };
    socket.on('data', data).once('close', closed);
    signal?.addEventListener('abort', aborted, { once: true });
    if (socket.destroyed) return closed();
    socket.write(command);
  });
}
