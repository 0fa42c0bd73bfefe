import { base64url } from '../core/bytes.ts';
import { messageOf, Unreachable } from '../core/errors.ts';
import type { Platform } from '../core/platform.ts';
import type { BrokerAuthorizer } from './authorizer.ts';
import type { BrokerQuestion, BrokerRequest } from './broker-messages.ts';
import { batchMax, encodeBrokerMessage, readBrokerAnswer } from './broker-messages.ts';
import { BrokerRefused } from './errors.ts';
import type { Link } from './link.ts';
import { topicOf } from './topics.ts';

/**
 * The rights of domains at the embedded broker, asked for over the coordinator's own link: the broker knows the
 * asker from its TLS certificate, and lets only the one who opened a domain change it. After a reconnection the domains
 * are opened and filled again, in case the broker started anew: it keeps them in memory only.
 *
 * @param slug the agent's own, as in its certificate.
 * @returns an authorizer whose calls also fail with {@link Unreachable} when no answer comes within `timeoutMs`
 *   (default: 10,000).
 * @throws {SubscribeRefused} when the broker is not one of ours.
 */
export async function brokerAuthorizerOver(
  link: Link,
  slug: string,
  platform: Pick<Platform, 'clock' | 'random' | 'log'>,
  options: { readonly timeoutMs?: number } = {},
): Promise<BrokerAuthorizer> {
  const waiting = new Map<string, { resolve: () => void; reject: (error: Error) => void }>();
  await link.subscribe(topicOf({ kind: 'broker-answer', to: slug }), ({ payload }) => {
    const answer = readBrokerAnswer(payload);
    const asked = waiting.get(answer.id);
    waiting.delete(answer.id);
    if (answer.ok) asked?.resolve();
    else asked?.reject(new BrokerRefused(answer.check, answer.message));
  });
  const ask = async (question: BrokerQuestion): Promise<void> => {
    const id = base64url(platform.random.bytes(12));
    const answered = new Promise<void>((resolve, reject) => {
      waiting.set(id, { resolve, reject });
    });
    const cancel = platform.clock.schedule(options.timeoutMs ?? 10_000, () =>
      waiting.get(id)?.reject(new Unreachable('the broker does not answer')),
    );
    try {
      const payload = encodeBrokerMessage({ ...question, id } as BrokerRequest);
      const sent = link.publish(topicOf({ kind: 'broker-control' }), payload, { qos: 1 });
      await Promise.all([sent, answered]);
    } finally {
      cancel();
      waiting.delete(id);
    }
  };
  const admit = async (domain: string, all: readonly string[]) => {
    for (let at = 0; at < all.length; at += batchMax)
      await ask({ op: 'admit', domain, slugs: all.slice(at, at + batchMax) });
  };
  const domains = new Map<string, { readonly grant: string; readonly members: Set<string> }>();
  const restore = async () => {
    for (const [domain, { grant, members }] of [...domains]) {
      try {
        await ask({ op: 'open', domain, grant });
        await admit(domain, [...members]);
      } catch (error) {
        platform.log.warn('the broker did not restore a domain', { domain, reason: messageOf(error) });
      }
    }
  };
  link.on('connected', () => void restore());
  return {
    openDomain: async (domain, { grant }) => {
      await ask({ op: 'open', domain, grant });
      if (!domains.has(domain)) domains.set(domain, { grant, members: new Set() });
    },
    admit: async (domain, slugs) => {
      const all = typeof slugs === 'string' ? [slugs] : [...slugs];
      await admit(domain, all);
      for (const each of all) domains.get(domain)?.members.add(each);
    },
    evict: async (domain, evicted) => {
      // First, so that a broker that starts anew meanwhile does not let it in again.
      domains.get(domain)?.members.delete(evicted);
      await ask({ op: 'evict', domain, slugs: [evicted] });
    },
    destroy: async (domain) => {
      domains.delete(domain);
      await ask({ op: 'destroy', domain });
    },
  };
}
