import type { Arguments, DeviceDescription, Risk } from '../grants/index.ts';
import { argumentFault } from './arguments.ts';
import type { Confirmations } from './confirmation.ts';
import type { ActionRequest, ConfirmationNeeded, Reason } from './decision.ts';
import type { Dependency, Moment } from './evaluation.ts';
import type { Entry, Freshness } from './held.ts';
import { chargesOf, dependenciesOf, judge, limitsAllow } from './held.ts';
import type { GrantIndex } from './held-index.ts';
import type { Cell } from './inputs.ts';
import type { Charge, Limits } from './limits.ts';
import type { HouseRules } from './rules.ts';
import type { World } from './sources.ts';

/** What requests are judged by. */
export interface JudgeOptions {
  readonly world: World;
  readonly limits: Limits;
  readonly confirmations: Confirmations;
  /**
   * How old the newest status of a grant may be, in milliseconds, by risk class of the action; safe actions need none.
   * Default: `motion`, `safety`, `access` a minute; `comfort` an hour; `info` for as long as the grant lives.
   */
  readonly statusWithinMs?: Partial<Record<Risk, number>> | undefined;
}

/** How a request is judged. */
export interface DecideOptions {
  /** Id of the decision under which the action already runs: limits are booked, confirmations used, neither is asked again. */
  readonly held?: string | undefined;
  /** Only what if: another time, other inputs. */
  readonly suppose?: { readonly at?: number; readonly inputs?: ReadonlyMap<Dependency, Cell> } | undefined;
}

/** What a request came to, and what that rests on. */
export interface Judged {
  readonly reason: Reason;
  readonly message?: string;
  readonly rule: string | undefined;
  readonly grants: readonly string[];
  readonly charges: readonly Charge[];
  readonly confirmations: readonly ConfirmationNeeded[];
  readonly dependencies: readonly Dependency[];
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

/** Judges one request at one moment; it holds nothing and changes nothing. */
export class Judge {
  readonly #options: JudgeOptions;
  readonly #devices: ReadonlyMap<string, DeviceDescription>;
  readonly #index: GrantIndex;
  readonly #rules: HouseRules;
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

  constructor(
    options: JudgeOptions,
    devices: ReadonlyMap<string, DeviceDescription>,
    index: GrantIndex,
    rules: HouseRules,
  ) {
    this.#options = options;
    this.#devices = devices;
    this.#index = index;
    this.#rules = rules;
  }

  /** Deny overrides; of several refusals the one nearest to a permit is told. Without a trace: the reason alone. */
  judge(request: ActionRequest, moment: Moment, options: DecideOptions): Judged {
    const action = this.actionOf(request);
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
    const action = this.actionOf(request);
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

  /** The description of the action, if the device has it. */
  actionOf(request: ActionRequest) {
    const device = this.#devices.get(request.device);
    return device !== undefined && Object.hasOwn(device.actions, request.action)
      ? device.actions[request.action]
      : undefined;
  }

  /** One moment is reused for bare verdicts; it is filled anew each time. */
  now(traced: boolean, suppose: DecideOptions['suppose']): Moment {
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
