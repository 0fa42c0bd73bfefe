import { canonicalJson } from '../core/json.ts';
import type { Arguments, Grant, HeldGrant } from '../grants/index.ts';
import { outsideGrant } from './arguments.ts';
import type { Compiled } from './compile.ts';
import type { Compiler } from './compiler.ts';
import { policyDigest } from './confirmation.ts';
import type { ConfirmationNeeded, Reason } from './decision.ts';
import type { Dependency, Explanation, Moment } from './evaluation.ts';
import { dependency, duration, FALSE, TRUE } from './evaluation.ts';
import { elapsedAt, instant } from './leaves.ts';
import type { Charge, Limits } from './limits.ts';
import { amountOf, counterOf } from './limits.ts';
import type { StatusSource } from './sources.ts';

/** @internal One grant of a chain: the held one or an ancestor. */
interface Hop {
  readonly held: HeldGrant;
  /** It is nothing from here on, in milliseconds since 1970. */
  readonly ends: number;
  readonly compiled: Compiled;
}

/** @internal A held grant, compiled with all its ancestors. */
export interface Entry {
  readonly held: HeldGrant;
  /** Itself first, root last. */
  readonly hops: readonly Hop[];
  /** Lowest generation in the chain, by tag. */
  readonly tags: Readonly<Record<string, number>>;
  /** What a person has to confirm before it permits. */
  readonly confirmations: readonly ConfirmationNeeded[];
  /** False from the instant it is removed, whoever still holds it. */
  alive: boolean;
}

const nobody: readonly ConfirmationNeeded[] = [];

/** @internal */
export function entryOf(held: HeldGrant, compiler: Compiler): Entry {
  const hops = [held, ...held.ancestors].map((one) => ({
    held: one,
    ends: Math.min(one.exp, one.grant.until ?? Number.POSITIVE_INFINITY) * 1_000,
    compiled: compiler.compile(one.grant.condition),
  }));
  const tags = hops.length === 1 && held.grant.task === undefined ? held.tags : lowestTags(hops);
  const asked = new Set(hops.flatMap((hop) => hop.compiled.confirm.map(({ by }) => by)));
  const policy = asked.size === 0 ? '' : policyDigest(hops.map((hop) => hop.held.grant));
  return {
    held,
    hops,
    tags,
    confirmations: asked.size === 0 ? nobody : [...asked].map((by) => ({ by, policy })),
    alive: true,
  };
}

/** The lowest generation of each tag; a grant for a task has the task's tag, whether its issuer said so or not. */
function lowestTags(hops: readonly Hop[]): Readonly<Record<string, number>> {
  const lowest = new Map<string, number>();
  for (const { held } of hops) {
    const { task } = held.grant;
    const tags = task === undefined ? held.tags : { [`task:${task}`]: 0, ...held.tags };
    for (const [tag, generation] of Object.entries(tags))
      lowest.set(tag, Math.min(lowest.get(tag) ?? generation, generation));
  }
  return Object.fromEntries(lowest);
}

/** @internal Whatever can change what an entry says, besides time passing. */
export function dependenciesOf(entry: Entry): readonly Dependency[] {
  return [
    dependency.grant(entry.held.id),
    dependency.time,
    dependency.status,
    ...entry.hops.flatMap((hop) => hop.compiled.dependencies),
  ];
}

/** @internal How old the knowledge of revocations may be for this request. */
export interface Freshness {
  readonly source: StatusSource;
  readonly boundMs: number;
}

/** @internal Everything an entry says about a request but limits and confirmation; the same path with and without trace. */
export function judge(
  entry: Entry,
  moment: Moment,
  action: string,
  given: Arguments,
  freshness: Freshness | undefined,
): Reason {
  if (!entry.alive) return 'no-grant';
  const outer = moment.trace;
  let reason: Reason = 'permitted';
  for (const hop of entry.hops) {
    const of: Explanation[] | undefined = outer === undefined ? undefined : [];
    moment.trace = of;
    const own = judgeHop(hop, moment, entry.held.grant, action, given, freshness);
    moment.trace = outer;
    if (own !== 'permitted' && reason === 'permitted') reason = own;
    if (of === undefined) {
      if (own !== 'permitted') return own;
    } else {
      const value =
        own === 'permitted'
          ? true
          : own === 'unknown' || own === 'time' || own === 'status'
            ? 'unknown'
            : false;
      outer?.push({
        op: hop === entry.hops[0] ? 'grant' : 'ancestor',
        value,
        detail: `\`${hop.held.id}\``,
        of,
      });
    }
  }
  return reason;
}

function judgeHop(
  hop: Hop,
  moment: Moment,
  leaf: Grant,
  action: string,
  given: Arguments,
  freshness: Freshness | undefined,
): Reason {
  const { grant } = hop.held;
  const { trace } = moment;
  let reason: Reason = 'permitted';
  if (grant.device !== leaf.device || !grant.actions.includes(action)) {
    trace?.push({ op: 'actions', value: false, detail: `does not name \`${leaf.device}.${action}\`` });
    reason = 'no-grant';
  }
  if (!(moment.hi < hop.ends)) {
    const ended = moment.lo >= hop.ends;
    if (reason === 'permitted') reason = ended ? 'expired' : 'time';
    trace?.push({ op: 'time', value: ended ? false : 'unknown', detail: `it ends ${instant(hop.ends)}` });
  } else if (trace !== undefined) {
    moment.until = Math.min(moment.until, elapsedAt(moment, hop.ends));
  }
  if (freshness !== undefined && !isFresh(hop.held, freshness, moment) && reason === 'permitted')
    reason = 'status';
  const outside = outsideGrant(grant, action, given);
  if (outside !== undefined) {
    if (reason === 'permitted') reason = 'outside-grant';
    trace?.push({
      op: 'arguments',
      value: false,
      detail: `\`${outside}\` must be ${canonicalJson(grant.arguments?.[action]?.[outside])}`,
    });
  }
  if (reason !== 'permitted' && trace === undefined) return reason;
  const truth = hop.compiled.evaluate(moment);
  if (truth !== TRUE && reason === 'permitted') reason = truth === FALSE ? 'condition' : 'unknown';
  return reason;
}

/** What is not known to be unrevoked recently enough is neither permitted nor denied: unknown. */
function isFresh(held: HeldGrant, { source, boundMs }: Freshness, moment: Moment): boolean {
  const at = source.freshAt(held) ?? Number.NEGATIVE_INFINITY;
  const fresh = moment.elapsed - at <= boundMs;
  if (moment.trace !== undefined) {
    if (fresh) moment.until = Math.min(moment.until, at + boundMs + 1);
    else
      moment.trace.push({
        op: 'status',
        value: 'unknown',
        detail: `its status is ${duration(moment.elapsed - at)} old (at most ${duration(boundMs)})`,
      });
  }
  return fresh;
}

/** @internal What the grants of a chain count in a request, each counter once. */
export function chargesOf(entry: Entry, given: Arguments): readonly Charge[] {
  const charges = new Map<string, Charge>();
  for (const { held } of entry.hops)
    for (const limit of held.grant.limits ?? []) {
      const counter = counterOf(held, limit);
      const known = charges.get(counter);
      charges.set(counter, {
        counter,
        amount: amountOf(limit, given),
        windowMs: Math.max(known?.windowMs ?? 0, limit.perMs ?? 0),
      });
    }
  return [...charges.values()];
}

/** @internal Whether every limit of the chain has room; adds each to the explanation. */
export function limitsAllow(entry: Entry, moment: Moment, limits: Limits, given: Arguments): boolean {
  let room = true;
  for (const { held } of entry.hops)
    for (const limit of held.grant.limits ?? []) {
      const counter = counterOf(held, limit);
      const allowed = limits.allows(counter, limit, amountOf(limit, given));
      room = room && allowed;
      moment.trace?.push({
        op: 'limit',
        value: allowed,
        detail: `${limit.kind}${limit.argument === undefined ? '' : ` of ${limit.argument}`}: ${limits.used(counter, limit)} of ${limit.max} used${limit.perMs === undefined ? '' : ` in ${duration(limit.perMs)}`}`,
      });
    }
  return room;
}
