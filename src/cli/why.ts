import type { AuditRecord } from '../core/audit.ts';
import { OUTCOME } from '../core/audit-intent.ts';
import type { Arguments } from '../grants/index.ts';
import type { Reason } from '../permissions/decision.ts';
import { messages } from '../permissions/decision.ts';
import type { Decision, Explanation } from '../permissions/index.ts';
import { explain } from '../permissions/index.ts';
import type { DecisionLine } from './agent-status.ts';
import { recordsIn } from './audit-folder.ts';
import type { Command, Input, Io } from './command.ts';
import { flag } from './command.ts';
import { askAgent, stateFolder, stateOptions } from './state.ts';

/** `fealty why`. */
export const why: Command = {
  arguments: '[ID]',
  count: [0, 1],
  about:
    'Why an action was permitted or denied: what was asked, the rule, and the tree of its conditions with the values and ages they had\n' +
    'then; and how it ended. Without an ID, the newest decisions. The audit log knows what a running agent has forgotten.',
  options: { ...stateOptions },
  examples: [
    ['why', 'the newest decisions, with their identifiers'],
    ['why 0123456789abcdef', 'one of them, explained'],
  ],
  run: async (input, io) => {
    const folder = await stateFolder(input);
    const [id] = input.positionals;
    return id === undefined ? await list(folder, input, io) : await explainOne(folder, id, input, io);
  },
};

async function list(folder: string, input: Input, io: Io): Promise<number> {
  const running = (await askAgent(folder, 'recent')) as readonly DecisionLine[] | undefined;
  const seen =
    running ??
    (await recordsIn(folder))
      .filter(({ kind }) => kind === 'decision')
      .slice(-256)
      .map(lineOf);
  if (flag(input, 'json')) io.json(seen);
  else {
    for (const { at, verdict, reason, device, action, id } of seen)
      io.print(`${new Date(at).toISOString()}  ${verdict} (${reason})  ${device}.${action}  ${id}`);
    if (seen.length === 0) io.print('Nothing was decided yet.');
  }
  return 0;
}

async function explainOne(folder: string, id: string, input: Input, io: Io): Promise<number> {
  const answer = (await askAgent(folder, 'why', { id })) as { readonly text: string | null } | undefined;
  const text = answer?.text ?? explainRecords(await recordsIn(folder), id);
  if (text === undefined) {
    io.note(`fealty: no decision has the identifier \`${id}\``);
    return 1;
  }
  if (flag(input, 'json')) io.json({ id, lines: text.split('\n') });
  else io.print(text);
  return 0;
}

/** A decision in the words of the record that was written before it took effect; `undefined` when there is none. */
export function explainRecords(records: readonly AuditRecord[], id: string): string | undefined {
  const record = records.find(({ kind, detail }) => kind === 'decision' && detail?.['id'] === id);
  if (record === undefined) return undefined;
  const outcome = records.find(({ kind, detail }) => kind === OUTCOME && detail?.['id'] === id);
  return outcome === undefined
    ? explain(decisionOf(record))
    : `${explain(decisionOf(record))}\nended: ${outcome.cause}`;
}

function decisionOf(record: AuditRecord): Decision {
  const { detail = {} } = record;
  const reason = String(detail['reason']) as Reason;
  const given = detail['arguments'];
  const tree = detail['explanation'];
  return {
    id: String(detail['id']),
    verdict: record.decision ?? 'deny',
    reason,
    message: Object.hasOwn(messages, reason) ? messages[reason] : reason,
    rule: typeof detail['rule'] === 'string' ? detail['rule'] : undefined,
    grants: [],
    request: {
      device: record.resource ?? '',
      action: record.action ?? '',
      arguments: (typeof given === 'object' && given !== null ? given : {}) as Arguments,
      subjects: [record.agent, ...(record.subject?.split(' ') ?? [])],
      task: record.task,
    },
    risk: 'info',
    safe: false,
    at: record.at,
    explanation: (typeof tree === 'object' && tree !== null
      ? tree
      : { op: 'decision', value: 'unknown', of: [] }) as unknown as Explanation,
    leaseUntil: 0,
    dependencies: [],
    charges: [],
    confirmations: [],
  };
}

function lineOf({
  at,
  agent,
  resource = '',
  action = '',
  decision = 'deny',
  detail = {},
}: AuditRecord): DecisionLine {
  const { id, reason } = detail as { readonly id?: unknown; readonly reason?: unknown };
  return {
    id: String(id),
    verdict: decision,
    reason: String(reason),
    device: resource,
    action,
    by: agent,
    at,
  };
}
