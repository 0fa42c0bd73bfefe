import { slugOf } from '../core/names.ts';
import { CertificateRefused, OID, validateChain } from '../identity/index.ts';
import type { BrokerClient } from './broker-options.ts';

/**
 * Judges clients of the embedded broker by their WIC: exactly one agent identifier, for TLS clients, signed below one
 * of `anchors`, valid now. The result is `BrokerOptions.verifyClient`.
 *
 * @param of.anchors asked for each connection, so that changed trust bundles count at once.
 */
export function wicClients(of: {
  readonly anchors: () => readonly Uint8Array[];
  readonly now: () => number;
}): (chain: readonly Uint8Array[]) => BrokerClient {
  return (chain) => {
    const [leaf, ...intermediates] = chain;
    if (leaf === undefined) throw new CertificateRefused('chain-length', 'no client certificate was shown');
    const valid = validateChain({
      leaf,
      intermediates,
      anchors: of.anchors(),
      at: of.now(),
      purpose: 'wic',
      requiredEku: [OID.clientAuth],
    });
    if (valid.agentId === undefined)
      throw new CertificateRefused('identifier', 'the certificate names no agent');
    return {
      agentId: valid.agentId,
      slug: slugOf(valid.agentId),
      notAfter: Math.min(...valid.path.map((each) => each.notAfter)),
    };
  };
}
