import { existsSync } from 'node:fs';
import { BadConfiguration } from '../agent/index.ts';
import { showLog } from '../audit/auditor.ts';
import { readWholeLog } from '../audit/index.ts';
import { nodePlatform } from '../core/node.ts';
import { PledgeStore } from '../provisioning/pledge-state.ts';
import type { AgentStatus } from './agent-status.ts';
import type { Command, Io } from './command.ts';
import { flag } from './command.ts';
import { askAgent, stateFolder, stateOptions } from './state.ts';

/** `fealty status`. */
export const status: Command = {
  about:
    'What the agent on this machine is, holds and does: its identifier and credentials, link, devices, grants, task domains, what runs and\n' +
    'what was decided last. When it does not run, what its state folder tells.',
  options: { ...stateOptions },
  examples: [
    ['status', 'of the agent whose fealty.json is here'],
    ['status --state /var/lib/fealty --json', 'as data'],
  ],
  run: async (input, io) => {
    const folder = await stateFolder(input);
    const running = (await askAgent(folder, 'status')) as AgentStatus | undefined;
    const seen = running ?? (await stored(folder));
    if (flag(input, 'json')) io.json(seen);
    else show(seen, io);
    return 0;
  },
};

/** What the folder of an agent that does not run tells. */
async function stored(folder: string): Promise<AgentStatus> {
  // An empty store would read like a device that was never enrolled.
  if (!existsSync(folder)) throw new BadConfiguration(`there is no state folder \`${folder}\``);
  const { store } = nodePlatform({ directory: folder });
  const { state, credentials } = (await PledgeStore.open(store)).file;
  const records = showLog(await readWholeLog(store));
  const last = records.at(-1);
  return {
    running: false,
    agent: credentials?.agentId ?? null,
    state,
    ...(credentials === undefined ? {} : { notAfter: credentials.notAfter }),
    ...(last === undefined ? {} : { audit: { index: last.index } }),
  };
}

function show(seen: AgentStatus, io: Io): void {
  const time = (ms: number) => new Date(ms).toISOString();
  io.print(
    `${seen.agent ?? 'It has no identifier yet'}${seen.running ? `, runs (process ${seen.pid})` : ', does not run'}`,
  );
  if (seen.waiting !== undefined) io.print(`It waits: ${seen.waiting}`);
  io.print(
    `Credentials: ${seen.state}${seen.notAfter === undefined ? '' : `, until ${time(seen.notAfter)}`}`,
  );
  if (seen.authority !== undefined) io.print(`Authority: ${seen.authority}`);
  if (seen.broker !== undefined)
    io.print(`Broker: ${seen.broker}${seen.connected ? ', connected' : ', not connected'}`);
  if (seen.devices !== undefined) io.print(`Devices: ${seen.devices.join(', ') || 'none'}`);
  if (seen.grants !== undefined) io.print(`Grants: ${seen.grants.length === 0 ? 'none' : ''}`.trimEnd());
  for (const { device, subject, id } of seen.grants ?? []) io.print(`  ${device}  for ${subject}  ${id}`);
  for (const { task, mode, epoch, coordinates, members } of seen.domains ?? []) {
    io.print(`Domain of ${task}: ${mode}, epoch ${epoch}${coordinates ? ', coordinated here' : ''}`);
    for (const member of members) io.print(`  ${member.agent}  ${member.role}  ${member.mode}`);
  }
  for (const { device, action, by, id } of seen.actions ?? [])
    io.print(`Runs: ${device}.${action}  by ${by}  ${id}`);
  for (const { at, verdict, reason, device, action, id } of seen.recent ?? [])
    io.print(`${time(at)}  ${verdict} (${reason})  ${device}.${action}  ${id}`);
  if (seen.audit !== undefined) io.print(`Audit log: ${seen.audit.index} records`);
}
