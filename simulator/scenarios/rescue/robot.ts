import type { Papers } from 'fealty';
import { Agent, nodePlatform } from 'fealty';
import { openTransport } from 'fealty/tpm';
import { ownersServer } from '../../../src/agent/trust.ts';
import type { Grant } from '../../../src/grants/index.ts';
import { mosquittoAuthorizer } from '../../../src/messaging/mosquitto.ts';
import { explain } from '../../../src/permissions/index.ts';
import { register } from '../../../src/registry/index.ts';
import { SoftwareTpm } from '../../tpm/index.ts';
import { serveActor } from '../actor.ts';
import type { Radio } from '../radio.ts';
import { radioOf } from '../radio.ts';
import type { Body } from './body.ts';
import { bodyOf, measurementsOf } from './body.ts';
import { domainMethods } from './robot-domains.ts';
import type { Loot } from './robot-loot.ts';
import { lootOf } from './robot-loot.ts';
import { ArmSteps, senseMethods } from './robot-senses.ts';
import { streamMethods } from './robot-streams.ts';
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
const steps = new ArmSteps();

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
      const height = self()
        .books.permissions.inputs.snapshot()
        .find((input) => input.key === key)?.value;
      steps.moved(height);
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

  /** How often its body was made to do something that was not on record. */
  unrecorded: async (): Promise<number> => witness?.unrecorded() ?? 0,
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
  /** What can be stolen from it. */
  loot: async (): Promise<Loot> => lootOf(self(), radio),

  ...domainMethods(self),
  // `tell` is there only once the methods are served.
  ...streamMethods(self, (event, data) => tell(event, data), steps),
  ...senseMethods(twin, steps),
};
/** What a robot's process can be asked. */
export type RobotMethods = typeof methods;

const { tell } = serveActor(methods, async () => {
  await agent?.close();
  await chip?.close();
});
