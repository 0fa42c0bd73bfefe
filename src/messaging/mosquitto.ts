import { base64url, text, utf8 } from '../core/bytes.ts';
import { Malformed, messageOf, Unreachable } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import type { Platform } from '../core/platform.ts';
import { check, v } from '../core/schema.ts';
import type { BrokerAuthorizer } from './authorizer.ts';
import { BrokerRefused } from './errors.ts';
import type { Link } from './link.ts';
import type { DynsecCommand } from './mosquitto-commands.ts';
import { destroyCommands, dynsecTopic, enrolCommands, openCommands } from './mosquitto-commands.ts';
import { isDomainId, isSlug, lifeTopic, logHeadTopic } from './topics.ts';

const responses = v.object({
  responses: v.array(
    v.object({
      command: v.string(),
      correlationData: v.optional(v.string()),
      error: v.optional(v.string()),
    }),
  ),
});

/** Above this many, Mosquitto 2.0 (which writes its file after each) would be deaf for seconds. */
const batchMax = 50;

/** Accounts and rights of domains at a Mosquitto. */
export interface MosquittoAuthorizer extends BrokerAuthorizer {
  /** Makes an account for an agent, once, when it enrols: its certificate's CN is `slug`. Idempotent. */
  enrol(slug: string, options?: { readonly announces?: boolean }): Promise<void>;
  /** Takes the account away and breaks the connection. Idempotent. */
  withdraw(slug: string): Promise<void>;
  /** Lets go of the plugin's topic. */
  close(): Promise<void>;
}

/**
 * Drives the dynamic security plugin of a Mosquitto 2 over an administrator's own link: one account per agent at its
 * enrolment, one group per domain. `admit`, `evict` and `destroy` cost one message each.
 *
 * Mosquitto cannot read group grants: `grant` is not checked there, and who may open domains is every administrator.
 * Broker rights are defence in depth; keys decide.
 *
 * @param slug the link's own.
 * @throws {SubscribeRefused} when the link is not an administrator's.
 */
export async function mosquittoAuthorizer(
  link: Link,
  slug: string,
  platform: Pick<Platform, 'clock' | 'random' | 'log'>,
  options: { readonly timeoutMs?: number } = {},
): Promise<MosquittoAuthorizer> {
  const waiting = new Map<string, (error: string | undefined) => void>();
  const members = new Map<string, Set<string>>();
  const subscription = await link.subscribe(`${dynsecTopic}/response`, ({ payload }) => {
    try {
      const { responses: answers } = check(responses, parseJson(text(payload)), 'answer of Mosquitto');
      for (const { correlationData, error } of answers) {
        const settle = waiting.get(correlationData ?? '');
        waiting.delete(correlationData ?? '');
        settle?.(error);
      }
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      platform.log.warn('an answer of Mosquitto is not readable', { reason: messageOf(error) });
    }
  });

  /** Runs commands; returns the plugin's error text (or `undefined`) for each. */
  const run = async (commands: readonly DynsecCommand[]): Promise<(string | undefined)[]> => {
    const all: (string | undefined)[] = [];
    for (let at = 0; at < commands.length; at += batchMax) {
      const batch = commands
        .slice(at, at + batchMax)
        .map((command) => ({ ...command, correlationData: base64url(platform.random.bytes(12)) }));
      all.push(...(await runBatch(batch)));
    }
    return all;
  };
  const runBatch = async (batch: readonly (DynsecCommand & { readonly correlationData: string })[]) => {
    const late = new AbortController();
    const answers = batch.map(
      ({ correlationData }) =>
        new Promise<string | undefined>((resolve) => {
          waiting.set(correlationData, resolve);
        }),
    );
    const silence = platform.clock.sleep(options.timeoutMs ?? 15_000, late.signal).then(() => {
      throw new Unreachable('Mosquitto does not answer');
    });
    silence.catch(() => {});
    try {
      await link.publish(dynsecTopic, utf8(JSON.stringify({ commands: batch })), { qos: 1 });
      return await Promise.race([Promise.all(answers), silence]);
    } finally {
      late.abort();
      for (const { correlationData } of batch) waiting.delete(correlationData);
    }
  };
  /** Runs commands of which each may fail with the given words only: it is done already. */
  const ensure = async (commands: readonly DynsecCommand[], done: RegExp): Promise<void> => {
    for (const error of await run(commands))
      if (error !== undefined && !done.test(error)) throw refusal(error);
  };
  const own = (domain: string): Set<string> => {
    const known = members.get(domain);
    if (known === undefined) throw new BrokerRefused('owner', 'the domain was not opened by this agent');
    return known;
  };

  return {
    enrol: (agent, { announces = false } = {}) =>
      ensure(enrolCommands(slugOnly(agent), announces), /already exists/),
    withdraw: (agent) =>
      ensure(
        [
          { command: 'deleteClient', username: slugOnly(agent) },
          { command: 'deleteRole', rolename: `agent-${agent}` },
        ],
        /not found/,
      ),
    openDomain: async (domain) => {
      if (!isDomainId(domain)) throw new BrokerRefused('domain', 'not a domain identifier');
      if (members.has(domain)) return;
      // A group that exists is somebody else's, or our own before a restart: nobody knows then who is in it.
      const [role, group] = await run(openCommands(domain));
      if (group !== undefined) throw refusal(group);
      if (role !== undefined) throw refusal(role);
      members.set(domain, new Set([slug]));
    },
    admit: async (domain, slugs) => {
      const known = own(domain);
      const fresh = (typeof slugs === 'string' ? [slugs] : slugs)
        .map(slugOnly)
        .filter((each) => !known.has(each));
      await ensure(
        fresh.map((username) => ({ command: 'addGroupClient', groupname: domain, username })),
        /already/,
      );
      for (const each of fresh) known.add(each);
    },
    evict: async (domain, agent) => {
      const known = own(domain);
      if (agent === slug) throw new BrokerRefused('owner', 'the coordinator cannot be evicted');
      await ensure(
        [{ command: 'removeGroupClient', groupname: domain, username: slugOnly(agent) }],
        /not found|not in/,
      );
      known.delete(agent);
      await link.publish(lifeTopic(domain, agent), new Uint8Array(), { qos: 1, retain: true });
    },
    destroy: async (domain) => {
      const known = members.get(domain);
      if (known === undefined) return;
      await ensure(destroyCommands(domain), /not found/);
      members.delete(domain);
      const left = [logHeadTopic(domain), ...[...known].map((each) => lifeTopic(domain, each))];
      for (const topic of left) await link.publish(topic, new Uint8Array(), { qos: 1, retain: true });
    },
    close: () => subscription.close(),
  };
}

function slugOnly(value: string): string {
  if (!isSlug(value)) throw new BrokerRefused('unknown-agent', 'not a slug');
  return value;
}

function refusal(error: string): BrokerRefused {
  if (/client not found/i.test(error))
    return new BrokerRefused('unknown-agent', 'Mosquitto knows no such account');
  if (/group already exists/i.test(error)) return new BrokerRefused('owner', 'the domain is open already');
  return new BrokerRefused('fault', `Mosquitto says: ${error.slice(0, 128)}`);
}
