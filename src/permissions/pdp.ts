import { base64url } from '../core/bytes.ts';
import type { Random } from '../core/platform.ts';
import type { Arguments, DeviceDescription, HeldGrant, Prohibition } from '../grants/index.ts';
import { argumentFault } from './arguments.ts';
import type { Compiled } from './compile.ts';
import { compile } from './compile.ts';
import type { Confirmations } from './confirmation.ts';
import type { ActionRequest, ConfirmationNeeded, Decision, Reason } from './decision.ts';
import { messages } from './decision.ts';
import { GrantElsewhere, GrantRevoked, TooMany } from './errors.ts';
import type { Dependency, Explanation, Moment } from './evaluation.ts';
import { dependency, FALSE, shown } from './evaluation.ts';
import type { Generations } from './generations.ts';
import type { Entry } from './held.ts';
import { chargesOf, entryOf, judge, limitsAllow } from './held.ts';
import { GrantIndex } from './held-index.ts';
import type { Cell } from './inputs.ts';
import type { Charge, Limits } from './limits.ts';
import type { World } from './sources.ts';
import type { ZoneClock } from './zone.ts';
import { zoneClock } from './zone.ts';

/** What a decision point is made of. */
export interface PdpOptions {
  /** Identifier of this agent: grants that do not name it in `locations` are not for it. */
  readonly self: string;
  readonly world: World;
  readonly random: Random;
  readonly generations: Generations;
  readonly limits: Limits;
  readonly confirmations: Confirmations;
  readonly devices: readonly DeviceDescription[];
  /** Most grants held. Default: 100,000. */
  readonly maxGrants?: number | undefined;
}

/** How a request is judged. */
export interface DecideOptions {
  /** Id of the decision under which the action already runs: limits are booked, confirmations used, neither is asked again. */
  readonly held?: string | undefined;
  /** Only what if: another time, other inputs. */
  readonly suppose?: { readonly at?: number; readonly inputs?: ReadonlyMap<Dependency, Cell> } | undefined;
}

interface Rule {
  readonly prohibition: Prohibition;
  readonly compiled: Compiled;
}

/** Further is nearer to a permit: of several refusals the nearest is told. */
const order: readonly Reason[] = [
  'no-grant',
  'expired',
  'time',
  'outside-grant',
  'condition',
  'unknown',
  'limit',
  'confirmation',
  'permitted',
];

/**
 * Decides, and nothing else: no I/O, no waiting, no input that an adapter did not report.
 * Deny overrides; unknown never permits and makes a house rule fire (design.md section 6).
 */
export class Pdp {
  readonly #options: PdpOptions;
  readonly #devices = new Map<string, DeviceDescription>();
  readonly #index = new GrantIndex();
  readonly #rules = new Map<string, Rule>();
  readonly #zones = new Map<string, ZoneClock>();
  readonly #listeners = new Set<(key: Dependency) => void>();
  readonly #moment: Moment = {
    elapsed: 0,
    lo: 0,
    hi: 0,
    rate: 1,
    jumps: false,
    overlay: undefined,
    trace: undefined,
    until: Number.POSITIVE_INFINITY,
  };

  constructor(options: PdpOptions) {
    this.#options = options;
    for (const device of options.devices) this.#devices.set(device.name, device);
  }

  /** How many grants are held. */
  get size(): number {
    return this.#index.size;
  }

  /** A device joined. Its grants may already be held. */
  describe(device: DeviceDescription): void {
    this.#devices.set(device.name, device);
  }

  /**
   * Holds a grant from now on. The tokens or domains step has verified it; held again under the same id it is replaced.
   *
   * @throws {GrantElsewhere} for another enforcement point. @throws {GrantRevoked} when a tag has a newer generation.
   * @throws {TooMany}
   */
  add(held: HeldGrant): void {
    for (const { grant } of [held, ...held.ancestors])
      if (!grant.locations.includes(this.#options.self))
        throw new GrantElsewhere(`grant \`${held.id}\` is not for this agent`);
    if (this.#index.size >= (this.#options.maxGrants ?? 100_000))
      throw new TooMany('more grants than this agent holds');
    for (const { tags } of [held, ...held.ancestors])
      for (const [tag, generation] of Object.entries(tags))
        if (!(generation >= this.#options.generations.of(tag))) throw new GrantRevoked(tag);
    const before = this.#index.get(held.id);
    if (before !== undefined) this.#drop([before]);
    this.#index.add(entryOf(held, this.#options.world, this.#zone));
  }

  /** Holds a grant no longer, nor what was narrowed from it. @returns how many are gone. */
  remove(id: string): number {
    const gone = this.#index.family(id);
    this.#drop(gone);
    return gone.length;
  }

  /** Everything held, for display. */
  held(): readonly HeldGrant[] {
    return this.#index.all().map((entry) => entry.held);
  }

  /**
   * Raises the generation of a tag: every grant with a lower one, and all that was narrowed from it, is gone before this
   * returns. O(number of grants with the tag).
   *
   * @returns how many grants are gone.
   */
  raise(tag: string, generation: number): number {
    this.#options.generations.raise(tag, generation);
    const newest = this.#options.generations.of(tag);
    const gone = this.#index.tagged(tag).filter((entry) => !((entry.tags[tag] ?? 0) >= newest));
    this.#drop(gone);
    return gone.length;
  }

  /** Puts a house rule in force, replacing one with the same id. */
  prohibit(prohibition: Prohibition): void {
    this.allow(prohibition.id);
    this.#rules.set(prohibition.id, {
      prohibition,
      compiled: compile(prohibition.condition, this.#options.world, this.#zone),
    });
    this.#tell(dependency.prohibitions);
  }

  /** Takes a house rule out of force: policy administration only. @returns whether there was one. */
  allow(id: string): boolean {
    const rule = this.#rules.get(id);
    if (rule === undefined) return false;
    this.#rules.delete(id);
    this.#release([rule.compiled]);
    this.#tell(dependency.prohibitions);
    return true;
  }

  /** Calls `listener` with the key of each grant that is gone, and when house rules change. */
  onChange(listener: (key: Dependency) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The bare answer, without an explanation: the same path as {@link decide}, with nothing written down. */
  verdict(request: ActionRequest): Reason {
    return this.#judge(request, this.#now(false, undefined), {}).reason;
  }

  /** Decides and explains. It changes nothing: limits are booked by whoever acts. */
  decide(request: ActionRequest, options: DecideOptions = {}): Decision {
    const moment = this.#now(true, options.suppose);
    const of = moment.trace ?? [];
    const judged = this.#judge(request, moment, options);
    const device = this.#devices.get(request.device);
    const action = this.#actionOf(request);
    const verdict = judged.reason === 'permitted' ? 'permit' : 'deny';
    return {
      id: options.held ?? base64url(this.#options.random.bytes(12)),
      verdict,
      reason: judged.reason,
      message: judged.message ?? messages[judged.reason],
      rule: judged.rule,
      grants: judged.grants,
      request,
      risk: action?.risk ?? device?.risk ?? 'motion',
      safe: action?.safe === true,
      at: moment.lo,
      explanation: { op: 'decision', value: verdict === 'permit', detail: judged.reason, of },
      leaseUntil: moment.until,
      dependencies: judged.dependencies,
      charges: judged.charges,
      confirmations: judged.confirmations,
    };
  }

  #judge(request: ActionRequest, moment: Moment, options: DecideOptions): Judged {
    const action = this.#actionOf(request);
    if (action === undefined) return refused('unknown-action');
    const given = request.arguments ?? {};
    const fault = argumentFault(action, given);
    if (fault !== undefined) return { ...refused('arguments'), message: fault };
    const safe = action.safe === true;
    const dependencies = new Set<Dependency>();
    const fired = safe ? undefined : this.#firing(request, moment, dependencies);
    const found: Entry[] = [];
    const charges: Charge[] = [];
    let worst: Judged | undefined;
    // Nobody asking is nobody permitted.
    if (request.subjects.length === 0) return refused('no-grant');
    for (const subject of request.subjects) {
      const { reason, entry } = this.#nearest(
        request,
        subject,
        moment,
        given,
        safe || options.held !== undefined,
      );
      if (reason === 'permitted' && entry !== undefined) {
        found.push(entry);
        if (!safe) charges.push(...chargesOf(entry, given));
        for (const key of entry.dependencies) dependencies.add(key);
      } else if (worst === undefined) {
        worst = {
          ...refused(reason),
          rule: entry?.held.id,
          confirmations: reason === 'confirmation' ? (entry?.confirmations ?? []) : [],
        };
        if (moment.trace === undefined) break;
      }
    }
    if (fired !== undefined) return { ...refused('prohibited'), rule: fired.id, message: fired.reason };
    if (worst !== undefined) return worst;
    return {
      reason: 'permitted',
      rule: found[0]?.held.id,
      grants: found.map((entry) => entry.held.id),
      charges: unique(charges),
      confirmations: safe ? [] : found.flatMap((entry) => entry.confirmations),
      dependencies: moment.trace === undefined ? [] : [...dependencies],
    };
  }

  /** The first house rule that fires: its condition is not surely false. */
  #firing(request: ActionRequest, moment: Moment, dependencies: Set<Dependency>): Prohibition | undefined {
    let fired: Prohibition | undefined;
    dependencies.add(dependency.prohibitions);
    for (const { prohibition, compiled } of this.#rules.values()) {
      if (prohibition.device !== '*' && prohibition.device !== request.device) continue;
      if (prohibition.actions !== '*' && !prohibition.actions.includes(request.action)) continue;
      const outer = moment.trace;
      const of: Explanation[] | undefined = outer === undefined ? undefined : [];
      moment.trace = of;
      const truth = compiled.evaluate(moment);
      moment.trace = outer;
      for (const key of compiled.dependencies) dependencies.add(key);
      if (of !== undefined)
        outer?.push({
          op: 'prohibition',
          value: shown(truth),
          detail: `\`${prohibition.id}\`: ${prohibition.reason}`,
          of,
        });
      if (truth === FALSE) continue;
      fired ??= prohibition;
      if (outer === undefined) return fired;
    }
    return fired;
  }

  /** A grant of `subject` that permits, or the one that came nearest. */
  #nearest(
    request: ActionRequest,
    subject: string,
    moment: Moment,
    given: Arguments,
    held: boolean,
  ): { readonly reason: Reason; readonly entry: Entry | undefined } {
    let best: Entry | undefined;
    let reason: Reason = 'no-grant';
    for (const entry of this.#index.find(request.device, request.action, subject)) {
      if (request.grants !== undefined && !request.grants.includes(entry.held.id)) continue;
      let own = judge(entry, moment, request.action, given);
      if (own === 'permitted' && !held) {
        if (!limitsAllow(entry, moment, this.#options.limits, given)) own = 'limit';
        else if (entry.confirmations.length > 0) own = this.#confirmed(request, entry, moment);
      }
      if (best === undefined || order.indexOf(own) > order.indexOf(reason)) {
        best = entry;
        reason = own;
      }
      if (own === 'permitted') break;
    }
    if (best === undefined)
      moment.trace?.push({ op: 'grant', value: false, detail: `\`${subject}\` holds none for this` });
    return { reason, entry: best };
  }

  #confirmed(request: ActionRequest, entry: Entry, moment: Moment): Reason {
    const holds = this.#options.confirmations.holds(request, entry.confirmations);
    for (const { by } of entry.confirmations)
      moment.trace?.push({
        op: 'confirm',
        value: holds ? true : 'unknown',
        detail: holds ? `\`${by}\` confirmed this` : `\`${by}\` has not confirmed this`,
      });
    return holds ? 'permitted' : 'confirmation';
  }

  #actionOf(request: ActionRequest) {
    const device = this.#devices.get(request.device);
    return device !== undefined && Object.hasOwn(device.actions, request.action)
      ? device.actions[request.action]
      : undefined;
  }

  /** One moment is reused for bare verdicts; it is filled anew each time. */
  #now(traced: boolean, suppose: DecideOptions['suppose']): Moment {
    const moment = traced ? { ...this.#moment } : this.#moment;
    this.#options.world.time.fill(moment);
    moment.trace = traced ? [] : undefined;
    moment.until = Number.POSITIVE_INFINITY;
    moment.overlay = suppose?.inputs;
    if (suppose?.at !== undefined) {
      moment.lo = suppose.at;
      moment.hi = suppose.at;
    }
    return moment;
  }

  readonly #zone = (name: string): ZoneClock => {
    const known = this.#zones.get(name);
    if (known !== undefined) return known;
    const made = zoneClock(name);
    this.#zones.set(name, made);
    return made;
  };

  /** Gone at once for every decision; only then are those told who wait for it. */
  #drop(entries: readonly Entry[]): void {
    for (const entry of entries) {
      entry.alive = false;
      this.#index.remove(entry);
    }
    for (const entry of entries) {
      this.#release(entry.hops.map((hop) => hop.compiled));
      this.#tell(dependency.grant(entry.held.id));
    }
  }

  #release(compiled: readonly Compiled[]): void {
    for (const one of compiled) for (const cell of one.cells) this.#options.world.inputs.release(cell);
  }

  #tell(key: Dependency): void {
    for (const listener of this.#listeners) listener(key);
  }
}

interface Judged {
  readonly reason: Reason;
  readonly message?: string;
  readonly rule: string | undefined;
  readonly grants: readonly string[];
  readonly charges: readonly Charge[];
  readonly confirmations: readonly ConfirmationNeeded[];
  readonly dependencies: readonly Dependency[];
}

function refused(reason: Reason): Judged {
  return { reason, rule: undefined, grants: [], charges: [], confirmations: [], dependencies: [] };
}

/** Subjects of one family share counters; a request is booked once on each. */
function unique(charges: readonly Charge[]): readonly Charge[] {
  const byCounter = new Map<string, Charge>();
  for (const charge of charges) {
    const known = byCounter.get(charge.counter);
    byCounter.set(charge.counter, {
      ...charge,
      windowMs: Math.max(charge.windowMs, known?.windowMs ?? 0),
    });
  }
  return [...byCounter.values()];
}
