import type { Condition, WindowCondition } from './condition.ts';
import { GrantMalformed } from './errors.ts';
import type { Grant } from './grant.ts';

/** What no schema can say about a grant. @throws {GrantMalformed} @internal */
export function checkGrantMeaning(grant: Grant, prefix: string): void {
  if (grant.condition !== undefined) checkConditionMeaning(grant.condition, `${prefix}condition`, 'grant');
  for (const action of Object.keys(grant.arguments ?? {}))
    if (!grant.actions.includes(action))
      throw new GrantMalformed(`${prefix}arguments.${action}`, 'is not one of the granted actions');
  // Two enforcement points cannot count together without a network: a limit names one counting point.
  if ((grant.limits?.length ?? 0) > 0 && grant.locations.length !== 1)
    throw new GrantMalformed(
      `${prefix}locations`,
      'a grant with limits has exactly one location, which counts',
    );
}

/**
 * What no schema can say about a condition: size, zone, times, one comparison, where `confirm` may stand.
 *
 * @param path of the condition, for the error.
 * @throws {GrantMalformed}
 * @internal
 */
export function checkConditionMeaning(condition: Condition, path: string, of: 'grant' | 'prohibition'): void {
  const seen = { nodes: 0 };
  visit(condition, path, 1, of === 'grant');

  function visit(node: Condition, at: string, depth: number, mayConfirm: boolean): void {
    if (depth > 16) throw new GrantMalformed(at, 'is nested deeper than 16');
    if (++seen.nodes > 256) throw new GrantMalformed(at, 'has more than 256 conditions');
    const member = (name: string) => (at === '' ? name : `${at}.${name}`);
    switch (node.op) {
      case 'and':
      case 'or':
        for (const [index, child] of node.of.entries())
          visit(child, member(`of.${index}`), depth + 1, mayConfirm && node.op === 'and');
        break;
      case 'not':
        visit(node.of, member('of'), depth + 1, false);
        break;
      case 'confirm':
        if (!mayConfirm)
          throw new GrantMalformed(at, '`confirm` stands only in the `and` at the top of a grant');
        break;
      case 'window':
        checkWindow(node, member);
        break;
      case 'sun': {
        const { fromOffsetMin = 0, toOffsetMin = 0 } = node;
        if (node.from === node.to && fromOffsetMin >= toOffsetMin)
          throw new GrantMalformed(member('to'), 'must be later than `from`');
        break;
      }
      case 'state': {
        const comparisons = [node.is, node.lt, node.le, node.gt, node.ge, node.in];
        if (comparisons.filter((one) => one !== undefined).length !== 1)
          throw new GrantMalformed(at, 'a state has exactly one comparison');
        break;
      }
      case 'event':
      case 'geo':
      case 'posture':
      case 'domain':
      case 'expires':
        break;
    }
  }
}

function checkWindow(node: WindowCondition, member: (name: string) => string): void {
  if (node.from === node.to) throw new GrantMalformed(member('to'), 'must not equal `from`');
  if (!isZone(node.zone))
    throw new GrantMalformed(member('zone'), 'is not an IANA time zone, for example `Europe/Berlin`');
}

/**
 * Whether `zone` is an IANA zone by its proper name: `Europe/Berlin` or `UTC`, never `europe/berlin`, `GMT+2`, `+01:00`
 * or the empty string (which some libraries take for the zone of the machine).
 */
export function isZone(zone: string): boolean {
  if (zone !== 'UTC' && !/^[A-Z][A-Za-z_]*(\/[A-Z][A-Za-z0-9_+-]*){1,2}$/.test(zone)) return false;
  try {
    const { timeZone } = new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions();
    return timeZone === zone || timeZone.toLowerCase() !== zone.toLowerCase();
  } catch {
    return false;
  }
}
