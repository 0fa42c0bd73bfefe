import { readAppraisalPolicy, readReferenceValues } from '../attestation/reference.ts';
import { hex, utf8 } from '../core/bytes.ts';
import { SimulatedPlatform } from '../core/errors.ts';
import { sha256 } from '../core/hash.ts';
import { canonicalBytes } from '../core/json.ts';
import { fileStore } from '../core/node-store.ts';
import type { Store } from '../core/platform.ts';
import { generateKey, pemOfKey } from '../core/signer.ts';
import { checkTrustDomain } from '../identity/agent-id.ts';
import { createRoot } from '../identity/issue.ts';
import { AuthorityFolder } from './errors.ts';
import { KEY_NAMES, writeAnchors, writeCaCertificate, writeConfig, writeKey } from './folder.ts';
import type { AuthorityIdentity, InitOptions } from './types.ts';

/** How long the ACA certificate lives, in milliseconds: ten years. */
const CA_LIFE_MS = 10 * 365 * 86_400_000;

/**
 * Makes an authority in an empty folder: keys of the ACA, issuer, verifier, status and log (files of mode 0600), the ACA
 * certificate, and the owner's key, with which every later change is signed.
 *
 * @throws {AuthorityFolder} when there is one already. @throws {SimulatedPlatform} unless it is for simulation.
 */
export async function initAuthority(options: InitOptions): Promise<AuthorityIdentity> {
  const { platform, simulation = false } = options;
  const trustDomain = checkTrustDomain(options.trustDomain);
  if (platform.simulated && !simulation)
    throw new SimulatedPlatform('keys of a real authority cannot come from a simulated platform');
  const store = storeOf(options);
  if ((await store.read('authority.json')) !== undefined)
    throw new AuthorityFolder('the folder holds an authority already');
  const { clock, random } = platform;
  for (const name of KEY_NAMES) await writeKey(store, name, generateKey(random));
  const aca = generateKey(random);
  await writeKey(store, 'aca', aca);
  const notBefore = clock.now() - 60_000;
  const { certificate } = await createRoot({
    signer: aca,
    random,
    commonName: `${trustDomain} agent credentials`,
    organization: trustDomain,
    notBefore,
    notAfter: notBefore + CA_LIFE_MS,
    pathLength: 0,
  });
  await writeCaCertificate(store, certificate);
  const owner = generateKey(random);
  const ownerKey = utf8(pemOfKey(owner));
  if (options.ownerKeyFile === undefined) await store.write('owner-key.pem', ownerKey);
  else await writeOwnerKey(options.ownerKeyFile, ownerKey);
  await writeAnchors(store, { ekVendors: [], makers: [], providers: [], owners: [owner.publicJwk] });
  await store.write(
    'reference.json',
    canonicalBytes(readReferenceValues({ version: 1, measurements: [], ...options.reference })),
  );
  await store.write(
    'policy.json',
    canonicalBytes(readAppraisalPolicy({ version: 1, id: 'owner', ...options.policy })),
  );
  // Last: a folder that has it is complete.
  await writeConfig(store, {
    version: 1,
    trustDomain,
    simulation,
    hosts: [...(options.hosts ?? ['localhost', '127.0.0.1'])],
    ...(options.url === undefined ? {} : { url: options.url }),
    bundleSequence: 1,
  });
  return { trustDomain, simulation, fingerprint: fingerprintOf(certificate) };
}

/** SHA-256 of a certificate, hexadecimal. */
export function fingerprintOf(certificate: Uint8Array): string {
  return hex(sha256(certificate));
}

/** The folder as a store, or the store that was given instead. */
export function storeOf(options: { readonly directory: string; readonly store?: Store | undefined }): Store {
  return options.store ?? fileStore(options.directory);
}

async function writeOwnerKey(file: string, ownerKey: Uint8Array): Promise<void> {
  const slash = file.lastIndexOf('/');
  const folder = slash < 0 ? '.' : file.slice(0, slash) || '/';
  const name = file.slice(slash + 1);
  const store = fileStore(folder);
  if ((await store.read(name)) !== undefined) throw new AuthorityFolder('there is an owner key already');
  await store.write(name, ownerKey);
}
