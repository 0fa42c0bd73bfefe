import type { Clock, TlsOptions } from '../core/platform.ts';
import type { Credentials } from '../identity/index.ts';
import { keysFor, trustDomainOf } from '../identity/index.ts';
import { WrongAuthority } from '../provisioning/index.ts';
import { pinnedTo } from '../provisioning/pledge-exchange.ts';

/**
 * Judges the certificates of a server of the owner's (authority, broker) by the anchors in the agent's own trust bundle,
 * of which there are several while one is rolled over.
 *
 * @param url where it was reached, for example `mqtts://127.0.0.1:8883`.
 * @throws {WrongAuthority} from the returned judge.
 */
export function ownersServer(credentials: Credentials, url: string, clock: Clock): TlsOptions['verifyPeer'] {
  // A URL parser knows hosts of https; the port and the scheme do not matter here.
  const https = url.replace(/^[a-z]+:/, 'https:');
  const anchors = keysFor(credentials.bundles, trustDomainOf(credentials.agentId), 'x509-svid').flatMap(
    ({ certificate }) => (certificate === undefined ? [] : [certificate]),
  );
  return (chain) => {
    let refusal: unknown = new WrongAuthority('the trust bundle has no anchor for servers');
    for (const anchor of anchors)
      try {
        pinnedTo(anchor, https, clock.now)(chain);
        return;
      } catch (error) {
        refusal = error;
      }
    throw refusal;
  };
}
