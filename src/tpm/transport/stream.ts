import type { NetConnectOpts, Socket } from 'node:net';
import { connect } from 'node:net';
import { TpmSilent } from '../errors.ts';

/** A connection, made; what is written goes out at once. @throws {TpmSilent} when nobody listens, or on abort. */
export function connected(options: NetConnectOpts, signal: AbortSignal | undefined): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...options, noDelay: true });
    const fail = (cause?: unknown) => {
      socket.destroy();
      reject(new TpmSilent('nobody answers at the socket of the TPM', { cause }));
    };
    signal?.addEventListener('abort', fail, { once: true });
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.off('error', fail);
      signal?.removeEventListener('abort', fail);
      // between commands an error only means that the connection is gone: `destroyed` says so
      socket.on('error', () => {});
      resolve(socket);
    });
  });
}
