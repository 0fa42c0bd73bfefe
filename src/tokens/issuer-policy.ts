import type { Grant } from '../grants/grant.ts';
import { GrantWider, narrows } from '../grants/index.ts';
import type { ConveneGrant, GroupBounds } from './claims.ts';
import { CONVENE_DETAILS } from './claims.ts';
import { findParent } from './details.ts';
import { OAuthRefusal } from './issuer-errors.ts';
import type { OwnerGrant } from './issuer-store.ts';

/** Details that the owner lets the client have, each with the owner's grant it stems from. */
export interface Allowed {
  readonly details: readonly Grant[];
  /** Identifier of the owner's grant, one for each detail. */
  readonly families: readonly string[];
}

/**
 * Decides what a client gets (design.md section 4): each requested detail must narrow one of the owner's grants for it.
 * Members that a request leaves out are taken from the owner's grant, so that a client need not know its conditions.
 * Without a request it gets everything the owner granted it.
 *
 * @param now NumericDate.
 * @throws {OAuthRefusal} `invalid_authorization_details`
 */
export function decideDetails(
  grants: readonly OwnerGrant[],
  requested: readonly Grant[] | undefined,
  now: number,
): Allowed {
  const standing = grants.filter(
    ({ revoked, details }) => !revoked && (details.until === undefined || details.until > now),
  );
  const roots = standing.flatMap(({ id, details }) => (isAction(details) ? [{ id, details }] : []));
  if (requested === undefined) {
    if (roots.length === 0)
      throw new OAuthRefusal(
        'invalid_authorization_details',
        'no-grant',
        'the owner granted this client nothing',
      );
    const some = roots.slice(0, 64);
    return { details: some.map(({ details }) => details), families: some.map(({ id }) => id) };
  }
  const chosen = requested.map((detail, index) => {
    if (detail.until !== undefined && detail.until <= now)
      throw new OAuthRefusal('invalid_authorization_details', 'until', `detail ${index} is over already`);
    let refusal: GrantWider | undefined;
    for (const { id, details } of roots) {
      const filled = inherit(details, detail);
      try {
        narrows(details, filled);
        return { id, details: filled };
      } catch (error) {
        if (!(error instanceof GrantWider)) throw error;
        if (refusal === undefined || refusal.member === 'device') refusal = error;
      }
    }
    throw new OAuthRefusal(
      'invalid_authorization_details',
      'owner-policy',
      `no grant of the owner covers detail ${index}${refusal ? `: ${refusal.message}` : ''}`,
      { cause: refusal },
    );
  });
  return { details: chosen.map(({ details }) => details), families: chosen.map(({ id }) => id) };
}

/** The owner's right to convene under which `bounds` stay. @throws {OAuthRefusal} `access_denied` naming the bound. */
export function decideGroup(
  grants: readonly OwnerGrant[],
  bounds: GroupBounds,
  now: number,
): { readonly id: string; readonly right: ConveneGrant } {
  const rights = grants.flatMap(({ id, revoked, details }) =>
    !revoked && details.type === CONVENE_DETAILS && (details.until === undefined || details.until > now)
      ? [{ id, right: details }]
      : [],
  );
  let broken = 'no-right-to-convene';
  for (const candidate of rights) {
    const bound = exceeded(candidate.right, bounds);
    if (bound === undefined) return candidate;
    broken = bound;
  }
  throw new OAuthRefusal(
    'access_denied',
    broken,
    `the owner does not let this client convene that group (${broken})`,
    {
      status: 403,
    },
  );
}

/** The first bound of the right that the group exceeds. */
function exceeded(right: ConveneGrant, bounds: GroupBounds): string | undefined {
  if (bounds.trustDomains.some((name) => !right.trustDomains.includes(name))) return 'group-trust-domains';
  if (bounds.maxMembers > right.maxMembers) return 'group-max-members';
  for (const role of Object.values(bounds.roles)) {
    if (role.max > bounds.maxMembers) return 'group-role-max';
    for (const detail of role.authorization_details)
      if (findParent(right.authorization_details, detail) === undefined) return 'group-role-details';
  }
  return undefined;
}

/** `detail` with the members it leaves out as the owner's grant has them; what it says itself stays. */
function inherit(owner: Grant, detail: Grant): Grant {
  const limits: Record<string, NonNullable<Grant['arguments']>[string]> = {};
  for (const action of detail.actions) {
    const merged = { ...owner.arguments?.[action], ...detail.arguments?.[action] };
    if (Object.keys(merged).length > 0) limits[action] = merged;
  }
  return withoutUndefined({
    ...detail,
    arguments: Object.keys(limits).length > 0 ? limits : undefined,
    condition: detail.condition ?? owner.condition,
    limits: detail.limits ?? owner.limits,
    task: detail.task ?? owner.task,
    until: detail.until ?? owner.until,
  });
}

/** A copy that says on the wire what it says here. */
function withoutUndefined(grant: Grant): Grant {
  return Object.fromEntries(
    Object.entries(grant).filter(([, value]) => value !== undefined),
  ) as unknown as Grant;
}

function isAction(details: Grant | ConveneGrant): details is Grant {
  return details.type !== CONVENE_DETAILS;
}
