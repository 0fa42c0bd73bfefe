import { base64url } from '../core/bytes.ts';
import type { Random } from '../core/platform.ts';
import type { Arguments, DeviceDescription, Grant, HeldGrant, Prohibition, Risk } from '../grants/index.ts';
import { checkAgainst } from '../grants/index.ts';
import { argumentFault } from './arguments.ts';
import { Compiler } from './compiler.ts';
import type { Confirmations } from './confirmation.ts';
import type { ActionRequest, ConfirmationNeeded, Decision, Reason } from './decision.ts';
import { messages } from './decision.ts';
import { GrantElsewhere, GrantRevoked, TooMany } from './errors.ts';
import type { Dependency, Moment } from './evaluation.ts';
import { dependency } from './evaluation.ts';
import type { Generations } from './generations.ts';
import type { Entry, Freshness } from './held.ts';
import { chargesOf, dependenciesOf, entryOf, judge, limitsAllow } from './held.ts';
import { GrantIndex } from './held-index.ts';
import type { Cell } from './inputs.ts';
import type { Charge, Limits } from './limits.ts';
import { HouseRules } from './rules.ts';
import type { World } from './sources.ts';

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
  /**
   * How old the newest status of a grant may be, in milliseconds, by risk class of the action; safe actions need none.
   * Default: `motion`, `safety`, `access` a minute; `comfort` an hour; `info` for as long as the grant lives.
   */
  readonly statusWithinMs?: Partial<Record<Risk, number>> | undefined;
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

/** Further is nearer to a permit: of several refusals the nearest is told. */
const order: readonly Reason[] = [
  'no-grant',
  'expired',
  'time',
  'status',
  'outside-grant',
  'condition',
  'unknown',
  'limit',
  'confirmation',
  'permitted',
];

const statusWithinMs: Readonly<Record<Risk, number>> = {
  motion: 60_000,
  safety: 60_000,
  access: 60_000,
  comfort: 3_600_000,
  info: Number.POSITIVE_INFINITY,
};

/**
 * Decides, and nothing else: no I/O, no waiting, no input that an adapter did not report.
 * Deny overrides; unknown never permits and makes a house rule fire (design.md section 6).
 */
export class Pdp {
  readonly #options: PdpOptions;
  readonly #devices = new Map<string, DeviceDescription>();
  readonly #compiler: Compiler;
  readonly #index: GrantIndex;
  readonly #rules: HouseRules;
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
    const compiler = new Compiler(options.world);
    this.#compiler = compiler;
    this.#rules = new HouseRules(compiler);
    this.#index = new GrantIndex((entry) => compiler.releaseAll(entry));
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
   * Checks that everything a grant names exists here with the right type, before it is accepted.
   *
   * @throws {GrantMismatch} naming the member.
   */
  check(grant: Grant): void {
    checkAgainst(grant, [...this.#devices.values()]);
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
    const entry = entryOf(held, this.#compiler);
    for (const [tag, generation] of Object.entries(entry.tags))
      if (!(generation >= this.#options.generations.of(tag))) {
        this.#compiler.releaseAll(entry);
        throw new GrantRevoked(tag);
      }
    const before = this.#index.get(held.id);
    if (before !== undefined) this.#index.remove([before]);
    this.#index.add(entry);
    // Renewed under the same id, what runs goes on if the new one permits it too.
    if (before !== undefined) this.#tell(dependency.grant(held.id));
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
    this.#rules.put(prohibition);
    this.#tell(dependency.prohibitions);
  }

  /** Takes a house rule out of force: policy administration only. @returns whether there was one. */
  allow(id: string): boolean {
    const was = this.#rules.remove(id);
    if (was) this.#tell(dependency.prohibitions);
    return was;
  }

  /** House rules in force, for display. */
  prohibitions(): readonly Prohibition[] {
    return this.#rules.all();
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
    this.#index.sweep();
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
    const given = request.arguments ?? noArguments;
    const fault = argumentFault(action, given);
    if (fault !== undefined) return { ...refused('arguments'), message: fault };
    const safe = action.safe === true;
    const fired = safe ? undefined : this.#rules.firing(request, moment);
    if (fired !== undefined && moment.trace === undefined) return refused('prohibited');
    const running = safe || options.held !== undefined;
    // Nobody asking is nobody permitted.
    let reason: Reason = request.subjects.length === 0 ? 'no-grant' : 'permitted';
    let rule: Entry | undefined;
    const found: Entry[] = [];
    for (const subject of request.subjects) {
      const nearest = this.#nearest(request, subject, moment, given, running);
      const own = nearest.reason;
      if (own === 'permitted' && nearest.entry !== undefined) found.push(nearest.entry);
      else if (reason === 'permitted') {
        reason = own;
        rule = nearest.entry;
      }
      if (own !== 'permitted' && moment.trace === undefined) break;
    }
    if (fired !== undefined) return { ...refused('prohibited'), rule: fired.id, message: fired.reason };
    if (reason !== 'permitted')
      return {
        ...refused(reason),
        rule: rule?.held.id,
        confirmations: reason === 'confirmation' ? (rule?.confirmations ?? []) : [],
      };
    if (moment.trace === undefined) return bare;
    return {
      reason,
      rule: found[0]?.held.id,
      grants: found.map((entry) => entry.held.id),
      charges: safe ? [] : unique(found.flatMap((entry) => chargesOf(entry, given))),
      confirmations: safe ? [] : found.flatMap((entry) => entry.confirmations),
      dependencies: [
        ...new Set([...found.flatMap(dependenciesOf), ...(safe ? [] : this.#rules.dependencies(request))]),
      ],
    };
  }

  /** A grant of `subject` that permits, or the one that came nearest. */
  #nearest(
    request: ActionRequest,
    subject: string,
    moment: Moment,
    given: Arguments,
    running: boolean,
  ): { readonly reason: Reason; readonly entry: Entry | undefined } {
    const few = this.#index.find(request.device, request.action, subject);
    let best: Entry | undefined;
    let reason: Reason = 'no-grant';
    for (const entry of few === undefined ? noEntries : few instanceof Set ? few : [few]) {
      if (!entry.alive || request.grants?.includes(entry.held.id) === false) continue;
      const own = this.#judgeEntry(request, entry, moment, given, running);
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

  #judgeEntry(
    request: ActionRequest,
    entry: Entry,
    moment: Moment,
    given: Arguments,
    running: boolean,
  ): Reason {
    const own = judge(entry, moment, request.action, given, this.#freshness(request));
    if (own !== 'permitted' || running) return own;
    if (!limitsAllow(entry, moment, this.#options.limits, given)) return 'limit';
    return entry.confirmations.length > 0 ? this.#confirmed(request, entry, moment) : own;
  }

  #freshness(request: ActionRequest): Freshness | undefined {
    const source = this.#options.world.status;
    const action = this.#actionOf(request);
    if (source === undefined || action?.safe === true) return undefined;
    const risk = action?.risk ?? this.#devices.get(request.device)?.risk ?? 'motion';
    return { source, boundMs: this.#options.statusWithinMs?.[risk] ?? statusWithinMs[risk] };
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

  /** Gone at once for every decision; only then are those told who wait for it. */
  #drop(entries: readonly Entry[]): void {
    this.#index.remove(entries);
    for (const entry of entries) this.#tell(dependency.grant(entry.held.id));
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

const noArguments: Arguments = {};
const noEntries: readonly Entry[] = [];
/** A permit of which nobody wants to know more. */
const bare: Judged = refused('permitted');

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
