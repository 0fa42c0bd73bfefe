import type { Decision } from './decision.ts';
import type { Explanation } from './evaluation.ts';
import { instant } from './leaves.ts';

/** A decision for a person: what was asked, the verdict, and the tree of conditions with values and ages. */
export function explain(decision: Decision): string {
  const { request } = decision;
  const given = Object.entries(request.arguments ?? {}).map(([name, value]) => `${name}=${inWords(value)}`);
  return [
    `${decision.verdict}: ${decision.message}`,
    `  asked:  ${request.device}.${request.action}${given.length > 0 ? ` (${given.join(', ')})` : ''}`,
    `  by:     ${request.subjects.join(', for ')}`,
    ...(decision.rule === undefined ? [] : [`  rule:   ${decision.rule}`]),
    ...(request.task === undefined ? [] : [`  task:   ${request.task}`]),
    `  at:     ${instant(Math.floor(decision.at))}`,
    `  id:     ${decision.id}`,
    ...(decision.explanation.of ?? []).flatMap((node) => tree(node, 1)),
    ...decision.confirmations
      .filter(() => decision.reason === 'confirmation')
      .map(({ by }) => `  to be confirmed by ${by}`),
  ].join('\n');
}

const marks = { true: 'yes', false: 'no ', unknown: ' ? ' } as const;

function tree(node: Explanation, depth: number): string[] {
  const mark = marks[String(node.value) as keyof typeof marks];
  return [
    `${'  '.repeat(depth)}[${mark}] ${node.op}${node.detail === undefined ? '' : `  ${node.detail}`}`,
    ...(node.of ?? []).flatMap((child) => tree(child, depth + 1)),
  ];
}

/** An argument; one that was refused may be of any type. */
function inWords(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 64));
  return typeof value === 'object' ? 'an object' : String(value);
}
