import type { AuditLog } from '../core/audit.ts';
import { EventEmitter } from '../core/emitter.ts';
import { messageOf } from '../core/errors.ts';
import type { Platform } from '../core/platform.ts';
import { ActiveSet } from './active-set.ts';
import type { Confirmations } from './confirmation.ts';
import type { ActionRequest, Decision } from './decision.ts';
import { NotRecorded, PermissionDenied } from './errors.ts';
import { dependency } from './evaluation.ts';
import type { Generations } from './generations.ts';
import { History } from './history.ts';
import type { DeviceHost } from './host.ts';
import { Journal } from './journal.ts';
import type { DecideOptions } from './judge.ts';
import type { LeaseEnd } from './lease.ts';
import { Leftovers } from './leftovers.ts';
import type { Limits } from './limits.ts';
import type { Pdp } from './pdp.ts';
import type { Outcome } from './perform.ts';
import { perform } from './perform.ts';
import type { World } from './sources.ts';

/** What happened at the enforcement point. Telling is all it is: nothing waits for a listener. */
export interface PermissionEvents {
  /** An action was permitted and recorded; it begins now. */
  permitted: [decision: Decision];
  /** An action was refused. */
  denied: [decision: Decision];
  /** A permitted action is over, and why. */
  ended: [decision: Decision, end: LeaseEnd];
  /** Grants are gone: the tag, and how many. */
  revoked: [tag: string, grants: number];
}

/** What an enforcement point is made of; `openPermissions` puts it together. */
export interface PepOptions {
  readonly platform: Platform;
  readonly world: World;
  readonly pdp: Pdp;
  readonly limits: Limits;
  readonly confirmations: Confirmations;
  readonly generations: Generations;
  readonly devices: DeviceHost;
  readonly audit: AuditLog;
  /** Identifier of this agent. */
  readonly self: string;
  /** Ends whatever else a withdrawn tag had opened (sessions, connections). */
  readonly closeSessions?: ((tag: string) => Promise<void>) | undefined;
  /** How long a withdrawal waits for actions to stop, in milliseconds. Default: 10,000. */
  readonly stopWithinMs?: number | undefined;
}

/** Enforces: no decision, no record; no record, no action; no lease, no motion. */
export class Pep extends EventEmitter<PermissionEvents> {
  readonly #options: PepOptions;
  readonly #journal: Journal;
  readonly #leftovers: Leftovers;
  readonly #actions: ActiveSet;
  readonly #history = new History();

  private constructor(options: PepOptions, journal: Journal) {
    super();
    const { platform, world, pdp, devices, stopWithinMs } = options;
    this.#options = options;
    this.#journal = journal;
    this.#leftovers = new Leftovers(devices, journal);
    this.#actions = new ActiveSet({
      clock: platform.clock,
      world,
      pdp,
      journal,
      stopWithinMs,
      ended: (decision, end) => {
        this.#history.ended(decision.id, end);
        this.emit('ended', decision, end);
      },
    });
  }

  /** Actions that ran when the program before this one ended are stopped before this resolves. */
  static async open(options: PepOptions): Promise<Pep> {
    const { audit, devices, self } = options;
    const { log, store } = options.platform;
    const pep = new Pep(options, await Journal.open({ store, log, audit, devices, self }));
    await pep.#leftovers.stopAll(log);
    return pep;
  }

  /**
   * The one way to make a device do something.
   *
   * @throws {PermissionDenied} with the decision. @throws {NotRecorded} when the intent or the limit is not durable.
   * @throws {DriverFailed}
   */
  async act(request: ActionRequest): Promise<Outcome> {
    if (this.#leftovers.on(request.device)) await this.#leftovers.stop(request.device);
    const { pdp, limits, confirmations, devices, platform } = this.#options;
    const journal = this.#journal;
    const actions = this.#actions;
    const decision = pdp.decide(request);
    this.#history.keep(decision);
    if (decision.verdict === 'deny') return this.#refuse(decision);

    // In the same instant the room in the limit is taken, the confirmation used up, and every change decides again.
    const active = actions.hold(decision);
    const reservation = limits.reserve(decision.charges);
    confirmations.consume(request, decision.confirmations);
    try {
      const recorded = journal.intent(decision, reservation);
      // A stop neither waits for its record nor fails with it.
      if (decision.safe) recorded.catch(journal.warn);
      else await recorded;
      const { end } = active.lease;
      if (end !== undefined) return await this.#tooLate(decision, end);
    } catch (error) {
      await reservation.release();
      actions.settle(active, { cause: 'failed' });
      throw error;
    }
    this.emit('permitted', decision);
    return perform(active, { actions, devices, journal, log: platform.log });
  }

  /** What would be decided, with nothing recorded, booked or done; `suppose` other times and inputs. */
  simulate(request: ActionRequest, suppose?: DecideOptions['suppose']): Decision {
    return this.#options.pdp.decide(request, { suppose });
  }

  /** A recent decision in words, with the tree of conditions; `undefined` when it is no longer kept. */
  why(id: string): string | undefined {
    return this.#history.why(id);
  }

  /** Recent decisions, oldest first. */
  recent(): readonly Decision[] {
    return this.#history.recent();
  }

  /** Actions that run now, or are about to. */
  running(): readonly Decision[] {
    return this.#actions.running();
  }

  /**
   * Everything issued under `tag` before `generation` is nothing from now on: no decision after this call permits by it.
   * Resolved when its actions have stopped and it is recorded.
   *
   * @returns how many held grants are gone. @throws {StillRunning} @throws {NotRecorded}
   */
  revoke(tag: string, generation: number, cause: string): Promise<number> {
    return this.#withdraw('revocation', tag, generation, cause);
  }

  /** The agent's mode in a task's domain fell: actions that need more stop. Same promise as {@link revoke}. */
  demote(task: string, cause: string): Promise<number> {
    return this.#withdraw('demotion', `task:${task}`, undefined, cause);
  }

  /** The task is over: every grant for it, of any generation, is gone. Same promise as {@link revoke}. */
  end(task: string, cause: string): Promise<number> {
    return this.#withdraw('end', `task:${task}`, Number.MAX_SAFE_INTEGER, cause);
  }

  /** Everything that runs stops, whoever permitted it. @throws {StillRunning} */
  async stopAll(): Promise<void> {
    await this.#actions.finishAll({ cause: 'stopped' });
  }

  /** Stops what runs and listens to nothing more. Idempotent. */
  async close(): Promise<void> {
    const { log } = this.#options.platform;
    await this.#actions
      .finishAll({ cause: 'closed' })
      .catch((error: unknown) => log.warn('an action did not stop at the end', { error: messageOf(error) }));
    this.#actions.close();
  }

  /** Revocation, demotion and end are this one path: raise → refuse → stop → close → audit → acknowledge. */
  async #withdraw(kind: string, tag: string, generation: number | undefined, cause: string): Promise<number> {
    const { pdp, generations, audit, self, closeSessions } = this.#options;
    const grants = generation === undefined ? 0 : pdp.raise(tag, generation);
    if (tag.startsWith('task:')) this.#actions.changed(dependency.domain(tag.slice('task:'.length)));
    const stopping = this.#actions.stopping();
    this.emit('revoked', tag, grants);
    const stopped = stopping.map(({ decision }) => decision.id);
    const parts = await Promise.allSettled([
      this.#actions.stopped(stopping),
      closeSessions?.(tag),
      generation === undefined ? undefined : generations.persist(),
      audit.append({
        kind,
        agent: self,
        cause,
        detail: { tag, generation: generation ?? null, grants, stopped },
      }),
    ]);
    for (const part of parts) if (part.status === 'rejected') throw part.reason;
    return grants;
  }

  /** Withdrawn while it was being recorded: it never began. */
  async #tooLate(decision: Decision, end: LeaseEnd): Promise<never> {
    await this.#journal.outcome(decision, 'stopped', 'never began');
    if (end.cause === 'withdrawn') return this.#refuse(end.decision);
    const { device, action } = decision.request;
    throw new NotRecorded(`\`${device}.${action}\` was stopped before it began`);
  }

  async #refuse(decision: Decision): Promise<never> {
    this.emit('denied', decision);
    await this.#journal.refused(decision);
    throw new PermissionDenied(decision);
  }
}
