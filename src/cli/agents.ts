import type { Command } from './command.ts';
import { flag, text } from './command.ts';
import { openOwner, ownerOptions } from './owner.ts';

/** `fealty agents list`. */
export const agentsList: Command = {
  about: 'The agents that enrolled, with what they can do and when they last showed that they are well.',
  options: { ...ownerOptions },
  examples: [['agents list', 'every agent of the owner']],
  run: async (input, io) => {
    const { client } = await openOwner(input);
    const agents = await client.agents();
    if (flag(input, 'json')) io.json(agents);
    else {
      for (const { agentId, maker, model, serial, capabilities, status, renewedAt } of agents)
        io.print(
          `${agentId}  ${status}  ${model} ${serial} of ${maker}  renewed ${new Date(renewedAt).toISOString()}` +
            (capabilities.length > 0 ? `  can ${capabilities.join(', ')}` : ''),
        );
      if (agents.length === 0) io.print('No agent has enrolled.');
    }
    return 0;
  },
};

/** `fealty agents revoke`. */
export const agentsRevoke: Command = {
  arguments: 'ID',
  count: [1, 1],
  about:
    'Ends everything an agent has and will have: its tokens, its renewals, its entry in the registry. It is refused until it is removed\n' +
    'here and a person releases it there.',
  options: {
    reason: { type: 'string', value: 'TEXT', describe: 'for the audit log (default: asked by the owner)' },
    ...ownerOptions,
  },
  examples: [['agents revoke spiffe://fleet.example/agent/dog --reason stolen', 'a stolen robot']],
  run: async (input, io) => {
    const [agent = ''] = input.positionals;
    const { client } = await openOwner(input);
    const tokens = await client.revokeAgent(agent, text(input, 'reason'));
    if (flag(input, 'json')) io.json({ agent, tokens });
    else io.print(`${agent} is revoked, with ${tokens} token${tokens === 1 ? '' : 's'}.`);
    return 0;
  },
};

/** `fealty agents remove`. */
export const agentsRemove: Command = {
  arguments: 'ID',
  count: [1, 1],
  about: 'Forgets a device, so that it may enrol anew: after its TPM was cleared, or when it is sold.',
  options: { ...ownerOptions },
  examples: [['agents remove spiffe://fleet.example/agent/dog', 'it may enrol anew']],
  run: async (input, io) => {
    const [agent = ''] = input.positionals;
    const { client } = await openOwner(input);
    await client.removeAgent(agent);
    if (flag(input, 'json')) io.json({ agent, removed: true });
    else io.print(`${agent} is forgotten.`);
    return 0;
  },
};
