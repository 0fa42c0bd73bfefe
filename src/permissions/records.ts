import type { AuditEntry, AuditLog } from '../core/audit.ts';
import type { JsonObject } from '../core/json.ts';
import { canonicalBytes, canonicalJson, parseJson } from '../core/json.ts';
import type { Clock, Store } from '../core/platform.ts';
import { v } from '../core/schema.ts';
import type { Decision } from './decision.ts';

const RUNNING = 'permissions/running';
/** A denial like the last is written again only after this long, with how many there were in between. */
const REPEAT_MS = 60_000;
/** An explanation longer than this is left out of the record; the inputs are named by the grant. */
const EXPLANATION_MAX = 16_384;

/** The audit record of a decision: what was asked, by whom, and every condition with its value and age. */
export function decisionEntry(decision: Decision, extra: JsonObject = {}): AuditEntry {
  const { request } = decision;
  const explanation = canonicalJson(decision.explanation);
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
      arguments: request.arguments ?? {},
      charges: decision.charges.map(({ counter, amount }) => ({ counter, amount })),
      explanation:
        explanation.length > EXPLANATION_MAX ? 'too long' : (JSON.parse(explanation) as JsonObject),
    },
  };
}

/** The audit record of what became of a permitted action. */
export function outcomeEntry(decision: Decision, outcome: string, detail: JsonObject = {}): AuditEntry {
  const { request } = decision;
  return {
    kind: 'outcome',
    agent: request.subjects[0] ?? 'nobody',
    resource: request.device,
    action: request.action,
    txn: request.txn,
    task: request.task,
    cause: outcome,
    detail: { ...detail, id: decision.id },
  };
}

/** Writes denials; one that repeats is counted, so that nobody can fill the log by knocking. */
export class Denials {
  readonly #audit: AuditLog;
  readonly #clock: Clock;
  readonly #last = new Map<string, { at: number; repeated: number }>();

  constructor(audit: AuditLog, clock: Clock) {
    this.#audit = audit;
    this.#clock = clock;
  }

  async record(decision: Decision): Promise<void> {
    const { request } = decision;
    const key = JSON.stringify([
      request.subjects,
      request.device,
      request.action,
      decision.reason,
      decision.rule,
    ]);
    const now = this.#clock.elapsed();
    const last = this.#last.get(key);
    if (last !== undefined && now - last.at < REPEAT_MS) {
      last.repeated++;
      return;
    }
    if (this.#last.size >= 1_024) this.#last.delete(this.#last.keys().next().value ?? '');
    this.#last.set(key, { at: now, repeated: 0 });
    await this.#audit.append(decisionEntry(decision, last?.repeated ? { repeated: last.repeated } : {}));
  }
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
