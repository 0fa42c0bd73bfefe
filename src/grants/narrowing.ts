import { canonicalJson } from '../core/json.ts';
import { readGrant } from './check.ts';
import type { Condition } from './condition.ts';
import { GrantWider } from './errors.ts';
import type { ArgumentLimit, Grant } from './grant.ts';
import type { Limit } from './limit.ts';

/** What a narrower grant may say; a member that is absent stays the parent's. */
export type Narrowing = Partial<
  Pick<Grant, 'locations' | 'actions' | 'arguments' | 'condition' | 'limits' | 'task' | 'until'>
>;

/**
 * Checks that `child` allows nothing that `parent` does not (design.md section 6, "narrowing is structural").
 *
 * Everything is compared by enumeration, and what cannot be compared is refused: actions and locations are subsets;
 * argument limits lie inside; `until` is not later; the condition is the parent's, unchanged, or an `and` with the
 * parent's as one member; each limit has a counterpart that is not looser; a task may be added, never changed.
 *
 * @throws {GrantWider} naming the member.
 */
export function narrows(parent: Grant, child: Grant): void {
  if (child.type !== parent.type) throw new GrantWider('type', 'another type');
  if (child.device !== parent.device) throw new GrantWider('device', `\`${child.device}\``);
  subset('locations', parent.locations, child.locations);
  subset('actions', parent.actions, child.actions);
  if (parent.task !== undefined && child.task !== parent.task) throw new GrantWider('task', 'another task');
  if (parent.until !== undefined && (child.until === undefined || child.until > parent.until))
    throw new GrantWider('until', `ends after ${parent.until}`);
  for (const action of child.actions)
    for (const [name, limit] of Object.entries(parent.arguments?.[action] ?? {}))
      if (!inside(limit, child.arguments?.[action]?.[name]))
        throw new GrantWider(`arguments.${action}.${name}`, 'not inside');
  if (!keepsCondition(parent.condition, child.condition))
    throw new GrantWider('condition', "the parent's condition is not kept as it is");
  for (const limit of parent.limits ?? [])
    if (!(child.limits ?? []).some((own) => notLooser(limit, own)))
      throw new GrantWider('limits', `no limit as tight as \`${limit.kind}\` ${limit.max}`);
}

/**
 * A grant narrower than `parent`: what `extra` says on top of what the parent says.
 *
 * @throws {GrantWider} when `extra` would widen, naming the member. @throws {GrantMalformed} when the result is not a grant.
 */
export function narrow(parent: Grant, extra: Narrowing): Grant {
  const actions = extra.actions ?? parent.actions;
  const limits = [...(parent.limits ?? []), ...(extra.limits ?? [])];
  const args: Record<string, Record<string, ArgumentLimit>> = {};
  for (const action of actions) {
    const merged = { ...parent.arguments?.[action], ...extra.arguments?.[action] };
    if (Object.keys(merged).length > 0) args[action] = merged;
  }
  for (const action of Object.keys(extra.arguments ?? {}))
    if (!actions.includes(action)) throw new GrantWider(`arguments.${action}`, 'not a granted action');
  const child = readGrant(
    JSON.parse(
      canonicalJson({
        ...parent,
        locations: extra.locations ?? parent.locations,
        actions,
        arguments: Object.keys(args).length > 0 ? args : undefined,
        condition: both(parent.condition, extra.condition),
        limits: limits.length > 0 ? limits : undefined,
        task: extra.task ?? parent.task,
        until: extra.until ?? parent.until,
      }),
    ),
  );
  narrows(parent, child);
  return child;
}

/**
 * For each of `children`, the index of a parent that it narrows: how a token's whole `authorization_details` is
 * compared with its parent's.
 *
 * @throws {GrantWider} for the first child that narrows none; the member is the one that its best match names.
 */
export function narrowsAll(parents: readonly Grant[], children: readonly Grant[]): readonly number[] {
  return children.map((child) => {
    let refusal: GrantWider | undefined;
    for (const [index, parent] of parents.entries()) {
      try {
        narrows(parent, child);
        return index;
      } catch (error) {
        if (!(error instanceof GrantWider)) throw error;
        // A parent for the same device says more about what is wrong than one for another.
        if (refusal === undefined || refusal.member === 'device') refusal = error;
      }
    }
    throw refusal ?? new GrantWider('device', 'the parent grants nothing');
  });
}

/** `a` and `b`, with `a` untouched; either may be absent. */
function both(a: Condition | undefined, b: Condition | undefined): Condition | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return { op: 'and', of: [a, b] };
}

function subset(member: string, parent: readonly string[], child: readonly string[]): void {
  for (const one of child) if (!parent.includes(one)) throw new GrantWider(member, `\`${one}\``);
}

/** Whether every value that `child` lets pass also passes `parent`. */
function inside(parent: ArgumentLimit, child: ArgumentLimit | undefined): boolean {
  if (child === undefined) return false;
  if (child.oneOf !== undefined) return child.oneOf.every((value) => passes(parent, value));
  if (parent.oneOf !== undefined) return false;
  if (parent.min !== undefined && !(child.min !== undefined && child.min >= parent.min)) return false;
  return parent.max === undefined || (child.max !== undefined && child.max <= parent.max);
}

/** Whether an argument's value is within a limit: a bound lets only finite numbers pass. */
export function passes(limit: ArgumentLimit, value: unknown): boolean {
  if (limit.oneOf !== undefined && !limit.oneOf.some((one) => one === value)) return false;
  if (limit.min === undefined && limit.max === undefined) return limit.oneOf !== undefined;
  if (typeof value !== 'number' || !Number.isFinite(value)) return false;
  return (limit.min === undefined || value >= limit.min) && (limit.max === undefined || value <= limit.max);
}

function keepsCondition(parent: Condition | undefined, child: Condition | undefined): boolean {
  if (parent === undefined) return true;
  if (child === undefined) return false;
  const bytes = canonicalJson(parent);
  return (
    canonicalJson(child) === bytes ||
    (child.op === 'and' && child.of.some((member) => canonicalJson(member) === bytes))
  );
}

/** At most `max` in a longer window (or in a whole life) is at most `max` in each shorter one. */
function notLooser(parent: Limit, child: Limit): boolean {
  return (
    child.kind === parent.kind &&
    child.argument === parent.argument &&
    child.max <= parent.max &&
    (parent.perMs === undefined
      ? child.perMs === undefined
      : child.perMs === undefined || child.perMs >= parent.perMs)
  );
}
