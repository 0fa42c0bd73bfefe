import { resolve } from 'node:path';
import { readOwnerDetails } from '../authority/owner.ts';
import { FealtyError, messageOf } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import { v } from '../core/schema.ts';
import type { Condition, Grant } from '../grants/index.ts';
import { ACTION_DETAILS, parseCondition, writeCondition } from '../grants/index.ts';
import { isAgentId } from '../identity/index.ts';
import type { ConveneGrant } from '../tokens/claims.ts';
import type { SubjectIdentifier } from '../tokens/issuer.ts';
import type { Command, Input, OptionDescription } from './command.ts';
import { flag, list, Misuse, need, text } from './command.ts';
import { durationOption } from './duration.ts';
import { readJsonFile } from './files.ts';
import { openOwner, ownerOptions } from './owner.ts';

const detailsSchema = v.union([
  v.array(v.looseObject({ type: v.string() })),
  v.looseObject({ type: v.string() }),
]);

const subjectOptions = {
  id: { type: 'string', value: 'ID', describe: 'one grant, by the identifier that grant list shows' },
  task: { type: 'string', value: 'TASK', describe: 'everything given for a task' },
  group: { type: 'string', value: 'JTI', describe: 'everything given under one group grant' },
  client: { type: 'string', value: 'ID', describe: 'everything an agent has' },
  device: { type: 'string', value: 'ID#NAME', describe: 'everything about one device of an agent' },
  owner: { type: 'boolean', describe: 'everything this owner has given, everywhere' },
} as const satisfies Readonly<Record<string, OptionDescription>>;

/** `fealty grant add`. */
export const grantAdd: Command = {
  about:
    'Lets an agent ask for tokens. What it may do is said by --details (an authorization_details object, or a list of them: actions on\n' +
    'devices, or the right to convene task domains), or by --device and --action. It gives no token by itself: the agent asks for one,\n' +
    'bound to its own key, and gets at most this.',
  options: {
    client: { type: 'string', value: 'ID', describe: 'the agent that is granted it' },
    details: { type: 'string', value: 'FILE|JSON', describe: 'authorization details, as a file or as JSON' },
    device: { type: 'string', value: 'NAME', describe: 'device, instead of --details' },
    action: { type: 'string', value: 'NAME', multiple: true, describe: 'action of that device; repeat it' },
    at: {
      type: 'string',
      value: 'ID',
      multiple: true,
      describe: 'agent that has the device; repeat it (default: the client itself)',
    },
    task: { type: 'string', value: 'TASK', describe: 'the task it is for: gone when the task ends' },
    for: {
      type: 'string',
      value: 'TIME',
      describe: 'how long it is good, for example `8 h` (default: until revoked)',
    },
    when: {
      type: 'string',
      value: 'CONDITION',
      describe:
        'condition as text, for example \'domain("rescue-7", "actuate")\'; added to one that is there',
    },
    ...ownerOptions,
  },
  examples: [
    [
      'grant add --client spiffe://fleet.example/agent/dog --device robot-dog --action walk --when \'domain("rescue-7")\' --task rescue-7',
      'the dog may walk while it is part of the task',
    ],
    [
      'grant add --client spiffe://fleet.example/agent/console --details convene.json',
      'the console may convene',
    ],
  ],
  run: async (input, io) => {
    const client = agentIn('client', need(input, 'client'));
    const owner = await openOwner(input);
    const details = await detailsIn(input, client, Math.floor(owner.platform.clock.now() / 1000));
    const ids = await owner.client.addGrants(client, details);
    if (flag(input, 'json')) io.json({ client, grants: ids.map((id, at) => ({ id, ...details[at] })) });
    else for (const [at, id] of ids.entries()) io.print(`${id}  ${client} ${inWords(details[at])}`);
    return 0;
  },
};

/** `fealty grant list`. */
export const grantList: Command = {
  about: 'What the owner has granted, revoked grants included.',
  options: { client: { type: 'string', value: 'ID', describe: 'only that agent’s' }, ...ownerOptions },
  examples: [
    ['grant list', 'everything'],
    ['grant list --client spiffe://fleet.example/agent/dog --json', 'one agent’s, as data'],
  ],
  run: async (input, io) => {
    const { client } = await openOwner(input);
    const grants = await client.grants(text(input, 'client'));
    if (flag(input, 'json')) io.json(grants);
    else {
      for (const { id, client: whom, authorization_details, createdAt, revoked } of grants)
        io.print(
          `${id}  ${new Date(createdAt).toISOString()}  ${whom} ${inWords(authorization_details as object as Grant)}${revoked ? '  (revoked)' : ''}`,
        );
      if (grants.length === 0) io.print('Nothing is granted.');
    }
    return 0;
  },
};

/** `fealty grant revoke`. */
export const grantRevoke: Command = {
  about:
    'Takes back, in one call: one grant, or everything of a task, a group, an agent, a device, or of the owner. Tokens, what was exchanged\n' +
    'from them, and renewals end with it; what runs under them stops as soon as the news arrives, at the latest when the status is stale.\n' +
    'Nothing is issued for it again before `fealty grant reopen`.',
  options: {
    ...subjectOptions,
    reason: { type: 'string', value: 'TEXT', describe: 'for the audit log (default: asked by the owner)' },
    ...ownerOptions,
  },
  examples: [
    ['grant revoke --task rescue-7 --reason "the site is cleared"', 'everything of a task'],
    ['grant revoke --client spiffe://fleet.example/agent/dog', 'everything an agent has'],
    ['grant revoke --owner', 'everything'],
  ],
  run: async (input, io) => {
    const subject = subjectIn(input);
    const { client } = await openOwner(input);
    const reason = text(input, 'reason');
    const tokens =
      subject.format === 'fealty/grant' ? await client.revokeGrant(subject.id, reason) : undefined;
    if (tokens === undefined) await client.revokeAll(subject, reason);
    if (flag(input, 'json')) io.json({ revoked: subject, ...(tokens === undefined ? {} : { tokens }) });
    else
      io.print(`Revoked${tokens === undefined ? '' : `, with ${tokens} token${tokens === 1 ? '' : 's'}`}.`);
    return 0;
  },
};

/** `fealty grant reopen`. */
export const grantReopen: Command = {
  about: 'Lets tokens be issued again for what was revoked. What was revoked stays revoked: agents ask anew.',
  options: { ...subjectOptions, ...ownerOptions },
  examples: [['grant reopen --client spiffe://fleet.example/agent/dog', 'the dog was found again']],
  run: async (input, io) => {
    const subject = subjectIn(input);
    const { client } = await openOwner(input);
    const reopened = await client.reopen(subject);
    if (flag(input, 'json')) io.json({ subject, reopened });
    else io.print(reopened ? 'Reopened.' : 'It was not closed.');
    return 0;
  },
};

/** What the person means by the options of a revocation. @throws {Misuse} */
function subjectIn(input: Input): SubjectIdentifier {
  const given = Object.keys(subjectOptions).filter((name) => input.values[name] !== undefined);
  const [name, ...more] = given;
  if (name === undefined || more.length > 0)
    throw new Misuse(
      `say what, by one of ${Object.keys(subjectOptions)
        .map((one) => `--${one}`)
        .join(', ')}`,
    );
  const value = text(input, name) ?? '';
  switch (name) {
    case 'owner':
      return { format: 'fealty/owner' };
    case 'client':
      return { format: 'fealty/client', uri: agentIn(name, value) };
    case 'device': {
      const [uri = '', device = ''] = value.split('#');
      return { format: 'fealty/device', uri: agentIn(name, uri), device };
    }
    case 'task':
      return { format: 'fealty/task', id: value };
    case 'group':
      return { format: 'fealty/group', id: value };
    default:
      return { format: 'fealty/grant', id: value };
  }
}

/** What is to be granted. @throws {Misuse} @throws {BadFile} */
async function detailsIn(
  input: Input,
  client: string,
  nowS: number,
): Promise<readonly (Grant | ConveneGrant)[]> {
  const given = text(input, 'details');
  const device = text(input, 'device');
  if ((given === undefined) === (device === undefined))
    throw new Misuse('--details, or --device and --action');
  const raw = given === undefined ? fromOptions(input, client, device ?? '') : await parsedDetails(given);
  const life = text(input, 'for');
  const until = life === undefined ? undefined : nowS + Math.floor(durationOption('for', life) / 1000);
  const condition = conditionIn(input);
  return raw.map((one) => {
    try {
      const read = readOwnerDetails(one);
      if (read.type !== ACTION_DETAILS) {
        if (condition !== undefined) throw new Misuse('--when is for actions, not for the right to convene');
        return until === undefined ? read : { ...read, until: Math.min(until, read.until ?? until) };
      }
      return readOwnerDetails({
        ...read,
        ...(condition === undefined ? {} : { condition: both(read.condition, condition) }),
        ...(until === undefined ? {} : { until: Math.min(until, read.until ?? until) }),
      });
    } catch (cause) {
      if (cause instanceof FealtyError) throw new Misuse(cause.message, { cause });
      throw cause;
    }
  });
}

function fromOptions(input: Input, client: string, device: string): readonly { readonly type: string }[] {
  const actions = list(input, 'action');
  if (actions.length === 0) throw new Misuse('--action is needed');
  const at = list(input, 'at');
  const task = text(input, 'task');
  return [
    {
      type: ACTION_DETAILS,
      locations: at.length > 0 ? at.map((one) => agentIn('at', one)) : [client],
      device,
      actions: [...actions],
      ...(task === undefined ? {} : { task }),
    } as { readonly type: string },
  ];
}

async function parsedDetails(given: string): Promise<readonly { readonly type: string }[]> {
  if (!/^\s*[[{]/.test(given))
    return asList(await readJsonFile(resolve(given), detailsSchema, 'authorization details'));
  const parsed = v.safeParse(detailsSchema, jsonOf(given));
  if (!parsed.success) throw new Misuse('--details is an authorization_details object, or a list of them');
  return asList(parsed.output);
}

function asList<T>(value: T | T[]): readonly T[] {
  return Array.isArray(value) ? value : [value];
}

function jsonOf(given: string): unknown {
  try {
    return parseJson(given, { maxBytes: 1 << 20 });
  } catch (cause) {
    throw new Misuse(`--details: ${messageOf(cause)}`, { cause });
  }
}

function conditionIn(input: Input): Condition | undefined {
  const given = text(input, 'when');
  if (given === undefined) return undefined;
  try {
    return parseCondition(given);
  } catch (cause) {
    throw new Misuse(`--when: ${messageOf(cause)}`, { cause });
  }
}

function both(first: Condition | undefined, second: Condition): Condition {
  if (first === undefined) return second;
  const parts = (one: Condition) => (one.op === 'and' ? one.of : [one]);
  return { op: 'and', of: [...parts(first), ...parts(second)] };
}

function agentIn(option: string, value: string): string {
  if (!isAgentId(value))
    throw new Misuse(
      `--${option} is an identifier such as \`spiffe://fleet.example/agent/dog\`, not \`${value}\``,
    );
  return value;
}

/** A grant in one line. */
function inWords(details: Grant | ConveneGrant | undefined): string {
  if (details === undefined) return '';
  if (details.type !== ACTION_DETAILS)
    return `may convene up to ${details.maxMembers} of ${details.trustDomains.join(', ')}`;
  const { device, actions, locations, task, condition, until } = details;
  return [
    `may ${actions.join(', ')} with ${device} at ${locations.join(', ')}`,
    task === undefined ? '' : ` for ${task}`,
    condition === undefined ? '' : ` when ${writeCondition(condition)}`,
    until === undefined ? '' : ` until ${new Date(until * 1000).toISOString()}`,
  ].join('');
}
