import { signJws } from '../core/jws.ts';
import { CLAIM, randomId } from '../core/names.ts';
import type { Random } from '../core/platform.ts';
import type { PublicJwk, Signer } from '../core/signer.ts';
import type { Grant, HeldGrant } from '../grants/grant.ts';
import { trustDomainOf } from '../identity/agent-id.ts';
import type { AssignmentClaims } from './claims.ts';
import { ASSIGNMENT_CLAIM, KIND, tag } from './claims.ts';
import { readAssignmentClaims } from './claims-reader.ts';
import { expandRoles, findParent } from './details.ts';
import { TokenRefused } from './errors.ts';
import type { Generations } from './status.ts';
import type { VerifiedGroupGrant } from './verifier.ts';
import { judgeTimes, read, verifyWith, withoutDevices } from './verifier.ts';

/** Who holds which role now, by agent identifier: what a location `role:<name>` stands for. */
export type RolesHeld = Readonly<Record<string, string>>;

/** A member's authority under a group grant, checked. */
export interface VerifiedAssignment {
  readonly id: string;
  readonly compact: string;
  readonly member: string;
  readonly role: string;
  readonly task: string;
  /** NumericDate. */
  readonly exp: number;
  readonly claims: AssignmentClaims;
  /** Its details, each with the detail of the role it was narrowed from as ancestor. */
  readonly held: readonly HeldGrant[];
}

/** What a coordinator assigns. */
export interface AssignmentRequest {
  /** The coordinator's LDevID or credential key. */
  readonly signer: Signer;
  readonly random: Random;
  readonly groupGrant: VerifiedGroupGrant;
  readonly member: string;
  /** Thumbprint of the member's LDevID key. */
  readonly memberLdevid: string;
  readonly role: string;
  /** Empty for a member that only takes part. */
  readonly authorizationDetails: readonly Grant[];
  /** Who holds which role, the member included. Default: the member alone. */
  readonly roles?: RolesHeld | undefined;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** NumericDate. Default: the group grant's. */
  readonly exp?: number | undefined;
}

/**
 * Signs a `task-assignment+jwt`: the coordinator gives a member part of the group's authority, without the issuer.
 *
 * @throws {TokenRefused} `role`, `subset`, `life`: what the members would refuse is not signed.
 */
export async function issueAssignment(request: AssignmentRequest): Promise<string> {
  const { groupGrant, role, member, authorizationDetails } = request;
  const exp = request.exp ?? groupGrant.exp;
  const claims: AssignmentClaims = {
    iss: groupGrant.coordinator,
    sub: member,
    jti: randomId(request.random, 16),
    iat: Math.floor(request.at / 1000),
    exp,
    cnf: { jkt: request.memberLdevid },
    authorization_details: authorizationDetails,
    [CLAIM.task]: groupGrant.task,
    [ASSIGNMENT_CLAIM]: { role, group: groupGrant.id, hash: groupGrant.hash },
  };
  // Read back as the members will, so that a malformed detail is found here and not in the field.
  const readBack = readAssignmentClaims(JSON.parse(JSON.stringify(claims)));
  judgeBounds(readBack, groupGrant);
  heldOf(readBack, groupGrant, request.roles ?? { [member]: role });
  return await signJws(request.signer, KIND.assignment.typ, readBack);
}

/** What the verifier of an assignment knows by itself. */
export interface AssignmentExpectations {
  readonly groupGrant: VerifiedGroupGrant;
  /** Keys of the coordinator that its credential chain proved: LDevID, credential key. */
  readonly coordinatorKeys: readonly PublicJwk[];
  /** The member that presents it, as its own chain proved. */
  readonly member: { readonly agentId: string; readonly ldevid: string };
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly generations: Generations;
  /** Who holds which role, from the roster. Default: the member alone. */
  readonly roles?: RolesHeld | undefined;
}

/**
 * Verifies an assignment, offline: signed by the group's coordinator, for this member and its LDevID, under exactly this
 * group grant, inside its role.
 *
 * @throws {TokenRefused} with the name of the check.
 */
export function verifyAssignment(compact: string, expected: AssignmentExpectations): VerifiedAssignment {
  const { groupGrant, member } = expected;
  const jws = read(compact, KIND.assignment);
  const claims = readAssignmentClaims(jws.payload);
  const { kid } = jws.header;
  const last = expected.coordinatorKeys.at(-1);
  if (last === undefined) throw new TokenRefused('key', 'no key of the coordinator is known');
  verifyByOne(jws, expected.coordinatorKeys, kid);
  if (claims.iss !== groupGrant.coordinator)
    throw new TokenRefused('coordinator', "the assignment is not the coordinator's");
  if (claims.sub !== member.agentId) throw new TokenRefused('subject', "the assignment is another member's");
  if (claims.cnf.jkt !== member.ldevid)
    throw new TokenRefused('presenter', 'the assignment is bound to another LDevID');
  judgeTimes(claims, expected.at, KIND.assignment);
  judgeTimes(groupGrant, expected.at, KIND.groupGrant);
  judgeBounds(claims, groupGrant);
  const held = heldOf(claims, groupGrant, {
    ...expected.roles,
    [member.agentId]: claims[ASSIGNMENT_CLAIM].role,
  });
  const client = tag('client', claims.sub);
  const raised = expected.generations.revoked({
    ...withoutDevices(groupGrant.tags),
    [client]: groupGrant.tags[client] ?? groupGrant.reopened[client] ?? 0,
    [tag('token', claims.jti)]: 0,
  });
  if (raised !== undefined) throw new TokenRefused('revoked', `\`${raised}\` was revoked`);
  return {
    id: claims.jti,
    compact,
    member: claims.sub,
    role: claims[ASSIGNMENT_CLAIM].role,
    task: claims[CLAIM.task],
    exp: claims.exp,
    claims,
    held,
  };
}

function verifyByOne(jws: ReturnType<typeof read>, keys: readonly PublicJwk[], kid: unknown): void {
  let refusal: unknown;
  for (const key of keys) {
    try {
      verifyWith(jws, KIND.assignment, key);
      return;
    } catch (error) {
      refusal = error;
    }
  }
  throw new TokenRefused('signature', `the assignment is not signed by the coordinator (kid ${typeof kid})`, {
    cause: refusal,
  });
}

/** Group, task, role, trust domain and life: everything but the details. */
function judgeBounds(claims: AssignmentClaims, groupGrant: VerifiedGroupGrant): void {
  const { role, group, hash } = claims[ASSIGNMENT_CLAIM];
  if (group !== groupGrant.id || hash !== groupGrant.hash)
    throw new TokenRefused('group', 'the assignment is under another group grant');
  if (claims[CLAIM.task] !== groupGrant.task)
    throw new TokenRefused('task', 'the assignment is for another task');
  if (!Object.hasOwn(groupGrant.bounds.roles, role))
    throw new TokenRefused('role', `the group has no role \`${role}\``);
  if (!groupGrant.bounds.trustDomains.includes(trustDomainOf(claims.sub)))
    throw new TokenRefused('trust-domain-of-member', 'the group takes no members from that trust domain');
  if (claims.exp > groupGrant.exp) throw new TokenRefused('life', 'the assignment outlives the group grant');
}

/** Each detail inside one of the role's; what a role's location stands for is filled in first. */
function heldOf(claims: AssignmentClaims, groupGrant: VerifiedGroupGrant, roles: RolesHeld): HeldGrant[] {
  const { role } = claims[ASSIGNMENT_CLAIM];
  const allowed = expandRoles(groupGrant.bounds.roles[role]?.authorization_details ?? [], roles);
  const grants = allowed.map((expanded) => expanded.grant);
  return claims.authorization_details.map((grant, index) => {
    const parent = allowed[findParent(grants, grant) ?? -1];
    if (parent === undefined)
      throw new TokenRefused('subset', `detail ${index} of the assignment is not inside its role`);
    // Shared by all members of the role: a limit of the group is the group's, not each member's.
    const family = `${groupGrant.id}#${role}.${parent.index}`;
    const root: HeldGrant = {
      id: family,
      grant: parent.grant,
      subject: claims.sub,
      family,
      ancestors: [],
      tags: tagsFor(groupGrant, claims.sub, grant),
      exp: groupGrant.exp,
    };
    return {
      id: `${claims.jti}#${index}`,
      grant,
      subject: claims.sub,
      family,
      ancestors: [root],
      tags: { ...root.tags, [tag('token', claims.jti)]: 0 },
      exp: Math.min(claims.exp, groupGrant.exp),
    };
  });
}

/**
 * What a detail of a member stands under: the group's tags, the member's own, and those of the devices it concerns.
 * A revoked device ends what concerns that device, not the whole group.
 */
function tagsFor(
  groupGrant: VerifiedGroupGrant,
  member: string,
  grant: Grant,
): Readonly<Record<string, number>> {
  const own = [
    tag('client', member),
    ...grant.locations.map((location) => tag('device', `${location}#${grant.device}`)),
  ];
  return {
    ...withoutDevices(groupGrant.tags),
    ...Object.fromEntries(own.map((name) => [name, groupGrant.tags[name] ?? groupGrant.reopened[name] ?? 0])),
  };
}
