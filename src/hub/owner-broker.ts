import { slugOf } from '../core/names.ts';
import type { Platform } from '../core/platform.ts';
import type { TrustBundle } from '../identity/index.ts';
import { keysFor } from '../identity/index.ts';
import { BrokerRefused } from '../messaging/index.ts';
import type { VerifiedGroupGrant } from '../tokens/index.ts';
import { Generations, verifyGroupGrant } from '../tokens/index.ts';
import { EmbeddedBroker } from './broker.ts';
import { wicClients } from './broker-clients.ts';
import type { OpenPermit } from './broker-domains.ts';
import type { BrokerOptions } from './broker-options.ts';

/** An embedded broker for the agents of one owner. */
export interface OwnerBrokerOptions {
  readonly platform: Platform;
  /** The owner's own bundle: its agents may connect, its group grants open domains. */
  readonly bundle: TrustBundle;
  readonly tls: BrokerOptions['tls'];
  readonly host?: string | undefined;
  /** Default: 0, a free one. */
  readonly port?: number | undefined;
  readonly announcers?: readonly string[] | undefined;
}

/**
 * Starts the embedded broker with the rules of one owner: clients show a WIC of the owner's, whose CN is the slug of its
 * one identifier; a domain opens with a group grant that is the asker's own.
 */
export async function startOwnerBroker(options: OwnerBrokerOptions): Promise<EmbeddedBroker> {
  const { platform, bundle, tls, host, port, announcers } = options;
  const anchors = keysFor([bundle], bundle.trustDomain, 'x509-svid').flatMap(({ certificate }) =>
    certificate === undefined ? [] : [certificate],
  );
  const generations = await Generations.open({
    clock: platform.clock,
    store: platform.store,
    trustDomain: bundle.trustDomain,
    name: 'broker-generations',
  });
  return await EmbeddedBroker.start({
    platform,
    tls,
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(announcers === undefined ? {} : { announcers }),
    verifyClient: wicClients({ anchors: () => anchors, now: platform.clock.now }),
    mayOpen: (grant, slug) =>
      permitOf(verifyGroupGrant(grant, { bundles: [bundle], at: platform.clock.now(), generations }), slug),
  });
}

/** What a group grant lets the agent with this slug open. @throws {BrokerRefused} `grant`: it is another coordinator's. */
export function permitOf(
  { coordinator, exp, bounds }: Pick<VerifiedGroupGrant, 'coordinator' | 'exp' | 'bounds'>,
  slug: string,
): OpenPermit {
  const takeover = (bounds.successors ?? []).some((one) => slugOf(one) === slug);
  if (slugOf(coordinator) !== slug && !takeover)
    throw new BrokerRefused('grant', 'the group grant is another coordinator’s');
  // The grant does not count a coordinator without a role, and roles are not the broker's business: members judge them.
  return { until: exp * 1000, membersMax: bounds.maxMembers + 1, takeover };
}
