import type { AuditEntry, AuditLog } from '../core/audit.ts';
import { OUTCOME } from '../core/audit-intent.ts';
import { EventEmitter } from '../core/emitter.ts';
import { messageOf } from '../core/errors.ts';
import type { Platform } from '../core/platform.ts';
import type { Running } from '../grants/index.ts';
import { Active, allSettled } from './active.ts';
import type { Confirmations } from './confirmation.ts';
import type { ActionRequest, Decision } from './decision.ts';
import { NotRecorded, PermissionDenied } from './errors.ts';
import { dependency } from './evaluation.ts';
import { explain } from './explain.ts';
import type { Generations } from './generations.ts';
import type { DeviceHost } from './host.ts';
import type { DecideOptions } from './judge.ts';
import type { LeaseEnd } from './lease.ts';
import { Leases } from './lease.ts';
import type { Limits, Reservation } from './limits.ts';
import type { Pdp } from './pdp.ts';
import { decisionEntry, outcomeEntry, RunningNotes } from './records.ts';
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

/** What became of a permitted request. */
export interface Outcome {
  readonly decision: Decision;
  /** A continuous action runs under its lease until `ended`; any other is done, and this is `undefined`. */
  readonly running: RunningAction | undefined;
}

/** An action that runs. */
export interface RunningAction {
  /** Resolved when it has stopped. Idempotent. */
  stop(): Promise<void>;
  /** Resolved with the reason when it has stopped. */
  readonly ended: Promise<LeaseEnd>;
}

/** How many decisions are kept for `why`. */
const KEPT_MAX = 256;

/** Enforces: no decision, no record; no record, no action; no lease, no motion. */
export class Pep extends EventEmitter<PermissionEvents> {
  readonly #options: PepOptions;
  readonly #leases: Leases;
  readonly #notes: RunningNotes;
  readonly #active = new Set<Active>();
  /** Devices that may still do what a program before this one began. */
  readonly #unsafe = new Set<string>();
  readonly #kept = new Map<string, { readonly decision: Decision; end?: LeaseEnd }>();
  readonly #unsubscribe: readonly (() => void)[];

  private constructor(options: PepOptions, notes: RunningNotes) {
    super();
    const { platform, world, pdp } = options;
    const leases = new Leases(platform.clock);
    this.#options = options;
    this.#leases = leases;
    this.#notes = notes;
    for (const { device } of notes.all()) this.#unsafe.add(device);
    const changed = (key: string) => leases.changed(key);
    this.#unsubscribe = [
      world.inputs.onChange(changed),
      pdp.onChange(changed),
      world.time.onChange(() => changed(dependency.time)),
      world.posture?.onChange(() => changed(dependency.posture)) ?? (() => {}),
      world.status?.onChange(() => changed(dependency.status)) ?? (() => {}),
      world.domains?.onChange((task) => changed(dependency.domain(task))) ?? (() => {}),
    ];
  }

  /** Actions that ran when the program before this one ended are stopped before this resolves. */
  static async open(options: PepOptions): Promise<Pep> {
    const pep = new Pep(options, await RunningNotes.open(options.platform.store));
    for (const device of [...pep.#unsafe])
      await pep.#recover(device).catch((error: unknown) =>
        // It stays refused until it is back and safe.
        options.platform.log.warn('a device could not be made safe after a restart', {
          device,
          error: messageOf(error),
        }),
      );
    return pep;
  }

  /**
   * The one way to make a device do something.
   *
   * @throws {PermissionDenied} with the decision. @throws {NotRecorded} when the intent or the limit is not durable.
   * @throws {DriverFailed}
   */
  async act(request: ActionRequest): Promise<Outcome> {
    if (this.#unsafe.has(request.device)) await this.#recover(request.device);
    const decision = this.#options.pdp.decide(request);
    this.#keep(decision);
    if (decision.verdict === 'deny') return this.#refuse(decision);

    // In the same instant the room in the limit is taken, the confirmation used up, and every change decides again.
    const active = this.#hold(decision);
    const reservation = this.#options.limits.reserve(decision.charges);
    this.#options.confirmations.consume(request, decision.confirmations);
    try {
      const recorded = this.#record(decision, reservation);
      // A stop neither waits for its record nor fails with it.
      if (decision.safe) recorded.catch(this.#warn);
      else await recorded;
      const { end } = active.lease;
      if (end !== undefined) return await this.#tooLate(decision, end);
    } catch (error) {
      await reservation.release();
      this.#settle(active, { cause: 'failed' });
      throw error;
    }
    this.emit('permitted', decision);
    return this.#perform(active);
  }

  /** What would be decided, with nothing recorded, booked or done; `suppose` other times and inputs. */
  simulate(request: ActionRequest, suppose?: DecideOptions['suppose']): Decision {
    return this.#options.pdp.decide(request, { suppose });
  }

  /** A recent decision in words, with the tree of conditions; `undefined` when it is no longer kept. */
  why(id: string): string | undefined {
    const kept = this.#kept.get(id);
    if (kept?.end === undefined) return kept && explain(kept.decision);
    return kept.end.cause === 'withdrawn'
      ? `${explain(kept.decision)}\nended, no longer permitted:\n${explain(kept.end.decision)}`
      : `${explain(kept.decision)}\nended: ${kept.end.cause}`;
  }

  /** Recent decisions, oldest first. */
  recent(): readonly Decision[] {
    return [...this.#kept.values()].map(({ decision }) => decision);
  }

  /** Actions that run now, or are about to. */
  running(): readonly Decision[] {
    return [...this.#active].filter(({ lease }) => lease.alive).map(({ decision }) => decision);
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
    await this.#finishAll({ cause: 'stopped' });
  }

  /** Stops what runs and listens to nothing more. Idempotent. */
  async close(): Promise<void> {
    await this.#finishAll({ cause: 'closed' }).catch(this.#warn);
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }

  /** Revocation, demotion and end are this one path: raise → refuse → stop → close → audit → acknowledge. */
  async #withdraw(kind: string, tag: string, generation: number | undefined, cause: string): Promise<number> {
    const { pdp, generations, audit, self, closeSessions } = this.#options;
    const grants = generation === undefined ? 0 : pdp.raise(tag, generation);
    if (tag.startsWith('task:')) this.#leases.changed(dependency.domain(tag.slice('task:'.length)));
    const stopping = [...this.#active].filter(({ lease }) => !lease.alive);
    this.emit('revoked', tag, grants);
    const stopped = stopping.map(({ decision }) => decision.id);
    const parts = await Promise.allSettled([
      this.#allSettled(stopping),
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

  /** Limit booked, running noted, intent recorded: durable, in this order, before the action. @throws {NotRecorded} */
  async #record(decision: Decision, reservation: Reservation): Promise<void> {
    const { device, action } = decision.request;
    try {
      await reservation.persist();
      if (this.#descriptionOf(device)?.actions[action]?.continuous === true)
        await this.#notes.add({ id: decision.id, device, action });
      await this.#options.audit.append(decisionEntry(decision, { enforcer: this.#options.self }));
    } catch (cause) {
      throw new NotRecorded(`\`${device}.${action}\` is not recorded, so not done: ${messageOf(cause)}`, {
        cause,
      });
    }
  }

  /** Withdrawn while it was being recorded: it never began. */
  async #tooLate(decision: Decision, end: LeaseEnd): Promise<never> {
    await this.#append(outcomeEntry(decision, 'stopped', 'never began'));
    if (end.cause === 'withdrawn') return this.#refuse(end.decision);
    const { device, action } = decision.request;
    throw new NotRecorded(`\`${device}.${action}\` was stopped before it began`);
  }

  async #perform(active: Active): Promise<Outcome> {
    const { decision, lease } = active;
    const { device, action, arguments: given = {} } = decision.request;
    const starting = this.#options.devices.perform(device, action, given);
    // A stop ends what else runs on the device; the driver has been told already.
    if (decision.safe)
      for (const other of this.#active)
        if (other !== active && other.decision.request.device === device)
          other.lease.finish({ cause: 'made-safe' });
    let running: Running | undefined;
    try {
      running = await starting;
    } catch (error) {
      // Whether it moved anything is unknown, so what was booked stays booked.
      this.#settle(active, { cause: 'failed' });
      await this.#append(outcomeEntry(decision, 'failed', 'failed', { error: messageOf(error) }));
      throw error;
    }
    if (running === undefined) {
      this.#settle(active, { cause: 'done' });
      await this.#append(outcomeEntry(decision, 'done', 'done'));
      return { decision, running: undefined };
    }
    const ended = this.#run(active, running);
    return {
      decision,
      running: {
        ended,
        stop: async () => {
          lease.finish({ cause: 'stopped' });
          await ended;
        },
      },
    };
  }

  async #run(active: Active, running: Running): Promise<LeaseEnd> {
    const { decision, lease } = active;
    const periodMs = this.#descriptionOf(decision.request.device)?.controlPeriodMs ?? 100;
    try {
      await active.run(running, periodMs);
      this.#settle(active, { cause: 'done' });
    } catch (error) {
      // It is fed no more, so its dead man stops it; but nobody is told that it has stopped.
      this.#options.platform.log.warn('an action did not stop', {
        device: decision.request.device,
        error: messageOf(error),
      });
    }
    const end = lease.end ?? { cause: 'failed' };
    const result = !active.over
      ? 'unknown'
      : end.cause === 'done' || end.cause === 'failed'
        ? end.cause
        : 'stopped';
    const reason = end.cause === 'withdrawn' ? { reason: end.decision.reason } : {};
    await this.#append(outcomeEntry(decision, result, end.cause, reason));
    return end;
  }

  #hold(decision: Decision): Active {
    const { pdp, platform } = this.#options;
    // Only the very grants that permitted it keep it running; others have to be asked for.
    const request = { ...decision.request, grants: decision.grants };
    const active = new Active({
      decision,
      leases: this.#leases,
      clock: platform.clock,
      again: () => pdp.decide(request, { held: decision.id }),
      ended: (end) => {
        const kept = this.#kept.get(decision.id);
        if (kept !== undefined) kept.end = end;
        this.emit('ended', decision, end);
      },
    });
    this.#active.add(active);
    return active;
  }

  #settle(active: Active, end: LeaseEnd): void {
    active.lease.finish(end);
    active.settle();
    this.#active.delete(active);
    this.#notes.remove(active.decision.id).catch(this.#warn);
  }

  /** Stops whatever a program before this one left running on a device. @throws {DriverFailed} */
  async #recover(device: string): Promise<void> {
    await this.#options.devices.makeSafe(device);
    this.#unsafe.delete(device);
    for (const note of this.#notes.all().filter((one) => one.device === device)) {
      await this.#append({
        kind: OUTCOME,
        agent: this.#options.self,
        resource: device,
        action: note.action,
        cause: 'stopped after a restart; outcome unknown',
        detail: { id: note.id, result: 'unknown' },
      });
      await this.#notes.remove(note.id).catch(this.#warn);
    }
  }

  async #refuse(decision: Decision): Promise<never> {
    this.emit('denied', decision);
    await this.#append(decisionEntry(decision));
    throw new PermissionDenied(decision);
  }

  #keep(decision: Decision): void {
    if (this.#kept.size >= KEPT_MAX) this.#kept.delete(this.#kept.keys().next().value ?? '');
    this.#kept.set(decision.id, { decision });
  }

  async #finishAll(end: LeaseEnd): Promise<void> {
    const all = [...this.#active];
    for (const { lease } of all) lease.finish(end);
    await this.#allSettled(all);
  }

  #allSettled(actions: readonly Active[]): Promise<void> {
    return allSettled(actions, this.#options.platform.clock, this.#options.stopWithinMs ?? 10_000);
  }

  /** An outcome that cannot be recorded is closed as unknown when the log is read again. */
  async #append(entry: AuditEntry): Promise<void> {
    await this.#options.audit.append(entry).catch(this.#warn);
  }

  #descriptionOf(device: string) {
    return this.#options.devices.descriptions.find(({ name }) => name === device);
  }

  readonly #warn = (error: unknown): void => {
    this.#options.platform.log.warn('not recorded', { error: messageOf(error) });
  };
}
