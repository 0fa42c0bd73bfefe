import { join, resolve } from 'node:path';
import { brokerPapers } from '../authority/broker-papers.ts';
import { readConfig } from '../authority/folder.ts';
import { initAuthority, serveAuthority } from '../authority/index.ts';
import { messageOf } from '../core/errors.ts';
import { nodePlatform } from '../core/node.ts';
import { writeBrokerPapers } from './broker-folder.ts';
import type { Command, Input } from './command.ts';
import { flag, list, Misuse, need, text, whole } from './command.ts';
import { ended, lines } from './lines.ts';
import { keyFileIn, profileFolder, writeProfile } from './owner.ts';

const DEFAULT_URL = 'https://127.0.0.1:8443';

/** `fealty authority init`. */
export const authorityInit: Command = {
  arguments: 'DIR',
  count: [1, 1],
  about:
    'Makes an owner’s authority in an empty folder: its keys, its certificate (aca.pem, for makers and brokers), and the owner’s key,\n' +
    'with which every later change is signed. The owner’s key and a small profile go to --profile, by default\n' +
    '~/.config/fealty/<trust domain>; there is no password, and whoever has the key is the owner.',
  options: {
    'trust-domain': {
      type: 'string',
      value: 'NAME',
      describe: 'first part of every identifier, for example fleet.example',
    },
    url: {
      type: 'string',
      value: 'URL',
      describe: `where it will be reached, for good (default: ${DEFAULT_URL})`,
    },
    hosts: {
      type: 'string',
      value: 'NAME',
      multiple: true,
      describe: 'another name or address for its TLS certificate; repeat it',
    },
    simulation: { type: 'boolean', describe: 'accept software TPMs; it cannot be changed later' },
    profile: { type: 'string', value: 'DIR', describe: 'where the owner’s key and owner.json go' },
  },
  examples: [
    [
      'authority init ./authority --trust-domain fleet.example --url https://authority.fleet.example:8443',
      'a real one',
    ],
    [
      'authority init ./authority --trust-domain fleet.example --simulation',
      'one that accepts software TPMs',
    ],
  ],
  run: async (input, io) => {
    const directory = folderOf(input);
    const trustDomain = need(input, 'trust-domain');
    const url = urlOf('url', text(input, 'url') ?? DEFAULT_URL, 'https:').origin;
    const profile = profileFolder(input, trustDomain);
    const hosts = [...new Set([...list(input, 'hosts'), hostOf(url), 'localhost', '127.0.0.1'])];
    const platform = nodePlatform({ directory });
    const { fingerprint, simulation } = await initAuthority({
      directory,
      platform,
      trustDomain,
      url,
      hosts,
      simulation: flag(input, 'simulation'),
      ownerKeyFile: keyFileIn(profile),
    });
    await writeProfile(profile, { trustDomain, url, fingerprint });
    const certificate = join(directory, 'aca.pem');
    if (flag(input, 'json'))
      io.json({ trustDomain, url, fingerprint, simulation, directory, certificate, profile });
    else {
      io.print(`The authority of ${trustDomain} is in ${directory}${simulation ? ', for simulation' : ''}`);
      io.print(`Its certificate, for makers: ${certificate}`);
      io.print(`SHA-256 ${fingerprint}`);
      io.print(`The owner's key and profile: ${profile}`);
      io.note(`next: fealty authority serve ${input.positionals[0]} --broker mqtts://${hostOf(url)}:8883`);
    }
    return 0;
  },
};

/** `fealty authority serve`. */
export const authorityServe: Command = {
  arguments: 'DIR',
  count: [1, 1],
  about:
    'Runs the authority over HTTPS: registrar, verifier, registry, token service, revocation status and the owner’s side. At each start\n' +
    'it writes the papers of the owner’s broker (TLS certificate for 90 days, trust bundle) for `fealty broker serve`. Ctrl-C ends it.',
  options: {
    host: { type: 'string', value: 'ADDRESS', describe: 'address it listens on (default: 127.0.0.1)' },
    port: {
      type: 'string',
      value: 'N',
      describe: 'port it listens on (default: that of the URL given at init)',
    },
    broker: { type: 'string', value: 'URL', describe: 'mqtts://host:port, told to agents when they enrol' },
    'broker-papers': {
      type: 'string',
      value: 'DIR',
      describe: 'where the papers of the broker go (default: DIR/broker)',
    },
  },
  examples: [
    ['authority serve ./authority --broker mqtts://127.0.0.1:8883', 'on loopback'],
    [
      'authority serve ./authority --host 0.0.0.0 --broker mqtts://broker.fleet.example:8883 --json',
      'for others; log lines as JSON',
    ],
  ],
  run: async (input, io) => {
    const directory = folderOf(input);
    const broker = text(input, 'broker');
    const brokerHost = broker === undefined ? undefined : hostOf(urlOf('broker', broker, 'mqtts:').href);
    const plain = nodePlatform({ directory });
    const { tell, log } = lines(io, plain.clock, flag(input, 'json'));
    const config = await readConfig(plain.store);
    const port = whole(input, 'port', { min: 0, max: 65_535 }) ?? portOf(config.url);
    const running = await serveAuthority({
      directory,
      platform: { ...plain, log },
      host: text(input, 'host') ?? '127.0.0.1',
      port,
      broker,
    });
    try {
      const folder = resolve(text(input, 'broker-papers') ?? join(directory, 'broker'));
      const hosts = [...new Set([...(brokerHost === undefined ? [] : [brokerHost]), ...config.hosts])];
      await writeBrokerPapers(folder, await brokerPapers(running, hosts, plain));
      const { url, fingerprint, trustDomain, simulation } = running;
      tell('info', 'authority serves', {
        url,
        port: running.port,
        trustDomain,
        fingerprint,
        simulation,
        broker,
        brokerPapers: folder,
      });
      if (broker === undefined) tell('warn', 'no --broker: agents are told of none');
      await ended(io.signal);
    } finally {
      await running.close();
      tell('info', 'authority ended');
    }
    return 0;
  },
};

function folderOf(input: Input): string {
  return resolve(input.positionals[0] ?? '.');
}

function urlOf(option: string, value: string, protocol: string): URL {
  try {
    const url = new URL(value);
    if (url.protocol === protocol && url.hostname !== '') return url;
  } catch (cause) {
    throw new Misuse(`--${option}: ${messageOf(cause)}`, { cause });
  }
  throw new Misuse(`--${option} is an address that begins with ${protocol}//`);
}

function hostOf(url: string): string {
  return new URL(url.replace(/^mqtts:/, 'https:')).hostname.replace(/^\[|\]$/g, '');
}

function portOf(url: string | undefined): number {
  const port = url === undefined ? '' : new URL(url).port;
  return port === '' ? 443 : Number(port);
}
