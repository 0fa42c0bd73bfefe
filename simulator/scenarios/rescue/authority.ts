import { serveAuthority } from 'fealty/authority';
import type { BrokerPapers } from '../../../src/authority/broker-papers.ts';
import { brokerPapers } from '../../../src/authority/broker-papers.ts';
import type { RunningAuthority } from '../../../src/authority/index.ts';
import { nodePlatform } from '../../../src/core/node.ts';
import { serveActor } from '../actor.ts';

let authority: RunningAuthority | undefined;
let broker: string | undefined;

/** The owner's authority, in a process of its own. */
const methods = {
  /** Serves the authority in `directory` on a free port of loopback. */
  serve: async ({ directory }: { directory: string }): Promise<{ url: string; fingerprint: string }> => {
    authority = await serveAuthority({
      directory,
      platform: nodePlatform({ directory }),
      broker: () => broker,
    });
    return { url: authority.url, fingerprint: authority.fingerprint };
  },
  /** What the broker needs. */
  brokerPapers: async ({ directory }: { directory: string }): Promise<BrokerPapers> => {
    if (authority === undefined) throw new Error('not serving');
    return await brokerPapers(authority, ['127.0.0.1', 'localhost'], nodePlatform({ directory }));
  },
  /** Where agents find the broker; told to them at enrolment. */
  brokerAt: async ({ url }: { url: string }): Promise<void> => {
    broker = url;
  },
};
/** What the authority's process can be asked. */
export type AuthorityMethods = typeof methods;

serveActor(methods, async () => authority?.close());
