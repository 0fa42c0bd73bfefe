import type { BrokerPapers } from '../../../src/authority/broker-papers.ts';
import { nodePlatform } from '../../../src/core/node.ts';
import type { EmbeddedBroker } from '../../../src/hub/broker.ts';
import { startOwnerBroker } from '../../../src/hub/owner-broker.ts';
import { readBundle } from '../../../src/identity/index.ts';
import { serveActor } from '../actor.ts';

let broker: EmbeddedBroker | undefined;

/** The embedded broker, in a process of its own. */
const methods = {
  /** Serves MQTT over TLS on a free port of loopback. */
  serve: async ({
    directory,
    papers,
  }: {
    directory: string;
    papers: BrokerPapers;
  }): Promise<{ url: string }> => {
    broker = await startOwnerBroker({
      platform: nodePlatform({ directory }),
      bundle: readBundle(papers.trustDomain, JSON.stringify(papers.bundle)),
      tls: papers,
    });
    broker.on('refused', (slug, what, detail) => tell('refused', { slug, what, detail }));
    return { url: `mqtts://127.0.0.1:${broker.port}` };
  },
};
/** What the broker's process can be asked. */
export type BrokerMethods = typeof methods;

const { tell } = serveActor(methods, async () => broker?.close());
