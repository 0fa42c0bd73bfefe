import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Unreachable } from '../core/errors.ts';
import { pemOfCertificates } from '../core/pem.ts';
import { payloadMax } from '../messaging/link.ts';
import {
  administratorsAcls,
  administratorsRole,
  agentsAcls,
  agentsRole,
  enrolCommands,
} from '../messaging/mosquitto-commands.ts';
import { packetMax } from '../messaging/packet-limit.ts';

/** What a Mosquitto of ours is configured with. */
export interface MosquittoOptions {
  /** Folder for its files; created, readable by its owner alone. */
  readonly directory: string;
  /** Default: 127.0.0.1. */
  readonly host?: string;
  readonly port: number;
  /** Certificate chain (DER, leaf first) and key (PEM) of the server. */
  readonly tls: { readonly chain: readonly Uint8Array[]; readonly privateKeyPem: string };
  /** Anchors of client certificates, DER. Their CN is the slug: Mosquitto reads no other name. */
  readonly anchors: readonly Uint8Array[];
  /** Slugs that may change accounts and rights from the start. */
  readonly administrators: readonly string[];
  /** User it runs as when started by root. Default: the user of this process, who can read the key. */
  readonly user?: string;
  /** Default: where Debian puts it, `mosquitto_dynamic_security.so` in /usr/lib/<machine>. */
  readonly plugin?: string;
}

/** The texts of a working configuration, by file name. Everything not allowed is denied. */
export function mosquittoConfiguration(options: MosquittoOptions): Readonly<Record<string, string>> {
  const { directory, host = '127.0.0.1', port, tls } = options;
  const at = (name: string) => join(directory, name);
  const configuration = [
    `user ${options.user ?? userInfo().username}`,
    'per_listener_settings false',
    `listener ${port} ${host}`,
    `cafile ${at('anchors.pem')}`,
    `certfile ${at('server.pem')}`,
    `keyfile ${at('server.key')}`,
    'tls_version tlsv1.3',
    'require_certificate true',
    'use_identity_as_username true',
    '# Nobody can throw another out by taking its client id.',
    'use_username_as_clientid true',
    'allow_anonymous false',
    `plugin ${options.plugin ?? pluginPath()}`,
    `plugin_opt_config_file ${at('dynamic-security.json')}`,
    '# Nagle costs 44 ms a round trip.',
    'set_tcp_nodelay true',
    '# Bytes, not messages, are the bound: a burst of small ones must not be lost.',
    'max_queued_messages 0',
    `max_queued_bytes ${8 << 20}`,
    'max_inflight_messages 64',
    `message_size_limit ${payloadMax}`,
    `max_packet_size ${packetMax}`,
    'persistence false',
    'log_dest stderr',
    'log_type error',
    'log_type warning',
    'log_type notice',
    'log_type information',
  ];
  return {
    'mosquitto.conf': `${configuration.join('\n')}\n`,
    'dynamic-security.json': `${JSON.stringify(dynamicSecurity(options.administrators), null, 2)}\n`,
    'anchors.pem': pemOfCertificates(options.anchors),
    'server.pem': pemOfCertificates(tls.chain),
    'server.key': tls.privateKeyPem,
  };
}

/** Writes {@link mosquittoConfiguration} into its folder. Files that exist are replaced, accounts among them. */
export async function writeMosquitto(options: MosquittoOptions): Promise<void> {
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  for (const [name, content] of Object.entries(mosquittoConfiguration(options)))
    await writeFile(join(options.directory, name), content, { mode: 0o600 });
}

/** A running Mosquitto. */
export interface RunningMosquitto extends AsyncDisposable {
  readonly port: number;
  /** What it wrote, the newest 1,000 lines. */
  readonly log: readonly string[];
  /** Ends the process and waits for it. Idempotent. */
  close(): Promise<void>;
}

/**
 * Writes a configuration and starts a Mosquitto with it as a child process.
 *
 * @param options.port default: a free one.
 * @throws {Unreachable} when it ends instead of listening; the message has its last words.
 */
export async function startMosquitto(
  options: Omit<MosquittoOptions, 'port'> & { readonly port?: number },
): Promise<RunningMosquitto> {
  const port = options.port ?? (await freePort());
  await writeMosquitto({ ...options, port });
  const child = spawn('mosquitto', ['-c', join(options.directory, 'mosquitto.conf')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const log: string[] = [];
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      log.push(error.message);
      resolve();
    });
    child.once('close', () => resolve());
  });
  const running = new Promise<void>((resolve) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (log.length >= 1000) log.shift();
      log.push(line);
      if (/mosquitto version \S+ running/.test(line)) resolve();
    });
  });
  const gone = ended.then(() => {
    throw new Unreachable(`Mosquitto did not start: ${log.slice(-3).join(' / ')}`);
  });
  await Promise.race([running, gone]);
  gone.catch(() => {});
  const close = async () => {
    child.kill();
    await ended;
  };
  return { port, log, close, [Symbol.asyncDispose]: close };
}

/** Accounts and roles at the first start: the administrators, and nothing allowed to anybody else. */
function dynamicSecurity(administrators: readonly string[]): unknown {
  const made = administrators.flatMap((slug) => enrolCommands(slug, true));
  const roles = made.flatMap((each) => (each.command === 'createRole' ? [each] : []));
  const clients = made.flatMap((each) => (each.command === 'createClient' ? [each] : []));
  return {
    defaultACLAccess: {
      publishClientSend: false,
      publishClientReceive: false,
      subscribe: false,
      unsubscribe: true,
    },
    clients: clients.map(({ username, roles: own }) => ({
      username,
      roles: [...own, { rolename: administratorsRole }],
    })),
    groups: [],
    roles: [
      { rolename: agentsRole, acls: agentsAcls },
      { rolename: administratorsRole, acls: administratorsAcls },
      ...roles.map(({ rolename, acls }) => ({ rolename, acls })),
    ],
  };
}

function pluginPath(): string {
  const machine = { x64: 'x86_64', arm64: 'aarch64', arm: 'arm' }[process.arch as 'x64'] ?? process.arch;
  const tail = process.arch === 'arm' ? 'gnueabihf' : 'gnu';
  return `/usr/lib/${machine}-linux-${tail}/mosquitto_dynamic_security.so`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}
