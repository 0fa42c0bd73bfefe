import { resolve } from 'node:path';
import type { Answer } from '../agent/index.ts';
import { NotReady } from '../agent/index.ts';
import type { Json } from '../core/json.ts';
import { v } from '../core/schema.ts';
import { trustDomainOf } from '../identity/index.ts';
import type { Invited } from './agent-control.ts';
import type { AgentStatus, DomainStatus } from './agent-status.ts';
import type { Command, Input } from './command.ts';
import { flag, list, Misuse, need, text } from './command.ts';
import { durationOption } from './duration.ts';
import { readJsonFile } from './files.ts';
import { askAgent, stateFolder, stateOptions } from './state.ts';

const fileSchema = v.strictObject({
  task: v.optional(v.string()),
  mission: v.optional(v.string()),
  bounds: v.optional(v.looseObject({})),
  role: v.optional(v.string()),
  lifeS: v.optional(v.number()),
  invite: v.optional(
    v.array(
      v.strictObject({
        role: v.string(),
        capabilities: v.array(v.string()),
        agent: v.optional(v.string()),
      }),
    ),
  ),
});

/** `fealty domain convene`. */
export const domainConvene: Command = {
  arguments: 'TASK',
  count: [1, 1],
  about:
    'Opens a task domain at this console, which coordinates it, and invites who is needed: agents are found by what they can do. The group\n' +
    'grant comes from the authority and must be inside what the owner lets this console convene. Roles by --role carry no grants of their\n' +
    'own; a --file says everything: { "mission", "bounds": { "roles": … }, "invite": [{ "role", "capabilities" }] }.',
  options: {
    mission: { type: 'string', value: 'TEXT', describe: 'what the job is, for people and join policies' },
    role: {
      type: 'string',
      value: 'NAME=CAN,…',
      multiple: true,
      describe: 'a role, what it must be able to do, and one agent invited into it; repeat it',
    },
    file: { type: 'string', value: 'FILE', describe: 'bounds and invitations as JSON, instead of --role' },
    for: {
      type: 'string',
      value: 'TIME',
      describe: 'how long at most (default: 4 h, or what the owner allows)',
    },
    ...stateOptions,
  },
  examples: [
    [
      'domain convene rescue-7 --mission "Clear the way" --role scout=lidar --role carrier=arm.lift',
      'from the folder with the console’s fealty.json',
    ],
    ['domain convene rescue-7 --file rescue.json', 'with grants for each role'],
  ],
  run: async (input, io) => {
    const folder = await stateFolder(input);
    const request = await requestOf(input, folder);
    const made = (await ask(folder, 'convene', request)) as unknown as {
      readonly domain: string;
      readonly task: string;
      readonly invited: readonly Invited[];
    };
    if (flag(input, 'json')) io.json(made);
    else {
      io.print(`The domain of ${made.task} is open (${made.domain})`);
      for (const one of made.invited) io.print(invitedInWords(one));
    }
    return made.invited.every(({ refused }) => refused === undefined) ? 0 : 1;
  },
};

/** `fealty domain invite`. */
export const domainInvite: Command = {
  arguments: 'TASK ROLE',
  count: [2, 2],
  about: 'Invites one more agent into a role of a task domain that this console coordinates.',
  options: {
    can: { type: 'string', value: 'NAME', multiple: true, describe: 'what it must be able to do; repeat it' },
    agent: { type: 'string', value: 'ID', describe: 'only this agent' },
    ...stateOptions,
  },
  examples: [['domain invite rescue-7 scout --can lidar', 'whoever has a lidar']],
  run: async (input, io) => {
    const [task = '', role = ''] = input.positionals;
    const capabilities = [...list(input, 'can')];
    if (capabilities.length === 0) throw new Misuse('--can is needed: agents are found by what they can do');
    const agent = text(input, 'agent');
    const one = (await ask(await stateFolder(input), 'invite', {
      task,
      invite: { role, capabilities, ...(agent === undefined ? {} : { agent }) },
    })) as unknown as Invited;
    if (flag(input, 'json')) io.json(one);
    else io.print(invitedInWords(one));
    return one.refused === undefined ? 0 : 1;
  },
};

/** `fealty domain list`. */
export const domainList: Command = {
  about: 'The task domains this agent takes part in, with everybody in them and what each may do now.',
  options: { ...stateOptions },
  examples: [['domain list --json', 'as data']],
  run: async (input, io) => {
    const domains = (await ask(await stateFolder(input), 'domains')) as unknown as readonly DomainStatus[];
    if (flag(input, 'json')) io.json(domains);
    else {
      for (const { task, domain, mode, epoch, coordinates, members } of domains) {
        io.print(`${task}  ${mode}  epoch ${epoch}  ${domain}${coordinates ? '  coordinated here' : ''}`);
        for (const member of members) io.print(`  ${member.agent}  ${member.role}  ${member.mode}`);
      }
      if (domains.length === 0) io.print('It takes part in no domain.');
    }
    return 0;
  },
};

/** `fealty domain ask`. */
export const domainAsk: Command = {
  arguments: 'TASK AGENT DEVICE ACTION',
  count: [4, 4],
  about:
    'Asks another member of a task domain for an action on its device. It decides there, by what this agent’s role was assigned and by\n' +
    'what that agent was granted itself. Exits 1 when it is denied, with the decision’s identifier for `fealty why` there.',
  options: {
    arg: {
      type: 'string',
      value: 'NAME=VALUE',
      multiple: true,
      describe: 'an argument; numbers and true or false are taken as such; repeat it',
    },
    txn: { type: 'string', value: 'ID', describe: 'transaction identifier for the audit logs' },
    ...stateOptions,
  },
  examples: [
    [
      'domain ask rescue-7 spiffe://fleet.example/agent/vehicle rescue-vehicle lift-obstacle --arg height=1.2',
      'as the one whose fealty.json is here',
    ],
  ],
  run: async (input, io) => {
    const [task = '', agent = '', device = '', action = ''] = input.positionals;
    const txn = text(input, 'txn');
    const answer = (await ask(await stateFolder(input), 'ask', {
      task,
      agent,
      device,
      action,
      arguments: argumentsOf(list(input, 'arg')),
      ...(txn === undefined ? {} : { txn }),
    })) as unknown as Answer;
    if (flag(input, 'json')) io.json(answer);
    else
      io.print(
        answer.permitted
          ? `Permitted${answer.running ? ', and it runs' : ', and done'} (decision ${answer.decision})`
          : `Denied: ${answer.reason} (decision ${answer.decision})`,
      );
    return answer.permitted ? 0 : 1;
  },
};

/** `fealty domain evict`. */
export const domainEvict: Command = {
  arguments: 'TASK AGENT',
  count: [2, 2],
  about:
    'Throws a member out of a task domain that this console coordinates: it reads nothing further, and what it was assigned is gone.',
  options: {
    reason: { type: 'string', value: 'TEXT', describe: 'for the log of the domain' },
    ...stateOptions,
  },
  examples: [
    ['domain evict rescue-7 spiffe://fleet.example/agent/dog --reason "battery low"', 'the others go on'],
  ],
  run: async (input, io) => {
    const [task = '', agent = ''] = input.positionals;
    await ask(await stateFolder(input), 'evict', { task, agent, reason: need(input, 'reason') });
    if (flag(input, 'json')) io.json({ task, agent, evicted: true });
    else io.print(`${agent} is no member of ${task} any more.`);
    return 0;
  },
};

/** `fealty domain end`. */
export const domainEnd: Command = {
  arguments: 'TASK',
  count: [1, 1],
  about:
    'Ends a task domain that this console coordinates, and everything that was given for it: keys, assignments, tokens, rights at the broker.',
  options: {
    reason: { type: 'string', value: 'TEXT', describe: 'for the log of the domain (default: done)' },
    ...stateOptions,
  },
  examples: [['domain end rescue-7 --reason "the way is clear"', 'everybody’s']],
  run: async (input, io) => {
    const [task = ''] = input.positionals;
    await ask(await stateFolder(input), 'end', { task, reason: text(input, 'reason') ?? 'done' });
    if (flag(input, 'json')) io.json({ task, ended: true });
    else io.print(`The domain of ${task} has ended.`);
    return 0;
  },
};

/** Asks the agent, which must run. @throws {NotReady} */
async function ask(folder: string, name: string, argument: unknown = null): Promise<Json> {
  const answer = await askAgent(folder, name, argument as Json);
  if (answer === undefined) throw new NotReady('agent', `no agent runs with the state in \`${folder}\``);
  return answer;
}

async function requestOf(input: Input, folder: string): Promise<object> {
  const [task = ''] = input.positionals;
  const path = text(input, 'file');
  const roles = list(input, 'role');
  if ((path === undefined) === (roles.length === 0)) throw new Misuse('say --role or --file');
  const life = text(input, 'for');
  const lifeS = life === undefined ? undefined : Math.floor(durationOption('for', life) / 1000);
  const file =
    path === undefined ? {} : await readJsonFile(resolve(path), fileSchema, 'description of a task domain');
  if (file.task !== undefined && file.task !== task)
    throw new Misuse(`--file is for the task \`${file.task}\``);
  const mission = text(input, 'mission') ?? file.mission;
  if (mission === undefined) throw new Misuse('--mission is needed');
  const { agent } = (await ask(folder, 'status')) as unknown as AgentStatus;
  if (agent === null) throw new NotReady('credentials', 'the agent has not enrolled yet');
  const parsed = roles.map(roleOf);
  const trustDomains = [trustDomainOf(agent)];
  const limits = { trustDomains, posture: 'warning', assignLate: true, statusBoundS: 600 };
  return {
    task,
    mission,
    bounds:
      path === undefined
        ? {
            ...limits,
            maxMembers: Math.max(1, parsed.length),
            roles: Object.fromEntries(parsed.map(roleBounds)),
          }
        : { ...limits, maxMembers: seats(file.bounds), ...file.bounds },
    ...(file.role === undefined ? {} : { role: file.role }),
    ...((lifeS ?? file.lifeS) === undefined ? {} : { lifeS: lifeS ?? file.lifeS }),
    invite: file.invite ?? parsed,
  };
}

function roleOf(given: string): { readonly role: string; readonly capabilities: string[] } {
  const [, role = '', capabilities = ''] = /^([^=]+)=(.+)$/.exec(given) ?? [];
  if (role === '')
    throw new Misuse(`--role is a name and capabilities, for example scout=lidar, not \`${given}\``);
  return { role, capabilities: capabilities.split(',') };
}

function roleBounds({ role, capabilities }: ReturnType<typeof roleOf>) {
  return [role, { capabilities, authorization_details: [], max: 1 }] as const;
}

/** As many members as the roles have room for; a coordinator without a role is not counted (wire.md, group grant). */
function seats(bounds: Readonly<Record<string, unknown>> = {}): number {
  const roles = Object.values(
    (bounds['roles'] ?? {}) as Readonly<Record<string, { readonly max?: unknown }>>,
  );
  return Math.max(
    1,
    roles.reduce((sum, { max }) => sum + (typeof max === 'number' ? max : 1), 0),
  );
}

function argumentsOf(given: readonly string[]): Record<string, string | number | boolean> {
  return Object.fromEntries(
    given.map((one) => {
      const [, name = '', value = ''] = /^([^=]+)=(.*)$/s.exec(one) ?? [];
      if (name === '') throw new Misuse(`--arg is NAME=VALUE, not \`${one}\``);
      if (value === 'true' || value === 'false') return [name, value === 'true'] as const;
      return [name, value !== '' && Number.isFinite(Number(value)) ? Number(value) : value] as const;
    }),
  );
}

function invitedInWords({ role, agent, refused }: Invited): string {
  return refused === undefined ? `  ${role}: ${agent} joined` : `  ${role}: nobody joined (${refused})`;
}
