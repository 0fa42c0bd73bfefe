import type { Agent } from 'fealty';
import type { Arguments } from 'fealty/device';
import type { ConveneRequest } from '../../../src/agent/index.ts';
import { PermissionDenied } from '../../../src/permissions/index.ts';

/** What a robot can be asked to do in task domains: convene and end them, ask a peer, act itself. */
export function domainMethods(self: () => Agent) {
  return {
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
  };
}

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
