import { resolve } from 'node:path';
import type { AuditFault, AuditOk } from '../audit/auditor.ts';
import { showLog, traceLogs, verifyLog } from '../audit/auditor.ts';
import type { LogHead } from '../audit/index.ts';
import type { AuditRecord } from '../core/audit.ts';
import { readAuditFolder } from './audit-folder.ts';
import type { Command, Input, OptionDescription } from './command.ts';
import { flag, Misuse, text, whole } from './command.ts';
import { askAgent, stateFolder, stateOptions } from './state.ts';

const filterOptions = {
  kind: {
    type: 'string',
    value: 'KIND',
    describe: 'only decision, outcome, domain, revocation, configuration, …',
  },
  task: { type: 'string', value: 'TASK', describe: 'only what belongs to a task' },
  txn: { type: 'string', value: 'ID', describe: 'only one transaction' },
  resource: { type: 'string', value: 'NAME', describe: 'only one device or resource' },
  last: { type: 'string', value: 'N', describe: 'only the newest N' },
} as const satisfies Readonly<Record<string, OptionDescription>>;

/** `fealty audit verify`. */
export const auditVerify: Command = {
  arguments: '[DIR]',
  count: [0, 1],
  about:
    'Checks an audit log to the end: form, chain of hashes, and every checkpoint’s signature (an agent’s by its TPM, an authority’s by its\n' +
    'log key). An agent that runs is asked for a checkpoint and its head first. DIR is the folder of an agent or an authority, or a copy\n' +
    'of one. Exits 1 when a record is not what was written, and says which.',
  options: { ...stateOptions },
  examples: [
    ['audit verify', 'the agent whose fealty.json is here'],
    ['audit verify ./authority', 'an authority’s'],
    ['audit verify /tmp/rescue/vehicle --json', 'one of `fealty simulate rescue --keep /tmp/rescue`'],
  ],
  run: async (input, io) => {
    const folder = await folderOf(input);
    const witness = (await askAgent(folder, 'audit')) as LogHead | undefined;
    const result = await verified(folder, witness);
    if (flag(input, 'json')) io.json({ folder, ...result });
    else if (result.ok) {
      io.print(`The log verifies: ${result.records} records, ${result.checkpoints} checkpoints.`);
      io.print(
        `Proven by signature up to record ${result.proven}; ${result.records - result.proven} after it rest on the chain alone.`,
      );
      if (result.open.length > 0) io.print(`Without an outcome yet: ${result.open.join(', ')}`);
      if (result.head !== undefined) io.print(`Head: ${result.head.index} ${result.head.hash}`);
    } else io.print(`The log does NOT verify: record ${result.index}: ${result.why}`);
    return result.ok ? 0 : 1;
  },
};

/** `fealty audit show`. */
export const auditShow: Command = {
  arguments: '[DIR]',
  count: [0, 1],
  about: 'Reads an audit log, up to the first record that does not fit. Verify it first.',
  options: { ...filterOptions, ...stateOptions },
  examples: [
    ['audit show --last 20', 'the newest'],
    ['audit show ./authority --kind configuration --json', 'what the owner changed'],
  ],
  run: async (input, io) => {
    const { bytes } = await readAuditFolder(await folderOf(input));
    const records = showLog(bytes, filterOf(input));
    const last = whole(input, 'last', { min: 1, max: 1_000_000 }) ?? records.length;
    const shown = records.slice(-last);
    if (flag(input, 'json')) io.json(shown);
    else for (const record of shown) io.print(inWords(record));
    return 0;
  },
};

/** `fealty audit trace`. */
export const auditTrace: Command = {
  arguments: 'DIR…',
  count: [1, 256],
  about:
    'Follows one transaction or one task through the logs of several agents, in order of time. Verify the logs first.',
  options: {
    txn: { type: 'string', value: 'ID', describe: 'the transaction' },
    task: { type: 'string', value: 'TASK', describe: 'or the task' },
  },
  examples: [['audit trace ./dog/state ./vehicle/state --task rescue-7', 'who did what for a task']],
  run: async (input, io) => {
    const txn = text(input, 'txn');
    const task = text(input, 'task');
    if ((txn === undefined) === (task === undefined)) throw new Misuse('say --txn or --task');
    const logs: Record<string, Uint8Array> = {};
    for (const folder of input.positionals) logs[folder] = (await readAuditFolder(resolve(folder))).bytes;
    const steps = traceLogs(logs, txn === undefined ? { task: task ?? '' } : { txn });
    if (flag(input, 'json')) io.json(steps);
    else for (const { log, record } of steps) io.print(`${log}: ${inWords(record)}`);
    return 0;
  },
};

/** A log that grows while it is read may end in half a record: it is read again. */
async function verified(folder: string, witness: LogHead | undefined): Promise<AuditOk | AuditFault> {
  for (let attempt = 1; ; attempt++) {
    const { bytes, keys } = await readAuditFolder(folder);
    const result = verifyLog(bytes, { ...keys, witnesses: witness === undefined ? [] : [witness] });
    if (result.ok || witness === undefined || attempt === 3 || !result.why.includes('incomplete'))
      return result;
  }
}

async function folderOf(input: Input): Promise<string> {
  const [given] = input.positionals;
  return given === undefined ? await stateFolder(input) : resolve(given);
}

function filterOf(input: Input) {
  return {
    kind: text(input, 'kind'),
    task: text(input, 'task'),
    txn: text(input, 'txn'),
    resource: text(input, 'resource'),
  };
}

function inWords(record: AuditRecord): string {
  const { index, at, kind, agent, subject, resource, action, decision, cause, task } = record;
  const what = [resource, action].filter((one) => one !== undefined).join('.');
  return [
    `${String(index).padStart(6)}  ${new Date(at).toISOString()}  ${kind}`,
    decision,
    what === '' ? undefined : what,
    `by ${agent}`,
    subject === undefined ? undefined : `for ${subject}`,
    task === undefined ? undefined : `task ${task}`,
    cause === undefined ? undefined : `(${cause})`,
  ]
    .filter((one) => one !== undefined)
    .join('  ');
}
