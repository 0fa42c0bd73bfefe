import type { Platform } from '../core/platform.ts';
import { generateKey, pemOfKey } from '../core/signer.ts';
import { bundleToJson } from '../identity/bundle-codec.ts';
import { issueServerCertificate } from '../identity/issue.ts';
import type { Authority } from './authority.ts';

/** What a broker of the owner's needs to serve TLS and to judge its clients and their group grants. */
export interface BrokerPapers {
  /** DER, leaf first, the ACA certificate last. */
  readonly chain: readonly Uint8Array[];
  readonly privateKeyPem: string;
  /** The owner's trust bundle, SPIFFE JSON. */
  readonly bundle: object;
  readonly trustDomain: string;
}

/** Life of a broker's TLS certificate: 90 days. */
const LIFE_MS = 90 * 86_400_000;

/** Issues a TLS certificate for a broker at `hosts`. */
export async function brokerPapers(
  authority: Pick<Authority, 'ca' | 'bundle' | 'trustDomain'>,
  hosts: readonly string[],
  platform: Pick<Platform, 'clock' | 'random'>,
): Promise<BrokerPapers> {
  const key = generateKey(platform.random);
  const notBefore = platform.clock.now() - 60_000;
  const { ca, bundle, trustDomain } = authority;
  const leaf = await issueServerCertificate({
    issuer: ca,
    random: platform.random,
    notBefore,
    notAfter: notBefore + LIFE_MS,
    hosts,
    publicKey: key.publicJwk,
    commonName: 'broker',
  });
  return {
    chain: [leaf, ca.certificate],
    privateKeyPem: pemOfKey(key),
    bundle: bundleToJson(bundle),
    trustDomain,
  };
}
