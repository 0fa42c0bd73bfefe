import { readdir } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Measurement } from '../attestation/index.ts';
import { measure } from '../attestation/index.ts';
import { hex } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import { canonicalBytes } from '../core/json.ts';
import { v } from '../core/schema.ts';
import { BadFile, readBytes } from './files.ts';

/** Put in place of the name by the bundler; elsewhere there is no such thing. */
declare const __VERSION__: string | undefined;

/** Name of the program in measurements. */
const PROGRAM = 'fealty';
/** Name of the agent's configuration in measurements. */
const CONFIGURATION = 'fealty.json';

/**
 * The program that runs, as it is measured: the bundled file, or every file of the package's own code when it is not
 * bundled (then its dependencies are not in it: robots run the bundle).
 */
export async function measureProgram(): Promise<Measurement> {
  const here = fileURLToPath(import.meta.url);
  if (typeof __VERSION__ === 'string') return measure('bundle', PROGRAM, await readBytes(here));
  return measure('bundle', PROGRAM, await digestOfFolder(dirname(dirname(here))));
}

/** The configuration of an agent, as it is measured: the very bytes of the file. */
export async function measureConfiguration(path: string): Promise<Measurement> {
  return measure('configuration', CONFIGURATION, await readBytes(path));
}

/** The driver of a device, as it is measured: every code file of its folder, under the folder's name. */
export async function measureDevice(folder: string): Promise<Measurement> {
  return measure('driver', basename(folder), await digestOfFolder(folder));
}

/** Measurements in a file, as `fealty agent measure` writes them. */
export const measurementsSchema = v.strictObject({
  version: v.literal(1),
  measurements: v.pipe(
    v.array(
      v.strictObject({
        kind: v.picklist(['bundle', 'configuration', 'driver', 'model', 'policy']),
        name: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
        digest: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
      }),
    ),
    v.maxLength(1024),
  ),
});

/** A bill of materials (CycloneDX 1.6) of what was measured: canonical JSON, because its bytes are endorsed. */
export function aibomOf(measurements: readonly Measurement[]): Uint8Array {
  return canonicalBytes({
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'application', name: PROGRAM } },
    components: measurements.map(({ kind, name, digest }) => ({
      type: kind === 'driver' ? 'device-driver' : 'file',
      name,
      hashes: [{ alg: 'SHA-256', content: digest }],
    })),
  });
}

/** Canonical JSON from file name to SHA-256, of all code below `folder`. @throws {BadFile} */
async function digestOfFolder(folder: string): Promise<Uint8Array> {
  let names: string[];
  try {
    names = (await readdir(folder, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile() && /(?<!\.d)\.(?:[cm]?js|ts|json)$/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
  } catch (cause) {
    throw new BadFile(folder, 'cannot be read', { cause });
  }
  if (names.length === 0) throw new BadFile(folder, 'holds no code');
  const digests = await Promise.all(
    names.map(
      async (name) =>
        [relative(folder, name).split(sep).join('/'), hex(sha256(await readBytes(name)))] as const,
    ),
  );
  return canonicalBytes(Object.fromEntries(digests));
}
