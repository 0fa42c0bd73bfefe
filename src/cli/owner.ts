import { readdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { OwnerClient } from '../authority/index.ts';
import { ownerClient } from '../authority/index.ts';
import { nodePlatform } from '../core/node.ts';
import type { Platform } from '../core/platform.ts';
import { v } from '../core/schema.ts';
import type { SoftwareKey } from '../core/signer.ts';
import { keyFromPem } from '../core/signer.ts';
import type { Input, OptionDescription } from './command.ts';
import { Misuse, text } from './command.ts';
import { BadFile, pretty, readJsonFile, readText, writePaper } from './files.ts';

const FILE = 'owner.json';
const KEY = 'owner-key.pem';

const profileSchema = v.strictObject({
  version: v.literal(1),
  trustDomain: v.pipe(v.string(), v.maxLength(255)),
  url: v.pipe(v.string(), v.startsWith('https://'), v.maxLength(512)),
  /** SHA-256 of the authority's ACA certificate. */
  fingerprint: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  /** File of the owner's key, from the profile's folder. */
  key: v.pipe(v.string(), v.minLength(1), v.maxLength(4096)),
});
/** How an owner reaches an authority: `owner.json` in a folder of the owner's. */
export type OwnerProfile = v.InferOutput<typeof profileSchema>;

/** Options of every command that is signed with the owner's key. */
export const ownerOptions = {
  profile: {
    type: 'string',
    value: 'DIR',
    describe: 'folder with owner.json and the owner’s key (default: the one that authority init made)',
  },
  authority: {
    type: 'string',
    value: 'URL',
    describe: 'another address of the authority than the profile’s',
  },
  fingerprint: {
    type: 'string',
    value: 'HEX',
    describe: 'SHA-256 of its certificate, when there is no profile',
  },
  'owner-key': { type: 'string', value: 'FILE', describe: 'the owner’s key, when it is kept elsewhere' },
} as const satisfies Readonly<Record<string, OptionDescription>>;

/** The owner at work. */
export interface Owner {
  readonly client: OwnerClient;
  readonly key: SoftwareKey;
  readonly trustDomain: string | undefined;
  readonly platform: Platform;
}

/** Where the person's profiles are: `$XDG_CONFIG_HOME/fealty`, else `~/.config/fealty`. */
function profilesFolder(): string {
  return join(process.env['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'fealty');
}

/** Where the profile of a new authority goes unless `--profile` says so. */
export function profileFolder(input: Input, trustDomain: string): string {
  const given = text(input, 'profile');
  return given === undefined ? join(profilesFolder(), trustDomain) : resolve(given);
}

/** Where the owner's key of a profile is. */
export function keyFileIn(folder: string): string {
  return join(folder, KEY);
}

/** Writes a profile. @returns its path */
export async function writeProfile(
  folder: string,
  profile: Omit<OwnerProfile, 'version' | 'key'>,
): Promise<string> {
  return await writePaper(folder, FILE, pretty({ version: 1, ...profile, key: KEY }), { secret: true });
}

/** The owner, by the profile and the options. @throws {Misuse} when it is not known which. @throws {BadFile} */
export async function openOwner(input: Input): Promise<Owner> {
  const url = text(input, 'authority');
  const fingerprint = text(input, 'fingerprint');
  const keyFile = text(input, 'owner-key');
  const complete = url !== undefined && fingerprint !== undefined && keyFile !== undefined;
  const folder = complete && text(input, 'profile') === undefined ? undefined : await chosenFolder(input);
  const profile =
    folder === undefined ? undefined : await readJsonFile(join(folder, FILE), profileSchema, 'owner profile');
  const keyPath = keyFile ?? (folder !== undefined && profile ? resolve(folder, profile.key) : '');
  const pinned = fingerprint ?? profile?.fingerprint ?? '';
  if (!/^[0-9a-f]{64}$/.test(pinned)) throw new Misuse('--fingerprint has 64 hexadecimal digits');
  const address = (url ?? profile?.url ?? '').replace(/\/$/, '');
  if (!address.startsWith('https://'))
    throw new Misuse('--authority is an address such as `https://127.0.0.1:8443`');
  const platform = nodePlatform({ directory: '.' });
  const key = await keyIn(keyPath);
  return {
    client: ownerClient({ platform, url: address, fingerprint: pinned, key }),
    key,
    trustDomain: profile?.trustDomain,
    platform,
  };
}

async function chosenFolder(input: Input): Promise<string> {
  const given = text(input, 'profile');
  if (given !== undefined) return resolve(given);
  const folder = profilesFolder();
  const names = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const found = names.filter((entry) => entry.isDirectory()).map((entry) => join(folder, entry.name));
  const [only, ...more] = found;
  if (only === undefined)
    throw new Misuse(
      `there is no profile in ${folder}: say --profile, or make one with fealty authority init`,
    );
  if (more.length > 0) throw new Misuse(`which owner? --profile is one of ${found.join(', ')}`);
  return only;
}

async function keyIn(path: string): Promise<SoftwareKey> {
  const source = await readText(path);
  try {
    return keyFromPem(source);
  } catch (cause) {
    throw new BadFile(path, 'is no private key in PEM', { cause });
  }
}
