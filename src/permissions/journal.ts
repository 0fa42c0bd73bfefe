import type { AuditEntry, AuditLog } from '../core/audit.ts';
import type { ActionResult } from '../core/audit-intent.ts';
import { OUTCOME } from '../core/audit-intent.ts';
import { messageOf } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import type { Log, Store } from '../core/platform.ts';
import type { Decision } from './decision.ts';
import { NotRecorded } from './errors.ts';
import type { DeviceHost } from './host.ts';
import type { Reservation } from './limits.ts';
import type { NotedAction } from './records.ts';
import { decisionEntry, outcomeEntry, RunningNotes } from './records.ts';

/** @internal What {@link Journal.open} needs. */
export interface JournalOptions {
  readonly store: Store;
  readonly log: Log;
  readonly audit: AuditLog;
  readonly devices: DeviceHost;
  /** Identifier of this agent. */
  readonly self: string;
}

/**
 * @internal What the enforcement point writes down. Before an action, failing to write prevents it; afterwards, failing to
 * write is only warned of, for what has happened has happened.
 */
export class Journal {
  readonly #options: JournalOptions;
  readonly #notes: RunningNotes;

  private constructor(options: JournalOptions, notes: RunningNotes) {
    this.#options = options;
    this.#notes = notes;
  }

  /** @throws {Malformed} when stored state is damaged. */
  static async open(options: JournalOptions): Promise<Journal> {
    return new Journal(options, await RunningNotes.open(options.store));
  }

  /** Limit booked, running noted, intent recorded: durable, in this order, before the action. @throws {NotRecorded} */
  async intent(decision: Decision, reservation: Reservation): Promise<void> {
    const { audit, devices, self } = this.#options;
    const { device, action } = decision.request;
    try {
      await reservation.persist();
      if (devices.descriptionOf(device)?.actions[action]?.continuous === true)
        await this.#notes.add({ id: decision.id, device, action });
      await audit.append(decisionEntry(decision, { enforcer: self }));
    } catch (cause) {
      throw new NotRecorded(`\`${device}.${action}\` is not recorded, so not done: ${messageOf(cause)}`, {
        cause,
      });
    }
  }

  /** An action was refused. */
  refused(decision: Decision): Promise<void> {
    return this.#append(decisionEntry(decision));
  }

  /** What became of an action whose intent is recorded; `cause` in words. */
  outcome(decision: Decision, result: ActionResult, cause: string, detail?: JsonObject): Promise<void> {
    return this.#append(outcomeEntry(decision, result, cause, detail));
  }

  /** Continuous actions that run, or that a program before this one left running. */
  running(): readonly NotedAction[] {
    return this.#notes.all();
  }

  /** It runs no more: after a crash there is nothing to stop. */
  over(id: string): void {
    this.#notes.remove(id).catch(this.warn);
  }

  /** What a program before this one left running was stopped. */
  async interrupted({ id, device, action }: NotedAction): Promise<void> {
    await this.#append({
      kind: OUTCOME,
      agent: this.#options.self,
      resource: device,
      action,
      cause: 'stopped after a restart; outcome unknown',
      detail: { id, result: 'unknown' },
    });
    await this.#notes.remove(id).catch(this.warn);
  }

  /** Tells that something could not be written. */
  readonly warn = (error: unknown): void => {
    this.#options.log.warn('not recorded', { error: messageOf(error) });
  };

  /** An outcome that cannot be recorded is closed as unknown when the log is read again. */
  async #append(entry: AuditEntry): Promise<void> {
    await this.#options.audit.append(entry).catch(this.warn);
  }
}
