import type { AgentOptions } from '../agent/index.ts';
import { Agent } from '../agent/index.ts';
import { base64url } from '../core/bytes.ts';
import { EventEmitter } from '../core/emitter.ts';
import { messageOf } from '../core/errors.ts';
import type { Credentials } from '../identity/index.ts';
import type { Decision } from '../permissions/index.ts';
import { explain, PermissionDenied } from '../permissions/index.ts';
import type { HeldToken } from '../tokens/index.ts';
import type { Routine, RoutineAction, RoutineResult, RoutineRun } from './routine.ts';
import { causeOf, checkRoutine, grantsFor } from './routine.ts';
import { arm } from './triggers.ts';

/** What a hub is made from: an agent, and what the home does by itself. */
export interface HubOptions extends AgentOptions {
  /** Default: none. */
  readonly routines?: readonly Routine[] | undefined;
}

/** What happened at a hub. Telling is all they do: nothing waits for a listener. */
export interface HubEvents {
  /** A routine ran, with what became of each of its actions. */
  ran: [run: RoutineRun];
  /** A routine did not get a token for its function, or did not run, and why. */
  stuck: [routine: string, reason: string];
}

/** How many runs are remembered. */
const RUNS_MAX = 64;

/**
 * A home: a robot with no legs. It is an {@link Agent} with a TPM, an identity and devices like any other, and has
 * routines besides. Each routine acts in the name of its own software function, with a token that the hub, as resource
 * owner, narrowed for it; every action goes through the enforcement point, and every refusal is kept with its reason.
 */
export class Hub extends EventEmitter<HubEvents> {
  /** The agent underneath: credentials, tokens, permissions, audit. */
  readonly agent: Agent;
  readonly #options: HubOptions;
  readonly #routines: ReadonlyMap<string, Routine>;
  readonly #running = new Set<string>();
  readonly #disarm: (() => void)[] = [];
  readonly #runs: RoutineRun[] = [];

  private constructor(options: HubOptions, agent: Agent, routines: ReadonlyMap<string, Routine>) {
    super();
    this.#options = options;
    this.agent = agent;
    this.#routines = routines;
  }

  /** Opens the TPM, measures what runs here, reads the stored state. Nothing is sent yet, and no routine starts. */
  static async open(options: HubOptions): Promise<Hub> {
    const routines = new Map<string, Routine>();
    for (const routine of options.routines ?? []) {
      if (routines.has(routine.name)) throw new TypeError(`there are two routines named \`${routine.name}\``);
      routines.set(routine.name, checkRoutine(routine));
    }
    const described = new Set(options.devices?.map(({ description }) => description.name));
    for (const { name, actions, trigger } of routines.values())
      for (const device of [
        ...actions.map((action) => action.device),
        ...(trigger !== undefined && 'event' in trigger ? [trigger.event.device] : []),
      ])
        if (!described.has(device))
          throw new TypeError(`routine \`${name}\` names \`${device}\`, which is no device here`);
    return new Hub(options, await Agent.open(options), routines);
  }

  /** Recent runs, oldest first. */
  get runs(): readonly RoutineRun[] {
    return this.#runs;
  }

  /** Enrols, or takes up an earlier enrolment, and learns the time. @throws as `Agent.enrol` */
  async enrol(): Promise<Credentials> {
    const credentials = await this.agent.enrol();
    await this.agent.sync();
    return credentials;
  }

  /**
   * All of it: enrols, gives each routine's function its token, and waits for triggers. A routine that gets no token, because
   * the owner has granted nothing yet, is told with `stuck`; {@link entrust} tries it again.
   */
  async start(): Promise<void> {
    await this.enrol();
    for (const { name } of this.#routines.values())
      await this.entrust(name).catch((error: unknown) => this.emit('stuck', name, messageOf(error)));
    this.arm();
  }

  /**
   * The hub, as resource owner, gives the function of a routine a token narrowed to what the routine needs; it is kept
   * fresh from then on. @throws {IssuerRefused} when the owner has not granted the hub as much.
   */
  async entrust(name: string): Promise<HeldToken> {
    const routine = this.#routine(name);
    const { agentId } = this.agent.enrolled.credentials;
    return await this.agent.authorize({
      function: name,
      authorizationDetails: grantsFor(routine, agentId),
    });
  }

  /** Takes back what {@link entrust} gave: the function of the routine holds nothing any more. */
  withdraw(name: string): void {
    this.agent.tokens.drop(this.#routine(name).name);
  }

  /** From now on triggers start their routines. Idempotent. */
  arm(): void {
    if (this.#disarm.length > 0) return;
    const { clock } = this.#options.platform;
    const { inputs } = this.agent.books.permissions;
    for (const { name, trigger } of this.#routines.values())
      if (trigger !== undefined)
        this.#disarm.push(
          arm(trigger, { clock, inputs }, () => {
            // What starts again while it runs is the same start.
            if (this.#running.has(name)) return;
            this.run(name, causeOf(trigger)).catch((error: unknown) =>
              this.emit('stuck', name, messageOf(error)),
            );
          }),
        );
  }

  /**
   * Runs a routine now. It never fails because of a refusal: each action's result says what became of it.
   *
   * @param cause what started it, for the record. Default: a person.
   * @throws {AuditFailed} {@link AuditFull}: what cannot be recorded does not begin.
   */
  async run(name: string, cause = 'a person'): Promise<RoutineRun> {
    const routine = this.#routine(name);
    const { clock, random } = this.#options.platform;
    const { agentId } = this.agent.enrolled.credentials;
    const at = clock.now();
    const txn = `${name}.${base64url(random.bytes(9))}`;
    this.#running.add(name);
    try {
      await this.agent.books.audit.append({
        kind: 'routine',
        agent: agentId,
        action: name,
        txn,
        cause,
        detail: { function: `${agentId}#${name}` },
      });
      const results: RoutineResult[] = [];
      for (const action of routine.actions) results.push(await this.#act(routine, action, txn));
      const run = { routine: name, cause, at, txn, results };
      this.#runs.push(run);
      if (this.#runs.length > RUNS_MAX) this.#runs.shift();
      this.emit('ran', run);
      return run;
    } finally {
      this.#running.delete(name);
    }
  }

  /**
   * Brings a device into its safe state (locks the door, stops the motor), whoever holds which grant: that is what a safe
   * state is for. It is recorded if it can be, and done in any case. @throws {DriverFailed}
   */
  async makeSafe(device: string, cause = 'a person'): Promise<void> {
    const { audit, permissions } = this.agent.books;
    const agent = this.agent.enrolled.credentials.agentId;
    const recorded = audit.append({ kind: 'stop', agent, resource: device, action: 'make-safe', cause });
    recorded.catch((error: unknown) =>
      this.#options.platform.log.warn('a stop is not recorded', { device, error: messageOf(error) }),
    );
    await permissions.devices.makeSafe(device);
  }

  /** A recent decision in words, with the tree of conditions; `undefined` when it is no longer kept. */
  why(id: string): string | undefined {
    return this.agent.books.permissions.pep.why(id);
  }

  /** No trigger starts anything more; the agent stops what runs and lets go of the TPM. Idempotent. */
  async close(): Promise<void> {
    for (const disarm of this.#disarm.splice(0)) disarm();
    await this.agent.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #act(routine: Routine, action: RoutineAction, txn: string): Promise<RoutineResult> {
    const { tokens, books, enrolled } = this.agent;
    try {
      const { decision, running } = await books.permissions.pep.act({
        ...action,
        subjects: [enrolled.credentials.agentId],
        // The function's own grants and no others, even where the hub itself holds more.
        grants: tokens.grantsOf(routine.name),
        txn,
      });
      return { ...action, result: running === undefined ? 'done' : 'running', ...told(decision) };
    } catch (error) {
      return error instanceof PermissionDenied
        ? { ...action, result: 'refused', ...told(error.decision) }
        : { ...action, result: 'failed', reason: messageOf(error), why: messageOf(error) };
    }
  }

  #routine(name: string): Routine {
    const routine = this.#routines.get(name);
    if (routine === undefined) throw new TypeError(`there is no routine \`${name}\``);
    return routine;
  }
}

function told(decision: Decision): Pick<RoutineResult, 'reason' | 'decision' | 'why'> {
  return { reason: decision.reason, decision, why: explain(decision) };
}
