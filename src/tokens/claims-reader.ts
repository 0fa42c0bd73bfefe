import { Malformed, messageOf } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { CLAIM } from '../core/names.ts';
import { check, v } from '../core/schema.ts';
import { isAgentId } from '../identity/agent-id.ts';
import type {
  AccessTokenClaims,
  Actor,
  AssignmentClaims,
  ConveneGrant,
  GroupBounds,
  GroupGrantClaims,
} from './claims.ts';
import { ASSIGNMENT_CLAIM, CONVENE_DETAILS, GROUP_CLAIM, REOPENED_CLAIM } from './claims.ts';
import { readDetails, readRoleDetails } from './details.ts';
import { TokenRefused } from './errors.ts';

/** NumericDate: whole seconds since 1970. */
export const numericDate = v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(253_402_300_799));
/** An agent identifier ({@link isAgentId}). */
export const agentUri = v.custom<string>(isAgentId, 'an agent identifier');
/** An identifier made by the authority or a coordinator: printable, at most 128 characters. */
export const identifier = v.pipe(v.string(), v.regex(/^[A-Za-z0-9._~:-]{1,128}$/, 'an identifier'));
/** RFC 7638 SHA-256 thumbprint or any other SHA-256, base64url. */
export const digest = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{43}$/, 'a SHA-256 in base64url'));
/** Name of a role: lower case with dashes. */
export const roleName = v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]{0,63}$/, 'a role name'));
/** Base URL of an authority. */
export const issuerUrl = v.pipe(v.string(), v.maxLength(2048), v.startsWith('http'));

const confirmation = v.strictObject({ jkt: digest });
const generations = v.record(
  v.pipe(v.string(), v.maxLength(2400)),
  v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
);
const status = v.object({
  status_list: v.object({
    idx: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
    uri: v.pipe(v.string(), v.maxLength(2048)),
  }),
});
const actor: v.GenericSchema<Actor> = v.strictObject({
  sub: v.pipe(v.string(), v.minLength(1), v.maxLength(2400)),
  act: v.optional(v.lazy(() => actor)),
});
const details = v.pipe(v.array(v.looseObject({ type: v.string() })), v.minLength(1), v.maxLength(64));
const family = v.pipe(v.array(identifier), v.minLength(1), v.maxLength(64));

const accessToken = v.object({
  iss: issuerUrl,
  sub: agentUri,
  client_id: agentUri,
  aud: v.pipe(v.array(agentUri), v.minLength(1), v.maxLength(64)),
  exp: numericDate,
  iat: numericDate,
  jti: identifier,
  cnf: confirmation,
  authorization_details: details,
  txn: v.optional(identifier),
  act: v.optional(actor),
  may_act: v.optional(v.strictObject({ sub: agentUri })),
  status: v.optional(status),
  [CLAIM.agent]: v.literal(true),
  [CLAIM.task]: v.optional(identifier),
  [CLAIM.generations]: generations,
  [CLAIM.family]: family,
});

/** Members of a group grant request and of the grant itself; unknown members are refused. */
export const groupBounds = v.strictObject({
  trustDomains: v.pipe(v.array(v.pipe(v.string(), v.maxLength(255))), v.minLength(1), v.maxLength(32)),
  roles: v.record(
    roleName,
    v.strictObject({
      capabilities: v.pipe(v.array(v.pipe(v.string(), v.minLength(1), v.maxLength(128))), v.maxLength(32)),
      authorization_details: v.pipe(v.array(v.looseObject({ type: v.string() })), v.maxLength(64)),
      max: v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(10_000)),
    }),
  ),
  maxMembers: v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(10_000)),
  posture: v.picklist(['affirming', 'warning']),
  assignLate: v.boolean(),
  statusBoundS: v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(86_400)),
  successors: v.optional(v.pipe(v.array(agentUri), v.maxLength(8))),
});

const groupGrant = v.object({
  iss: issuerUrl,
  sub: agentUri,
  jti: identifier,
  iat: numericDate,
  exp: numericDate,
  status: v.optional(status),
  [CLAIM.agent]: v.literal(true),
  [CLAIM.task]: identifier,
  [CLAIM.generations]: generations,
  [CLAIM.family]: family,
  [REOPENED_CLAIM]: v.optional(generations),
  [GROUP_CLAIM]: groupBounds,
});

const assignment = v.strictObject({
  iss: agentUri,
  sub: agentUri,
  jti: identifier,
  iat: numericDate,
  exp: numericDate,
  cnf: confirmation,
  authorization_details: v.pipe(v.array(v.looseObject({ type: v.string() })), v.maxLength(64)),
  [CLAIM.task]: identifier,
  [ASSIGNMENT_CLAIM]: v.strictObject({ role: roleName, group: identifier, hash: digest }),
});

const conveneGrant = v.strictObject({
  type: v.literal(CONVENE_DETAILS),
  trustDomains: v.pipe(v.array(v.pipe(v.string(), v.maxLength(255))), v.minLength(1), v.maxLength(32)),
  authorization_details: v.pipe(v.array(v.looseObject({ type: v.string() })), v.maxLength(64)),
  maxMembers: v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(10_000)),
  maxLifeS: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(7 * 86_400))),
  until: v.optional(numericDate),
});

/** The claims of an access token. @throws {TokenRefused} `claims` or `authorization-details` */
export function readAccessTokenClaims(payload: JsonObject): AccessTokenClaims {
  const read = shaped(accessToken, payload, 'access token');
  const authorizationDetails = refused('authorization-details', () =>
    readDetails(read.authorization_details),
  );
  if (read[CLAIM.family].length !== authorizationDetails.length)
    throw new TokenRefused('claims', 'the access token names another number of families than of details');
  return { ...read, authorization_details: authorizationDetails };
}

/** The claims of a group grant. @throws {TokenRefused} */
export function readGroupGrantClaims(payload: JsonObject): GroupGrantClaims {
  const read = shaped(groupGrant, payload, 'group grant');
  return {
    ...read,
    [GROUP_CLAIM]: refused('authorization-details', () => readGroupBounds(read[GROUP_CLAIM])),
  };
}

/** Bounds of a group, from a request or a grant. @throws {Malformed} */
export function readGroupBounds(value: unknown): GroupBounds {
  const read = check(groupBounds, value, 'group');
  const roles = Object.entries(read.roles);
  if (roles.length === 0 || roles.length > 32) throw new Malformed('a group has 1 to 32 roles');
  return {
    ...read,
    roles: Object.fromEntries(
      roles.map(([name, role]) => [
        name,
        { ...role, authorization_details: readRoleDetails(role.authorization_details, read.roles) },
      ]),
    ),
  };
}

/** The claims of an assignment. @throws {TokenRefused} */
export function readAssignmentClaims(payload: JsonObject): AssignmentClaims {
  const read = shaped(assignment, payload, 'task assignment');
  const authorizationDetails = refused('authorization-details', () =>
    read.authorization_details.length === 0 ? [] : readDetails(read.authorization_details),
  );
  return { ...read, authorization_details: authorizationDetails };
}

/** An owner's grant of the right to convene. @throws {Malformed} */
export function readConveneGrant(value: unknown): ConveneGrant {
  const read = check(conveneGrant, value, 'right to convene');
  return { ...read, authorization_details: readRoleDetails(read.authorization_details) };
}

function shaped<S extends v.GenericSchema>(schema: S, payload: JsonObject, what: string): v.InferOutput<S> {
  return refused('claims', () => check(schema, payload, what));
}

function refused<T>(name: 'claims' | 'authorization-details', read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof TokenRefused) throw cause;
    throw new TokenRefused(name, messageOf(cause), { cause });
  }
}
