import type { AuditRecord } from '../core/audit.ts';
import type { JsonObject } from '../core/json.ts';
import type { Signer } from '../core/signer.ts';
import type { LogHead } from './checkpoint.ts';
import type { CheckpointKeys, ProvenCounter } from './checkpoint-check.ts';
import { checkEvidence } from './checkpoint-check.ts';
import { OpenIntents } from './open-intents.ts';
import type { Line } from './record.ts';
import { CHECKPOINT, CHECKPOINT_EVIDENCE, isOwn, readLines, startOf } from './record.ts';

/** What a log is checked against. */
export interface AuditKeys extends CheckpointKeys {
  /** What stood before, when the oldest archives were taken away. Default: nothing, the log begins with record 1. */
  readonly after?: LogHead | undefined;
  /** Heads that others saw (heartbeats, uploads): each must stand in the log. */
  readonly witnesses?: readonly LogHead[] | undefined;
  /**
   * What the TPM's counter reads now; a log whose last checkpoint is older was cut off. (One that power interrupted
   * between counting and certifying leaves its record, and accounts for one count.)
   */
  readonly counter?: bigint | undefined;
}

/** A log that is what was written, as far as it is proven. */
export interface AuditOk {
  readonly ok: true;
  readonly records: number;
  readonly head: LogHead | undefined;
  readonly checkpoints: number;
  /** Index of the newest record that a checkpoint proves; 0 when none does. Records after it rest on the chain alone. */
  readonly proven: number;
  /** Indices of intents that have no outcome. */
  readonly open: readonly number[];
}

/** A log that is not what was written. */
export interface AuditFault {
  readonly ok: false;
  /** The first record that does not fit, or the first that is missing. */
  readonly index: number;
  readonly why: string;
}

/**
 * Checks a whole log: form, chain, every checkpoint's signature, counters that only rise, witnessed heads, and the end.
 *
 * @param bytes the file.
 * @returns the first fault, or what is proven.
 */
export function verifyLog(bytes: Uint8Array, keys: AuditKeys): AuditOk | AuditFault {
  const { lines, incomplete, broken } = readLines(bytes, keys.after);
  if (broken !== undefined) return fault(broken.index, broken.why);
  const before = keys.after?.index ?? 0;
  const end = before + lines.length;
  const lineAt = (index: number) => lines[index - 1 - before];
  if (incomplete > 0) return fault(end + 1, 'the last record is incomplete');
  const { witnesses = [] } = keys;
  for (const { index, hash } of witnesses) {
    const line = lines[index - 1];
    if (line === undefined)
      return fault(lines.length + 1, `records up to ${index} were witnessed and are missing`);
    if (line.hash !== hash) return fault(index, 'the record is not the one that was witnessed');
  }

  const open = new OpenIntents();
  const proven = new Map<number, Line>();
  let counter: ProvenCounter | undefined;
  let unfinished = 0n; // TPM checkpoints begun since the last finished one
  for (const { record } of lines) {
    const { index, kind, detail } = record;
    const of = detail?.['of'];
    if (!open.follow(record)) return fault(index, 'the outcome of an intent that is not open');
    if (kind === CHECKPOINT && detail?.['method'] === 'tpm') unfinished += 1n;
    if (kind !== CHECKPOINT_EVIDENCE && kind !== CHECKPOINT && isOwn(record))
      return fault(index, 'evidence that does not say so');
    if (kind !== CHECKPOINT_EVIDENCE) continue;
    const checkpoint = typeof of === 'number' && of < index ? lineAt(of) : undefined;
    if (checkpoint?.record.kind !== CHECKPOINT || proven.has(checkpoint.record.index))
      return fault(index, 'the evidence of no checkpoint');
    const wrong = misplaced(record, checkpoint.record);
    if (wrong !== undefined) return fault(index, wrong);
    const result = checkEvidence(checkpoint, evidenceIn(record), keys);
    if ('why' in result) return fault(index, result.why);
    const next = result.counter;
    if (next !== undefined) {
      if (counter !== undefined && next.name !== counter.name)
        return fault(index, 'another counter than before');
      if (counter !== undefined && next.value <= counter.value)
        return fault(index, `the counter went from ${counter.value} to ${next.value}`);
      counter = next;
      unfinished = 0n;
    }
    proven.set(checkpoint.record.index, checkpoint);
  }
  if (keys.counter !== undefined) {
    if (counter === undefined || counter.value + unfinished < keys.counter)
      return fault(end + 1, `the counter reads ${keys.counter}, and its checkpoint is missing`);
    if (counter.value > keys.counter) return fault(end, 'the counter has gone back');
  }
  const last = lines.at(-1);
  return {
    ok: true,
    records: lines.length,
    head: last === undefined ? undefined : { index: last.record.index, hash: last.hash },
    checkpoints: proven.size,
    proven: Math.max(0, ...proven.keys()),
    open: open.all().map(({ index }) => index),
  };
}

/** Which records are shown; members that are absent match everything. */
export interface AuditFilter {
  readonly kind?: string | undefined;
  readonly agent?: string | undefined;
  readonly resource?: string | undefined;
  readonly txn?: string | undefined;
  readonly task?: string | undefined;
  /** Milliseconds since 1970, inclusive. */
  readonly since?: number | undefined;
  /** Milliseconds since 1970, inclusive. */
  readonly until?: number | undefined;
}

/** Records of a log that match, up to the first that does not fit; verify first. */
export function showLog(bytes: Uint8Array, filter: AuditFilter = {}): readonly AuditRecord[] {
  const { since = Number.NEGATIVE_INFINITY, until = Number.POSITIVE_INFINITY, ...same } = filter;
  return readLines(bytes, startOf(bytes))
    .lines.map(({ record }) => record)
    .filter(
      (record) =>
        record.at >= since &&
        record.at <= until &&
        Object.entries(same).every(
          ([name, value]) => value === undefined || record[name as keyof typeof same] === value,
        ),
    );
}

/** One step of a traced transaction or task, with the log it comes from. */
export interface TraceStep {
  readonly log: string;
  readonly record: AuditRecord;
}

/**
 * The chain of one transaction or task over several logs (OB-08, OB-13), in order of time; records of one log stay in
 * their own order whatever their clock said.
 *
 * @param logs files by name, for example by agent.
 */
export function traceLogs(
  logs: Readonly<Record<string, Uint8Array>>,
  wanted: { readonly txn: string } | { readonly task: string },
): readonly TraceStep[] {
  const queues = Object.entries(logs).map(([log, bytes]) =>
    showLog(bytes, wanted).map((record): TraceStep => ({ log, record })),
  );
  const out: TraceStep[] = [];
  for (;;) {
    const next = queues
      .filter(({ length }) => length > 0)
      .reduce<TraceStep[] | undefined>(
        (best, queue) => (best === undefined || at(queue) < at(best) ? queue : best),
        undefined,
      );
    const step = next?.shift();
    if (step === undefined) return out;
    out.push(step);
  }
}

/** Everything in an evidence record follows from its checkpoint, so that no byte of it can be changed unseen. */
function misplaced(evidence: AuditRecord, checkpoint: AuditRecord): string | undefined {
  const known = ['index', 'at', 'previous', 'kind', 'agent', 'detail'];
  if (evidence.at !== checkpoint.at || evidence.agent !== checkpoint.agent)
    return 'the evidence differs from its checkpoint';
  if (Object.keys(evidence).some((name) => !known.includes(name))) return 'the evidence has other members';
  if (
    Object.keys(evidence.detail ?? {})
      .sort()
      .join() !== 'evidence,of'
  )
    return 'the evidence has other members';
  return undefined;
}

function evidenceIn(record: AuditRecord): JsonObject {
  const evidence = record.detail?.['evidence'];
  return typeof evidence === 'object' && evidence !== null && !Array.isArray(evidence)
    ? (evidence as JsonObject)
    : {};
}

function fault(index: number, why: string): AuditFault {
  return { ok: false, index, why };
}

function at(queue: readonly TraceStep[]): number {
  return queue[0]?.record.at ?? 0;
}

/** What checks a log whose checkpoints `signers` signed, such as the authority's own. */
export function keysOf(...signers: readonly Pick<Signer, 'kid' | 'publicJwk'>[]): AuditKeys {
  return { signers: signers.map(({ kid, publicJwk }) => ({ kid, jwk: publicJwk })) };
}
