import type { Server } from 'node:https';
import { createServer } from 'node:https';
import { createAdaptorServer } from '@hono/node-server';
import { messageOf } from '../core/errors.ts';
import { pemOfCertificates } from '../core/pem.ts';
import { generateKey, pemOfKey } from '../core/signer.ts';
import { issueServerCertificate } from '../identity/issue.ts';
import type { Authority } from './authority.ts';
import { openAuthority } from './authority.ts';
import { readConfig } from './folder.ts';
import { storeOf } from './init.ts';
import type { ServeOptions } from './types.ts';

/** Life of a TLS certificate of the authority, in milliseconds: 90 days, renewed after 60. */
const TLS_LIFE_MS = 90 * 86_400_000;
const TLS_RENEW_MS = 60 * 86_400_000;

/** An authority that answers on a socket. */
export interface RunningAuthority extends Authority {
  /** `https://host:port`. */
  readonly url: string;
  readonly port: number;
}

/**
 * Serves an authority over HTTPS (TLS 1.3). Its TLS certificate is made at start, chains to the ACA certificate, and is
 * renewed by itself. Client certificates are asked for and judged by nobody here: each service has its own proof.
 *
 * @throws {AuthorityFolder}
 */
export async function serveAuthority(options: ServeOptions): Promise<RunningAuthority> {
  const { platform, host = '127.0.0.1' } = options;
  const config = await readConfig(storeOf(options));
  let handle: Authority['handle'] | undefined;
  const server = createAdaptorServer({
    fetch: (request: Request) =>
      handle === undefined ? new Response(null, { status: 503 }) : handle(request),
    createServer,
    serverOptions: {
      minVersion: 'TLSv1.3',
      requestCert: true,
      rejectUnauthorized: false,
      requestTimeout: 15_000,
      headersTimeout: 10_000,
      keepAliveTimeout: 5_000,
      maxHeaderSize: 49_152,
    },
  }) as Server;
  server.maxConnections = 2_000;
  const port = await listening(server, host, options.port ?? 0);
  const url = options.url ?? config.url ?? `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  let authority: Authority | undefined;
  let cancel = () => {};
  const renewTls = async (opened: Authority) => {
    const key = generateKey(platform.random);
    const notBefore = platform.clock.now() - 60_000;
    const leaf = await issueServerCertificate({
      issuer: { signer: opened.ca.signer, certificate: opened.ca.certificate },
      random: platform.random,
      notBefore,
      notAfter: notBefore + TLS_LIFE_MS,
      hosts: [...new Set([...config.hosts, host, new URL(url).hostname.replace(/^\[|\]$/g, '')])],
      publicKey: key.publicJwk,
    });
    server.setSecureContext({
      cert: pemOfCertificates([leaf, opened.ca.certificate]),
      key: pemOfKey(key),
      minVersion: 'TLSv1.3',
    });
    cancel = platform.clock.schedule(TLS_RENEW_MS, () => {
      renewTls(opened).catch((error: unknown) =>
        platform.log.warn('the TLS certificate is not renewed', { error: messageOf(error) }),
      );
    });
  };
  try {
    authority = await openAuthority({ ...options, url });
    await renewTls(authority);
  } catch (error) {
    server.close();
    await authority?.close();
    throw error;
  }
  handle = authority.handle;
  let closing: Promise<void> | undefined;
  const opened = authority;
  return {
    ...opened,
    port,
    close: () => {
      closing ??= (async () => {
        cancel();
        await closed(server);
        await opened.close();
      })();
      return closing;
    },
  };
}

function listening(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

/** No new connections; idle ones end at once, others after their answer. */
function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}
