import { Malformed } from '../core/errors.ts';
import type { Condition, Grant } from '../grants/index.ts';
import { GrantWider, narrows, readGrants } from '../grants/index.ts';
import { isAgentId } from '../identity/agent-id.ts';

const ROLE = /^role:[a-z][a-z0-9-]{0,63}$/;
/** At most so many grants may come out of one when role names are filled in. */
const VARIANTS_MAX = 256;

/** `authorization_details` of a token: every location is an agent. @throws {Malformed} {@link GrantMalformed} */
export function readDetails(value: unknown): readonly Grant[] {
  const grants = readGrants(value);
  for (const grant of grants)
    for (const place of [...grant.locations, ...peersOf(grant.condition)])
      if (!isAgent(place)) throw new Malformed('a location or peer of a detail is not an agent identifier');
  return grants;
}

/**
 * Details of a role: a location or peer may also be `role:<name>`, for whoever will hold that role.
 *
 * @param roles the group's roles; without it, any role name is accepted (an owner's right to convene).
 */
export function readRoleDetails(
  value: readonly unknown[],
  roles?: Readonly<Record<string, unknown>>,
): readonly Grant[] {
  if (value.length === 0) return [];
  const grants = readGrants(value);
  for (const grant of grants)
    for (const place of [...grant.locations, ...peersOf(grant.condition)]) {
      if (isAgent(place)) continue;
      if (!ROLE.test(place))
        throw new Malformed('a location or peer of a role is neither an agent nor `role:<name>`');
      if (roles !== undefined && !Object.hasOwn(roles, place.slice(5)))
        throw new Malformed(`the group has no role \`${place.slice(5)}\``);
    }
  return grants;
}

/** The index of the first of `parents` that `child` narrows, or `undefined`. */
export function findParent(parents: readonly Grant[], child: Grant): number | undefined {
  const index = parents.findIndex((parent) => {
    try {
      narrows(parent, child);
      return true;
    } catch (error) {
      if (error instanceof GrantWider) return false;
      throw error;
    }
  });
  return index < 0 ? undefined : index;
}

/** One grant of a role with its role names filled in, and which of the role's details it came from. */
export interface ExpandedGrant {
  readonly index: number;
  readonly grant: Grant;
}

/**
 * Fills in who holds which role: a location `role:x` becomes every holder of `x`; a peer `role:x` in a condition becomes
 * one holder, so that a grant with such a peer becomes several. A role nobody holds leaves nothing to narrow from.
 *
 * @param holders agent identifier → role.
 */
export function expandRoles(
  grants: readonly Grant[],
  holders: Readonly<Record<string, string>>,
): readonly ExpandedGrant[] {
  const holding = (place: string): readonly string[] =>
    place.startsWith('role:')
      ? Object.keys(holders).filter((agent) => holders[agent] === place.slice(5))
      : [place];
  const out: ExpandedGrant[] = [];
  for (const [index, grant] of grants.entries()) {
    const locations = [...new Set(grant.locations.flatMap(holding))];
    if (locations.length === 0) continue;
    let variants: Grant[] = [{ ...grant, locations }];
    for (const peer of new Set(peersOf(grant.condition)))
      if (peer.startsWith('role:'))
        variants = variants.flatMap((variant) =>
          holding(peer)
            .slice(0, VARIANTS_MAX)
            .map((holder) => ({ ...variant, condition: withPeer(variant.condition, peer, holder) })),
        );
    if (out.length + variants.length > VARIANTS_MAX)
      throw new Malformed(`the roles of a group expand to more than ${VARIANTS_MAX} grants`);
    for (const variant of variants) out.push({ index, grant: variant });
  }
  return out;
}

/** Every peer a condition takes inputs from. */
function peersOf(condition: Condition | undefined): readonly string[] {
  if (condition === undefined) return [];
  if (condition.op === 'and' || condition.op === 'or') return condition.of.flatMap(peersOf);
  if (condition.op === 'not') return peersOf(condition.of);
  return 'source' in condition && 'peer' in condition.source ? [condition.source.peer] : [];
}

function withPeer(condition: Condition | undefined, from: string, to: string): Condition | undefined {
  return condition === undefined ? undefined : replaced(condition, from, to);
}

function replaced(condition: Condition, from: string, to: string): Condition {
  if (condition.op === 'and' || condition.op === 'or')
    return { ...condition, of: condition.of.map((member) => replaced(member, from, to)) };
  if (condition.op === 'not') return { ...condition, of: replaced(condition.of, from, to) };
  if ('source' in condition && 'peer' in condition.source && condition.source.peer === from)
    return { ...condition, source: { ...condition.source, peer: to } };
  return condition;
}

/** Not a type guard: what it refuses is still a string. */
function isAgent(place: string): boolean {
  return isAgentId(place);
}
