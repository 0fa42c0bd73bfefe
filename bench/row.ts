import { cpus, loadavg, totalmem } from 'node:os';

/** One measured figure beside its peer, and the goal it has to meet. */
export interface Row {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** What it was measured beside, in the same run. */
  readonly peer: string;
  /** `value` divided by the peer's. */
  readonly ratio: number;
  /** In words, for example `≤ 120 KB`. */
  readonly goal: string;
  readonly holds: boolean;
}

/** A bench: what it measures and how. */
export interface Bench {
  readonly about: string;
  run(progress: (line: string) => void): Promise<readonly Row[]>;
}

/** The middle value. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Where it was measured. */
export function machine(): Readonly<Record<string, unknown>> {
  const [first] = cpus();
  return {
    cpu: first?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    load: loadavg().map((one) => Math.round(one * 10) / 10),
  };
}

/** The rows as a table. */
export function show(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.what,
    `${round(row.value)} ${row.unit}`,
    row.peer,
    `${round(row.ratio)}`,
    row.goal,
    row.holds ? 'holds' : 'MISSED',
  ]);
  const head = ['what', 'value', 'peer', 'ratio', 'goal', ''];
  const widths = head.map((title, at) => Math.max(title.length, ...cells.map((row) => row[at]?.length ?? 0)));
  return [head, ...cells]
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(2);
}
