import type { ControlHandlers } from '../agent/control.ts';
import type { Agent } from '../agent/index.ts';
import { NotReady } from '../agent/index.ts';
import { messageOf } from '../core/errors.ts';
import type { Json } from '../core/json.ts';
import { check, v } from '../core/schema.ts';
import type { Candidate } from '../domains/index.ts';
import type { GroupBounds } from '../tokens/index.ts';
import { domainsOf, recentOf, statusOf } from './agent-status.ts';
import type { AgentConfig } from './config.ts';

const word = v.pipe(v.string(), v.minLength(1), v.maxLength(256));
const reason = v.pipe(v.string(), v.minLength(1), v.maxLength(256));

/** Who is invited: whoever offers these capabilities, or one agent of them. */
const inviteSchema = v.strictObject({
  role: word,
  capabilities: v.pipe(v.array(word), v.minLength(1), v.maxLength(16)),
  agent: v.optional(v.pipe(v.string(), v.maxLength(2048))),
});
/** See {@link inviteSchema}. */
export type Invite = v.InferOutput<typeof inviteSchema>;

const conveneSchema = v.strictObject({
  task: word,
  mission: v.pipe(v.string(), v.maxLength(1024)),
  /** Group bounds; the trust domain of the agent when none is named. The token service checks them. */
  bounds: v.looseObject({}),
  role: v.optional(word),
  lifeS: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(60))),
  invite: v.optional(v.pipe(v.array(inviteSchema), v.maxLength(64)), []),
});

/** What came of one invitation. */
export interface Invited {
  readonly role: string;
  readonly agent?: string | undefined;
  readonly refused?: string | undefined;
}

/**
 * What can be asked of the running agent over its control socket.
 *
 * @param now the agent, once its TPM is open, and what it waits for.
 */
export function controlHandlers(
  config: AgentConfig,
  now: () => { readonly agent: Agent | undefined; readonly waiting: string | undefined },
): ControlHandlers {
  const ready = (): Agent => {
    const { agent, waiting } = now();
    if (agent === undefined) throw new NotReady('tpm', `the agent waits: ${waiting ?? 'for its TPM'}`);
    return agent;
  };
  const handlers: Readonly<Record<string, (argument: Json) => Promise<unknown>>> = {
    status: async () => {
      const { agent, waiting } = now();
      return statusOf(config, agent, waiting);
    },
    why: async (argument) => {
      const { id } = check(v.strictObject({ id: word }), argument, 'request');
      return { text: ready().books.permissions.pep.why(id) ?? null };
    },
    recent: async () => recentOf(ready(), 256),
    audit: async () => {
      const { audit } = ready().books;
      await audit.checkpoint();
      return audit.head();
    },
    domains: async () => domainsOf(ready()),
    convene: async (argument) => {
      const { invite: wanted, bounds, ...request } = check(conveneSchema, argument, 'request');
      const agent = ready();
      const domain = await agent.convene({ ...request, bounds: bounds as unknown as GroupBounds });
      const invited: Invited[] = [];
      for (const one of wanted) invited.push(await invite(agent, request.task, one));
      return { domain, task: request.task, invited };
    },
    invite: async (argument) => {
      const { task, invite: wanted } = check(
        v.strictObject({ task: word, invite: inviteSchema }),
        argument,
        'request',
      );
      return await invite(ready(), task, wanted);
    },
    evict: async (argument) => {
      const asked = check(v.strictObject({ task: word, agent: v.string(), reason }), argument, 'request');
      await ready().meeting.evict(asked.task, asked.agent, asked.reason);
      return {};
    },
    end: async (argument) => {
      const asked = check(v.strictObject({ task: word, reason }), argument, 'request');
      await ready().meeting.end(asked.task, asked.reason);
      return {};
    },
    ask: async (argument) => {
      const { task, agent, ...ask } = check(
        v.strictObject({
          task: word,
          agent: v.string(),
          device: word,
          action: word,
          arguments: v.optional(v.record(word, v.union([v.string(), v.number(), v.boolean()]))),
          txn: v.optional(word),
        }),
        argument,
        'request',
      );
      return await ready().ask(task, agent, ask);
    },
  };
  return Object.fromEntries(
    Object.entries(handlers).map(([name, work]) => [
      name,
      // What cannot be said in JSON (absent members) is left out.
      async (argument: Json) => JSON.parse(JSON.stringify((await work(argument)) ?? null)) as Json,
    ]),
  );
}

/** Invites the first that is found and accepts; others of the same capabilities are tried in turn. */
async function invite(
  agent: Agent,
  task: string,
  { role, capabilities, agent: only }: Invite,
): Promise<Invited> {
  let refused = `nobody offers ${capabilities.join(', ')}`;
  const found = await agent.seek(capabilities);
  const members = new Set(
    domainsOf(agent)
      .find((domain) => domain.task === task)
      ?.members.map((member) => member.agent),
  );
  for (const { wit, ...candidate } of found) {
    if (wit === undefined || members.has(candidate.agentId)) continue;
    if (only !== undefined && candidate.agentId !== only) continue;
    try {
      await agent.meeting.invite(task, { ...candidate, wit } satisfies Candidate, role);
      return { role, agent: candidate.agentId };
    } catch (error) {
      refused = `${candidate.agentId}: ${messageOf(error)}`;
    }
  }
  return { role, refused };
}
