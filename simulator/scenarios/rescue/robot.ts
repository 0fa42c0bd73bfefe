import type { Papers } from 'fealty';
import { Agent, nodePlatform } from 'fealty';
import type { Arguments, Position } from 'fealty/device';
import { openTransport } from 'fealty/tpm';
import type { ConveneRequest } from '../../../src/agent/index.ts';
import { ownersServer } from '../../../src/agent/trust.ts';
import { base64url } from '../../../src/core/bytes.ts';
import { pemOfKey } from '../../../src/core/signer.ts';
import type { Grant } from '../../../src/grants/index.ts';
import { multicastTopic } from '../../../src/messaging/index.ts';
import { mosquittoAuthorizer } from '../../../src/messaging/mosquitto.ts';
import { explain, PermissionDenied } from '../../../src/permissions/index.ts';
import { register } from '../../../src/registry/index.ts';
import { SoftwareTpm } from '../../tpm/index.ts';
import { serveActor } from '../actor.ts';
import type { Radio } from '../radio.ts';
import { radioOf } from '../radio.ts';
import type { Body } from './body.ts';
import { bodyOf, measurementsOf } from './body.ts';
import type { Witnessed } from './witness.ts';
import { witnessed } from './witness.ts';
import type { RobotName } from './words.ts';
import { ROBOTS } from './words.ts';

/** How a robot's process is started. */
export interface RobotStart {
  readonly robot: RobotName;
  readonly directory: string;
  readonly authority: string;
  /** `software`: a software TPM in this process, from the folder; else where swtpm listens. */
  readonly tpm: string;
  readonly papers: Papers;
  readonly broker: 'embedded' | 'mosquitto';
}

let agent: Agent | undefined;
let radio: Radio | undefined;
let chip: SoftwareTpm | undefined;
let body: Body | undefined;
let witness: Witnessed | undefined;
const heard = new Map<string, number>();
/** Sealed messages that the broker delivered, by filter, whether they can be opened or not. */
const delivered = new Map<string, number>();
/** Steps the arm made since a peer said that the way is not clear. */
let stepsSinceObstacle: number | undefined;
let height: unknown;

const self = () => {
  if (agent === undefined) throw new Error('not started');
  return agent;
};
const twin = () => {
  if (body?.twin === undefined) throw new Error('no body');
  return body.twin;
};

/** A robot, vehicle or console: the real agent in a process of its own, with a twin for a body. */
const methods = {
  start: async (start: RobotStart): Promise<void> => {
    const platform = nodePlatform({ directory: start.directory });
    radio = radioOf(platform.network);
    body = bodyOf(start.robot);
    if (start.tpm === 'software')
      chip = await SoftwareTpm.create({
        random: platform.random,
        clock: platform.clock,
        store: nodePlatform({ directory: `${start.directory}/tpm` }).store,
      });
    witness = body.twin === undefined ? undefined : witnessed(body.twin, platform.store);
    const warn = (message: string, fields?: Readonly<Record<string, unknown>>) =>
      tell('warned', { message, fields: { ...fields } });
    const machine = { ...platform, network: radio, log: { debug: () => {}, info: () => {}, warn } };
    agent = await Agent.open({
      platform: machine,
      transport: chip ?? openTransport(start.tpm),
      papers: start.papers,
      authority: start.authority,
      devices: witness === undefined ? [] : [witness.device],
      title: ROBOTS[start.robot].model,
      houseRules: body.houseRules,
      streams: body.streams,
      measurements: await measurementsOf(start.robot),
      ...(start.broker === 'mosquitto'
        ? { brokerRights: (link, slug) => mosquittoAuthorizer(link, slug, machine) }
        : {}),
    });
    agent.on('refused', (check, from) => tell('refused', { check, from }));
    agent.on('failed', (what, reason) => tell('failed', { what, reason }));
    agent.on('joined', (task, domain) => tell('joined', { task, domain }));
    agent.on('left', (task, reason) => tell('left', { task, reason }));
    agent.on('denied', (decision) =>
      tell('denied', { id: decision.id, reason: decision.reason, lines: explain(decision).split('\n') }),
    );
    agent.on('ended', (decision, end) => {
      tell('ended', {
        id: decision.id,
        cause: end.cause,
        reason: end.cause === 'withdrawn' ? end.decision.reason : end.cause,
        lines: end.cause === 'withdrawn' ? explain(end.decision).split('\n') : [],
      });
    });
  },

  enrol: async (): Promise<{ agentId: string; slug: string; notAfter: number }> => {
    const { agentId, slug, notAfter } = await self().enrol();
    self().books.permissions.inputs.onChange((key) => {
      if (!key.endsWith('/property/arm-height')) return;
      const now = self()
        .books.permissions.inputs.snapshot()
        .find((input) => input.key === key)?.value;
      if (now !== height && stepsSinceObstacle !== undefined) stepsSinceObstacle++;
      height = now;
    });
    await self().sync();
    return { agentId, slug, notAfter };
  },

  register: async (): Promise<{ until: number }> => ({ until: await self().register() }),

  /** Tells the registry of capabilities, whatever the authority signed. */
  boast: async ({ capabilities }: { capabilities: readonly string[] }): Promise<void> => {
    const { credentials, keys } = self().enrolled;
    const platform = nodePlatform({ directory: '.' });
    const { authority } = credentials.endpoints;
    const tls = { verifyPeer: ownersServer(credentials, authority, platform.clock) };
    await register(platform, { authority, tls }, { credentials, signer: keys.credential, capabilities });
  },

  authorize: async (request: {
    details: readonly Grant[];
    function?: string;
  }): Promise<{ id: string; key: string; details: readonly Grant[]; expiresAt: number }> => {
    const token = await self().authorize({
      authorizationDetails: request.details,
      function: request.function,
    });
    return {
      id: token.id,
      key: token.key.kid,
      details: token.authorizationDetails,
      expiresAt: token.expiresAt,
    };
  },

  connect: async (): Promise<void> => {
    await self().connect();
    const { link } = self().meeting;
    link.on('refused', (kind, topic) =>
      tell('warned', { message: `the broker refuses a ${kind}`, fields: { topic } }),
    );
    link.on('lost', (reason) => tell('warned', { message: 'link lost', fields: { reason } }));
    link.on('connected', (count) => tell('warned', { message: 'link connected', fields: { count } }));
  },

  /** Makes accounts at a Mosquitto (the console administers it). */
  enrolAtBroker: async ({ slugs }: { slugs: readonly string[] }): Promise<void> => {
    const platform = nodePlatform({ directory: '.' });
    const { credentials } = self().enrolled;
    const accounts = await mosquittoAuthorizer(self().meeting.link, credentials.slug, platform);
    for (const slug of slugs) await accounts.enrol(slug);
    await accounts.close();
  },

  seek: async ({ capabilities }: { capabilities: readonly string[] }): Promise<readonly string[]> =>
    (await self().seek(capabilities)).map(({ agentId }) => agentId),

  convene: async (request: ConveneRequest): Promise<{ domain: string }> => ({
    domain: await self().convene(request),
  }),

  /** Finds by capability and invites. */
  invite: async (wanted: {
    task: string;
    capabilities: readonly string[];
    role: string;
  }): Promise<string> => {
    const [found] = await self().seek(wanted.capabilities);
    if (found?.wit === undefined) throw new Error(`nobody offers ${wanted.capabilities.join(', ')}`);
    await self().meeting.invite(wanted.task, { ...found, wit: found.wit }, wanted.role);
    return found.agentId;
  },

  evict: async ({
    task,
    agentId,
    reason,
  }: {
    task: string;
    agentId: string;
    reason: string;
  }): Promise<void> => {
    await self().meeting.evict(task, agentId, reason);
  },

  end: async ({ task, reason }: { task: string; reason: string }): Promise<void> => {
    await self().meeting.end(task, reason);
  },

  ask: async (request: {
    task: string;
    agentId: string;
    device: string;
    action: string;
    arguments: Arguments;
    txn: string;
  }): Promise<{ permitted: boolean; decision: string; reason: string; running: boolean }> => {
    const { task, agentId, ...ask } = request;
    return await self().ask(task, agentId, ask);
  },

  /** Acts by itself, in its own name. */
  act: async (request: {
    task: string;
    device: string;
    action: string;
    arguments: Arguments;
    txn: string;
  }): Promise<{ permitted: boolean; reason: string }> => {
    try {
      const { decision } = await self().act(request);
      return { permitted: true, reason: decision.reason };
    } catch (error) {
      if (!(error instanceof PermissionDenied)) throw error;
      return { permitted: false, reason: error.decision.reason };
    }
  },
  /** How often its body was made to do something that was not on record. */
  unrecorded: async (): Promise<number> => witness?.unrecorded() ?? 0,

  /** What it is part of, and holds for it. */
  holdings: async ({ task }: { task: string }): Promise<Holdings> => {
    const { permissions } = self().books;
    const membership = self().memberships.find((one) => one.task === task);
    return {
      mode: membership?.mode ?? 'ended',
      epoch: membership?.epoch ?? 0,
      members: membership?.roster().map(({ agentId, role }) => `${agentId} ${role}`) ?? [],
      grants: permissions.pdp.held().filter(({ grant }) => grant.task === task).length,
      running: permissions.pep.running().length,
    };
  },

  /** From now on counts what it hears on a stream of a task, and tells of it. */
  listen: async ({ task, stream }: { task: string; stream: string }): Promise<void> => {
    const membership = self().memberships.find((one) => one.task === task);
    await membership?.subscribe(stream, (said, from) => {
      const key = `${task}/${stream}`;
      heard.set(key, (heard.get(key) ?? 0) + 1);
      if (
        stream === 'lidar' &&
        (said as { properties?: { 'lidar-clear'?: unknown } }).properties?.['lidar-clear'] === false
      )
        stepsSinceObstacle ??= 0;
      tell('heard', { task, stream, from });
    });
  },

  heard: async ({ task, stream }: { task: string; stream: string }): Promise<number> =>
    heard.get(`${task}/${stream}`) ?? 0,

  say: async ({ task, stream, text }: { task: string; stream: string; text: string }): Promise<void> => {
    const membership = self().memberships.find((one) => one.task === task);
    if (membership === undefined) throw new Error(`no member of ${task}`);
    await membership.publish(stream, { text }, { control: true });
  },

  /** From now on counts what the broker delivers of a stream of a peer, beside the membership and whatever it does. */
  tap: async ({ domain, slug, stream }: { domain: string; slug: string; stream: string }): Promise<void> => {
    const topic = multicastTopic(domain, slug, stream);
    delivered.set(topic, 0);
    await self().meeting.link.subscribe(topic, () => {
      delivered.set(topic, (delivered.get(topic) ?? 0) + 1);
    });
  },
  tapped: async ({
    domain,
    slug,
    stream,
  }: {
    domain: string;
    slug: string;
    stream: string;
  }): Promise<number> => delivered.get(multicastTopic(domain, slug, stream)) ?? 0,

  /** Copies the next sealed message of a peer, as a broker could. */
  capture: async ({
    domain,
    slug,
    stream,
  }: {
    domain: string;
    slug: string;
    stream: string;
  }): Promise<Uint8Array> =>
    await new Promise((resolve, reject) => {
      const { link } = self().meeting;
      link
        .subscribe(multicastTopic(domain, slug, stream), ({ payload }) => resolve(payload.slice()))
        .catch(reject);
    }),

  sense: async (sensed: { property: string; value: string | number | boolean | Position }): Promise<void> => {
    if (sensed.property === 'lidar-clear') stepsSinceObstacle = undefined;
    twin().sense(sensed.property, sensed.value);
  },
  /** Steps of the arm since the last report of an obstacle; `undefined` when there was none. */
  steps: async (): Promise<number | undefined> => stepsSinceObstacle,
  resetSteps: async (): Promise<void> => {
    stepsSinceObstacle = undefined;
  },
  happen: async ({ event }: { event: string }): Promise<void> => {
    twin().happen(event, { distance: 1 });
  },
  mute: async ({ silent }: { silent: boolean }): Promise<void> => {
    twin().mute(silent);
  },
  journal: async (): Promise<readonly { at: string; action: string }[]> => twin().journal,
  radio: async ({ on }: { on: boolean }): Promise<void> => {
    if (on) radio?.on();
    else radio?.off();
  },
  /** Whether the link to the broker stands. */
  online: async (): Promise<boolean> => self().meeting.link.connected,
  sync: async (): Promise<void> => {
    await self().sync();
  },
  checkpoint: async (): Promise<void> => {
    await self().books.audit.checkpoint();
  },

  /**
   * What a thief copies who can read the disk, the wire and the memory: certificates, tokens, short-lived keys, the
   * enrolment request. What he cannot copy is in the TPM.
   */
  loot: async (): Promise<Loot> => {
    const { credentials, keys } = self().enrolled;
    const software = (key: unknown) => pemOfKey(key as Parameters<typeof pemOfKey>[0]);
    const begin = radio?.sent.find(({ url }) => url.endsWith('/begin'))?.body;
    return {
      credentials: structuredClone(credentials),
      credential: software(keys.credential),
      tls: software(keys.tls),
      lobby: software(keys.lobby),
      begin: base64url(begin ?? new Uint8Array()),
    };
  },
};
/** What a robot's process can be asked. */
export type RobotMethods = typeof methods;

/** What a robot holds for a task. */
export interface Holdings {
  readonly mode: string;
  readonly epoch: number;
  readonly members: readonly string[];
  /** Grants in its decision point. */
  readonly grants: number;
  /** Actions that run, of any task. */
  readonly running: number;
}

/** What can be stolen from a robot without its TPM. */
export interface Loot {
  readonly credentials: import('../../../src/identity/index.ts').Credentials;
  /** PKCS #8 PEM. */
  readonly credential: string;
  readonly tls: string;
  readonly lobby: string;
  /** The body of its enrolment request, base64url. */
  readonly begin: string;
}

const { tell } = serveActor(methods, async () => {
  await agent?.close();
  await chip?.close();
});
