import { join } from 'node:path';
import type { BrokerPapers } from '../authority/broker-papers.ts';
import { fromPem, pemOfCertificates } from '../core/pem.ts';
import { v } from '../core/schema.ts';
import type { TrustBundle } from '../identity/index.ts';
import { readBundle } from '../identity/index.ts';
import { BadFile, pretty, readJsonFile, readText, writePaper } from './files.ts';

const bundleSchema = v.strictObject({
  trust_domain: v.pipe(v.string(), v.maxLength(255)),
  /** SPIFFE bundle. */
  bundle: v.looseObject({}),
});

/** Writes the papers of a broker into a folder: `server.pem`, `server.key` (0600), `bundle.json`. */
export async function writeBrokerPapers(folder: string, papers: BrokerPapers): Promise<void> {
  await writePaper(folder, 'server.pem', pemOfCertificates(papers.chain));
  await writePaper(folder, 'server.key', papers.privateKeyPem, { secret: true });
  await writePaper(
    folder,
    'bundle.json',
    pretty({ trust_domain: papers.trustDomain, bundle: papers.bundle }),
  );
}

/** What a broker reads from that folder. */
export interface BrokerFolder {
  readonly tls: { readonly chain: readonly Uint8Array[]; readonly privateKeyPem: string };
  readonly bundle: TrustBundle;
}

/** Reads them. @throws {BadFile} */
export async function readBrokerPapers(folder: string): Promise<BrokerFolder> {
  const pem = await readText(join(folder, 'server.pem'));
  const privateKeyPem = await readText(join(folder, 'server.key'));
  const read = await readJsonFile(join(folder, 'bundle.json'), bundleSchema, 'trust bundle');
  try {
    return {
      tls: { chain: fromPem('CERTIFICATE', pem), privateKeyPem },
      bundle: readBundle(read.trust_domain, JSON.stringify(read.bundle)),
    };
  } catch (cause) {
    throw new BadFile(folder, 'holds no papers of a broker', { cause });
  }
}
