import type { Clock } from '../core/platform.ts';
import { Active, allSettled } from './active.ts';
import type { Decision } from './decision.ts';
import type { Dependency } from './evaluation.ts';
import { dependency } from './evaluation.ts';
import type { Journal } from './journal.ts';
import type { LeaseEnd } from './lease.ts';
import { Leases } from './lease.ts';
import type { Pdp } from './pdp.ts';
import type { World } from './sources.ts';

/** @internal What an {@link ActiveSet} needs. */
export interface ActiveSetOptions {
  readonly clock: Clock;
  readonly world: World;
  readonly pdp: Pdp;
  readonly journal: Journal;
  /** How long to wait for actions to stop, in milliseconds. Default: 10,000. */
  readonly stopWithinMs?: number | undefined;
  /** Called once, in the instant in which a lease ends; the action may not have stopped yet. */
  readonly ended: (decision: Decision, end: LeaseEnd) => void;
}

/**
 * @internal Every permitted action that has not certainly stopped, each under its lease. It listens to everything that
 * can take a permission away, and each change decides again at once.
 */
export class ActiveSet {
  readonly #options: ActiveSetOptions;
  readonly #leases: Leases;
  readonly #active = new Set<Active>();
  readonly #unsubscribe: readonly (() => void)[];

  constructor(options: ActiveSetOptions) {
    const { clock, world, pdp } = options;
    this.#options = options;
    this.#leases = new Leases(clock);
    const changed = (key: Dependency) => this.changed(key);
    this.#unsubscribe = [
      world.inputs.onChange(changed),
      pdp.onChange(changed),
      world.time.onChange(() => changed(dependency.time)),
      world.posture?.onChange(() => changed(dependency.posture)) ?? (() => {}),
      world.status?.onChange(() => changed(dependency.status)) ?? (() => {}),
      world.domains?.onChange((task) => changed(dependency.domain(task))) ?? (() => {}),
    ];
  }

  /** Something changed: every action that depends on it is decided again before this returns. */
  changed(key: Dependency): void {
    this.#leases.changed(key);
  }

  /** Puts a permitted action under its lease, from the instant of its decision. */
  hold(decision: Decision): Active {
    const { clock, pdp, ended } = this.#options;
    // Only the very grants that permitted it keep it running; others have to be asked for.
    const request = { ...decision.request, grants: decision.grants };
    const active = new Active({
      decision,
      leases: this.#leases,
      clock,
      again: () => pdp.decide(request, { held: decision.id }),
      ended: (end) => ended(decision, end),
    });
    this.#active.add(active);
    return active;
  }

  /** It has certainly stopped, or never began. */
  settle(active: Active, end: LeaseEnd): void {
    active.lease.finish(end);
    active.settle();
    this.#active.delete(active);
    this.#options.journal.over(active.decision.id);
  }

  /** Decisions whose actions run now, or are about to. */
  running(): readonly Decision[] {
    return [...this.#active].filter(({ lease }) => lease.alive).map(({ decision }) => decision);
  }

  /** Actions whose lease is over, and that may not have stopped yet. */
  stopping(): readonly Active[] {
    return [...this.#active].filter(({ lease }) => !lease.alive);
  }

  /** Ends whatever else runs on the device of a safe action. */
  madeSafe(by: Active): void {
    const { device } = by.decision.request;
    for (const other of this.#active)
      if (other !== by && other.decision.request.device === device)
        other.lease.finish({ cause: 'made-safe' });
  }

  /** Ends everything; resolved when it has stopped. @throws {StillRunning} */
  async finishAll(end: LeaseEnd): Promise<void> {
    const all = [...this.#active];
    for (const { lease } of all) lease.finish(end);
    await this.stopped(all);
  }

  /** Resolved when all of these have stopped. @throws {StillRunning} */
  stopped(actions: readonly Active[]): Promise<void> {
    return allSettled(actions, this.#options.clock, this.#options.stopWithinMs ?? 10_000);
  }

  /** Listens to nothing more. Idempotent. */
  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }
}
