import type { IncomingMessage, RequestOptions } from 'node:http';
import { request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import type { Socket } from 'node:net';
import { isIP, connect as tcpConnect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { connect as tlsConnect } from 'node:tls';
import { FealtyError, Unreachable } from './errors.ts';
import { pemOfCertificates } from './pem.ts';
import type { HttpRequest, HttpResponse, Network, TlsOptions } from './platform.ts';

const responseMax = 1 << 20;

/** Sockets of the operating system. Every TLS peer is judged by the caller's `verifyPeer`, by nobody else. */
export function nodeNetwork(): Network {
  return { request, connect };
}

async function connect(to: Parameters<Network['connect']>[0]): Promise<Duplex> {
  const { host, port, tls, signal } = to;
  return tls === undefined
    ? await opened(tcpConnect({ host, port, noDelay: true }), 'connect', host, port, signal)
    : await connectTls(host, port, tls, signal);
}

async function connectTls(
  host: string,
  port: number,
  tls: TlsOptions,
  signal: AbortSignal | undefined,
): Promise<TLSSocket> {
  const options: ConnectionOptions = {
    host,
    port,
    minVersion: 'TLSv1.3',
    // Judged below, by our own validator and our own clock.
    rejectUnauthorized: false,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(tls.chain && tls.privateKeyPem ? { cert: pemOfCertificates(tls.chain), key: tls.privateKeyPem } : {}),
  };
  const socket = await opened(tlsConnect(options), 'secureConnect', host, port, signal);
  socket.setNoDelay(true);
  try {
    tls.verifyPeer(presentedChain(socket));
  } catch (refusal) {
    socket.destroy();
    throw refusal;
  }
  return socket;
}

/** The certificates the other end of a TLS connection presented, DER, leaf first; empty when it showed none. */
export function presentedChain(socket: TLSSocket): Uint8Array[] {
  const chain: Uint8Array[] = [];
  let certificate = socket.getPeerCertificate(true);
  const seen = new Set<string>();
  while (certificate?.raw && !seen.has(certificate.fingerprint256) && chain.length < 4) {
    seen.add(certificate.fingerprint256);
    chain.push(new Uint8Array(certificate.raw));
    certificate = certificate.issuerCertificate;
  }
  return chain;
}

function opened<S extends Socket>(
  socket: S,
  event: 'connect' | 'secureConnect',
  host: string,
  port: number,
  signal: AbortSignal | undefined,
): Promise<S> {
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void) => {
      socket.off('error', fail);
      socket.off('close', closed);
      signal?.removeEventListener('abort', aborted);
      settle();
    };
    const refuse = (cause: unknown) => {
      finish(() => reject(new Unreachable(`cannot reach \`${host}:${port}\``, { cause })));
      socket.on('error', () => {});
      socket.destroy();
    };
    const fail = (error: Error) => refuse(error);
    const closed = () => refuse(new Error('closed during the handshake'));
    const aborted = () => refuse(signal?.reason);
    if (signal?.aborted) {
      refuse(signal.reason);
      return;
    }
    socket.once('error', fail);
    socket.once('close', closed);
    signal?.addEventListener('abort', aborted, { once: true });
    socket.once(event, () => finish(() => resolve(socket)));
  });
}

async function request(asked: HttpRequest): Promise<HttpResponse> {
  const url = new URL(asked.url);
  const secure = url.protocol === 'https:';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (!secure && !(url.protocol === 'http:' && ['localhost', '127.0.0.1', '::1'].includes(host)))
    throw new TypeError(`only https is spoken beyond loopback: \`${url.protocol}//${url.host}\``);
  if (secure && asked.tls === undefined) throw new TypeError('an https request needs `tls.verifyPeer`');
  const deadline = AbortSignal.timeout(asked.timeoutMs ?? 15_000);
  const signal = asked.signal ? AbortSignal.any([asked.signal, deadline]) : deadline;
  const port = Number(url.port || (secure ? 443 : 80));
  const socket = asked.tls && secure ? await connectTls(host, port, asked.tls, signal) : undefined;
  const options: RequestOptions = {
    method: asked.method,
    signal,
    headers: { ...asked.headers, ...(asked.body ? { 'content-length': String(asked.body.length) } : {}) },
    // With any agent, `false` too, Node opens a connection of its own and judges it by the system's trust store.
    ...(socket ? { createConnection: () => socket } : { agent: false }),
  };
  try {
    return await new Promise((resolve, reject) => {
      const sent = (secure ? tlsRequest : plainRequest)(url, options, (answer) => {
        collect(answer).then(resolve, reject);
      });
      sent.once('error', reject);
      sent.end(asked.body);
    });
  } catch (cause) {
    if (cause instanceof FealtyError) throw cause;
    throw new Unreachable(`no answer from \`${url.host}\``, { cause });
  } finally {
    socket?.destroy();
  }
}

async function collect(answer: IncomingMessage): Promise<HttpResponse> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of answer as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > responseMax) throw new Unreachable(`an answer of more than ${responseMax} bytes`);
    parts.push(part);
  }
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(answer.headers))
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value;
  return { status: answer.statusCode ?? 0, headers, body: new Uint8Array(Buffer.concat(parts)) };
}
