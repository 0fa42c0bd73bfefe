import type { AuditEntry } from '../core/audit.ts';
import type { ActionResult } from '../core/audit-intent.ts';
import { OUTCOME } from '../core/audit-intent.ts';
import { hex } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import type { JsonObject } from '../core/json.ts';
import { canonicalBytes, parseJson } from '../core/json.ts';
import type { Store } from '../core/platform.ts';
import { v } from '../core/schema.ts';
import type { Decision } from './decision.ts';

const RUNNING = 'permissions/running';
/** An explanation longer than this is left out of the record; the inputs are named by the grant. */
const EXPLANATION_MAX = 16_384;
/** Arguments longer than this are recorded by their digest. */
const ARGUMENTS_MAX = 8_192;

/**
 * The audit record of a decision: what was asked, by whom, and every condition with its value and age. With `enforcer` in
 * its detail a permit is an intent, open until its outcome. The log itself counts denials that repeat.
 */
export function decisionEntry(decision: Decision, extra: JsonObject = {}): AuditEntry {
  const { request } = decision;
  const explanation = canonicalBytes(decision.explanation);
  return {
    kind: 'decision',
    agent: request.subjects[0] ?? 'nobody',
    subject: request.subjects.length > 1 ? request.subjects.slice(1).join(' ') : undefined,
    resource: request.device,
    action: request.action,
    decision: decision.verdict,
    txn: request.txn,
    task: request.task,
    detail: {
      ...extra,
      id: decision.id,
      reason: decision.reason,
      rule: decision.rule ?? null,
      grants: decision.grants,
      arguments: recorded(decision),
      charges: decision.charges.map(({ counter, amount }) => ({ counter, amount })),
      explanation:
        explanation.length > EXPLANATION_MAX ? 'too long' : (decision.explanation as unknown as JsonObject),
    },
  };
}

/** Arguments that were refused as such may be anything, even what JSON cannot say: they are left out. */
function recorded({ reason, request }: Decision): JsonObject | null {
  if (reason === 'arguments' || reason === 'unknown-action') return null;
  const bytes = canonicalBytes(request.arguments ?? {});
  return bytes.length > ARGUMENTS_MAX ? { sha256: hex(sha256(bytes)) } : (request.arguments ?? {});
}

/**
 * The audit record of what became of a permitted action; it closes the decision with the same id.
 *
 * @param cause in words, for example `withdrawn`.
 */
export function outcomeEntry(
  decision: Decision,
  result: ActionResult,
  cause: string,
  detail: JsonObject = {},
): AuditEntry {
  const { request } = decision;
  return {
    kind: OUTCOME,
    agent: request.subjects[0] ?? 'nobody',
    resource: request.device,
    action: request.action,
    txn: request.txn,
    task: request.task,
    cause,
    detail: { ...detail, id: decision.id, result },
  };
}

/** A continuous action that may be running, as it is remembered over a crash. */
export interface NotedAction {
  readonly id: string;
  readonly device: string;
  readonly action: string;
}

/** Which actions run, written before they start: after a crash they are stopped before anything else. */
export class RunningNotes {
  readonly #store: Store;
  readonly #notes = new Map<string, NotedAction>();
  #writing: Promise<void> = Promise.resolve();

  private constructor(store: Store) {
    this.#store = store;
  }

  /** @throws {Malformed} when stored state is damaged. */
  static async open(store: Store): Promise<RunningNotes> {
    const notes = new RunningNotes(store);
    const bytes = await store.read(RUNNING);
    if (bytes !== undefined)
      for (const note of v.parse(Notes, parseJson(bytes, { maxBytes: 1024 * 1024 })))
        notes.#notes.set(note.id, note);
    return notes;
  }

  all(): readonly NotedAction[] {
    return [...this.#notes.values()];
  }

  add(note: NotedAction): Promise<void> {
    this.#notes.set(note.id, note);
    return this.#write();
  }

  remove(id: string): Promise<void> {
    return this.#notes.delete(id) ? this.#write() : Promise.resolve();
  }

  #write(): Promise<void> {
    const write = this.#writing
      .catch(() => {})
      .then(() => this.#store.write(RUNNING, canonicalBytes(this.all())));
    this.#writing = write;
    return write;
  }
}

const Notes = v.pipe(
  v.array(v.strictObject({ id: v.string(), device: v.string(), action: v.string() })),
  v.maxLength(4_096),
);
