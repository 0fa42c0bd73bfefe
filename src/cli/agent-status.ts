import type { Agent } from '../agent/index.ts';
import { VERSION } from '../agent/index.ts';
import type { AgentConfig } from './config.ts';

/** What an agent is, holds and does, as `fealty status` shows it. */
export interface AgentStatus {
  readonly running: boolean;
  readonly pid?: number | undefined;
  readonly version?: string | undefined;
  readonly agent: string | null;
  /** Life of the credential. */
  readonly state: string;
  /** End of the credentials, milliseconds since 1970. */
  readonly notAfter?: number | undefined;
  readonly authority?: string | undefined;
  readonly broker?: string | undefined;
  /** Whether the link to the broker stands. */
  readonly connected?: boolean | undefined;
  readonly devices?: readonly string[] | undefined;
  /** Grants that are held, by identifier. */
  readonly grants?:
    | readonly { readonly id: string; readonly subject: string; readonly device: string }[]
    | undefined;
  readonly domains?: readonly DomainStatus[] | undefined;
  /** Actions that run now. */
  readonly actions?: readonly DecisionLine[] | undefined;
  /** Newest decisions, oldest first. */
  readonly recent?: readonly DecisionLine[] | undefined;
  /** Head of the audit log; its hash when the agent runs. */
  readonly audit?: { readonly index: number; readonly hash?: string | undefined } | undefined;
  /** What is waited for, when it is not ready. */
  readonly waiting?: string | undefined;
}

/** A task domain, as one member sees it. */
export interface DomainStatus {
  readonly task: string;
  readonly domain: string;
  readonly mode: string;
  readonly epoch: number;
  /** Whether this agent coordinates it. */
  readonly coordinates: boolean;
  readonly members: readonly { readonly agent: string; readonly role: string; readonly mode: string }[];
}

/** One decision in a line. */
export interface DecisionLine {
  readonly id: string;
  readonly verdict: string;
  readonly reason: string;
  readonly device: string;
  readonly action: string;
  readonly by: string;
  readonly at: number;
}

/** The status of a running agent; before it opened its TPM there is none. */
export function statusOf(
  config: AgentConfig,
  agent: Agent | undefined,
  waiting: string | undefined,
): AgentStatus {
  const ready = agent !== undefined && isEnrolled(agent);
  return {
    running: true,
    pid: process.pid,
    version: VERSION,
    agent: agent?.id ?? null,
    state: agent?.state ?? 'shipped',
    authority: config.authority,
    waiting,
    ...(ready ? holdings(agent, config) : {}),
  };
}

/** The domains of an agent. */
export function domainsOf(agent: Agent): readonly DomainStatus[] {
  const convened = isConnected(agent) ? agent.meeting.convened : [];
  return agent.memberships.map((membership) => ({
    task: membership.task,
    domain: membership.domain,
    mode: membership.mode,
    epoch: membership.epoch,
    coordinates: convened.includes(membership.task),
    members: membership.roster().map(({ agentId, role, mode }) => ({ agent: agentId, role, mode })),
  }));
}

/** Newest decisions of an agent, oldest first. */
export function recentOf(agent: Agent, most: number): readonly DecisionLine[] {
  return agent.books.permissions.pep.recent().slice(-most).map(line);
}

function holdings(agent: Agent, config: AgentConfig): Partial<AgentStatus> {
  const { credentials } = agent.enrolled;
  const { permissions, audit } = agent.books;
  return {
    notAfter: credentials.notAfter,
    broker: config.broker ?? credentials.endpoints.broker,
    connected: isConnected(agent) && agent.meeting.link.connected,
    devices: permissions.devices.descriptions.map(({ name }) => name),
    grants: permissions.pdp.held().map(({ id, subject, grant }) => ({
      id,
      subject,
      device: `${grant.device}: ${grant.actions.join(', ')}`,
    })),
    domains: domainsOf(agent),
    actions: permissions.pep.running().map(line),
    recent: recentOf(agent, 10),
    audit: audit.head(),
  };
}

function line(decision: ReturnType<Agent['books']['permissions']['pep']['recent']>[number]): DecisionLine {
  const { id, verdict, reason, request, at } = decision;
  const { device, action, subjects } = request;
  return { id, verdict, reason, device, action, by: subjects.join(', for '), at };
}

/** Whether it has credentials. */
export function isEnrolled(agent: Agent): boolean {
  return has(() => agent.books);
}

function isConnected(agent: Agent): boolean {
  return has(() => agent.meeting);
}

/** What an agent has not got yet is an error to ask for. */
function has(ask: () => unknown): boolean {
  try {
    ask();
    return true;
  } catch {
    return false;
  }
}
