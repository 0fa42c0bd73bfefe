import { messageOf } from '../core/errors.ts';
import type { Jws } from '../core/jws.ts';
import { readJws, verifyJws } from '../core/jws.ts';
import { CLAIM } from '../core/names.ts';
import { check, v } from '../core/schema.ts';
import type { Grant } from '../grants/grant.ts';
import { isAgentId, trustDomainOf } from '../identity/agent-id.ts';
import type { AccessTokenClaims } from './claims.ts';
import { KIND, tag } from './claims.ts';
import { agentUri, digest, identifier, numericDate, readAccessTokenClaims } from './claims-reader.ts';
import { findParent, readDetails } from './details.ts';
import { OAUTH, TOKEN_PATHS } from './endpoints.ts';
import type { AuthenticatedClient } from './issuer-auth.ts';
import { authenticate } from './issuer-auth.ts';
import type { IssuerContext } from './issuer-context.ts';
import { OAuthRefusal } from './issuer-errors.ts';
import type { IssuedToken } from './issuer-issue.ts';
import { issueAccessToken } from './issuer-issue.ts';
import { decideDetails } from './issuer-policy.ts';
import type { Form } from './issuer-request.ts';
import { jsonParameter, jsonResponse, readForm } from './issuer-request.ts';

/** Longest life of a self grant, in seconds. */
const SELF_GRANT_LIFE_S = 300;
/** Hops of a delegation by token exchange. */
const DEPTH_MAX = 4;

/** What was decided, for the audit record; filled in as far as the request got. */
export interface TokenTrace {
  client?: string;
  grantType?: string;
  issued?: IssuedToken;
}

/** The token endpoint. `trace` is filled for the audit record. @throws {OAuthRefusal} */
export async function tokenEndpoint(
  context: IssuerContext,
  request: Request,
  trace: TokenTrace,
): Promise<() => Response> {
  const form = await readForm(request);
  const grantType = form.need('grant_type');
  // What a stranger writes must not make each refusal a new one in the log.
  trace.grantType = flows.has(grantType) ? grantType : 'unknown';
  if (form.get('client_assertion') !== undefined || form.get('client_secret') !== undefined)
    throw new OAuthRefusal(
      'invalid_request',
      'two-authentications',
      'clients authenticate by attestation alone',
    );
  if (form.get('scope') !== undefined)
    throw new OAuthRefusal(
      'invalid_scope',
      'scope',
      'there are no scopes here, only `authorization_details`',
    );
  const flow = flows.get(grantType);
  if (flow === undefined)
    throw new OAuthRefusal('unsupported_grant_type', 'grant-type', 'the grant type is not supported');
  const client = await authenticate(context, request, {
    path: TOKEN_PATHS.token,
    clientId: form.get('client_id'),
    otherKey: grantType === OAUTH.jwtBearer,
  });
  trace.client = client.id;
  const issued = await flow(context, form, client);
  trace.issued = issued;
  const { claims, token } = issued;
  return () =>
    jsonResponse(
      200,
      {
        access_token: token,
        token_type: 'DPoP',
        expires_in: claims.exp - claims.iat,
        authorization_details: claims.authorization_details,
        ...(grantType === OAUTH.tokenExchange ? { issued_token_type: OAUTH.accessTokenType } : {}),
      },
      { 'dpop-nonce': context.nonces.make() },
    );
}

type Flow = (context: IssuerContext, form: Form, client: AuthenticatedClient) => Promise<IssuedToken>;

/** OBO-self: the agent asks for itself (RFC 6749 §4.4). */
const clientCredentials: Flow = async (context, form, client) => {
  const requested = detailsOf(form);
  const grants = await context.store.grants(client.id);
  const { details, families } = decideDetails(grants, requested, seconds(context));
  const mayAct = form.get('may_act');
  if (mayAct !== undefined && !isAgentId(mayAct))
    throw new OAuthRefusal('invalid_request', 'may-act', '`may_act` is not an agent identifier');
  return await issueAccessToken(context, {
    client: client.id,
    subject: client.id,
    details,
    families,
    audience: audienceOf(context, form, details),
    jkt: client.dpop.jkt,
    notAfter: Math.floor(client.attestation.expiresAt / 1000),
    txn: txnOf(form),
    mayAct,
  });
};

const selfGrantClaims = v.strictObject({
  iss: agentUri,
  sub: agentUri,
  aud: v.string(),
  iat: numericDate,
  exp: numericDate,
  jti: identifier,
  act: v.strictObject({ sub: v.pipe(v.string(), v.maxLength(2200)) }),
  cnf: v.strictObject({ jkt: digest }),
  authorization_details: v.array(v.unknown()),
});

/** The agent as resource owner grants one of its own functions something (RFC 7523 §2.1, seed S1 figure 2). */
const jwtBearer: Flow = async (context, form, client) => {
  const refuse = (name: string, message: string, cause?: unknown) =>
    new OAuthRefusal('invalid_grant', name, message, { cause });
  const assertion = form.need('assertion');
  let jws: Jws;
  let claims: v.InferOutput<typeof selfGrantClaims>;
  try {
    jws = readJws(assertion, KIND.selfGrant);
    claims = check(selfGrantClaims, jws.payload, KIND.selfGrant.what);
  } catch (cause) {
    throw refuse('assertion-form', messageOf(cause), cause);
  }
  try {
    await verifyJws(assertion, KIND.selfGrant, client.attestation.key);
  } catch (cause) {
    throw refuse('assertion-signature', 'the assertion is not signed by the attested key', cause);
  }
  if (claims.iss !== client.id || claims.sub !== client.id)
    throw refuse('assertion-subject', "the assertion is another agent's");
  if (claims.aud !== context.issuer)
    throw refuse('assertion-audience', 'the audience of the assertion must be the issuer, and it alone');
  const now = context.clock.now();
  if (now >= claims.exp * 1000) throw refuse('assertion-expired', 'the assertion has expired');
  if (claims.iat * 1000 > now + 60_000 || claims.exp - claims.iat > SELF_GRANT_LIFE_S)
    throw refuse('assertion-life', 'the assertion is from the future, or lives too long');
  if (
    !claims.act.sub.startsWith(`${client.id}#`) ||
    !/^[a-z][a-z0-9-]{0,63}$/.test(claims.act.sub.slice(client.id.length + 1))
  )
    throw refuse('assertion-actor', 'the actor is not a function of this agent');
  if (claims.cnf.jkt !== client.dpop.jkt)
    throw refuse('assertion-key', 'the assertion is for another key than the one that redeems it');
  if (form.get('authorization_details') !== undefined)
    throw new OAuthRefusal('invalid_request', 'details-twice', 'the details stand in the assertion');
  const outcome = await context.store.consume(`assertion:${client.id}:${claims.jti}`, claims.exp * 1000, now);
  if (outcome === 'replayed') throw refuse('assertion-replayed', 'the assertion was redeemed before');
  if (outcome === 'full')
    throw new OAuthRefusal('temporarily_unavailable', 'assertion-replay-full', 'too many requests', {
      status: 503,
    });
  const requested = readRequested(claims.authorization_details);
  const grants = await context.store.grants(client.id);
  const { details, families } = decideDetails(grants, requested, seconds(context));
  return await issueAccessToken(context, {
    client: client.id,
    subject: client.id,
    details,
    families,
    audience: audienceOf(context, form, details),
    jkt: client.dpop.jkt,
    notAfter: Math.floor(client.attestation.expiresAt / 1000),
    txn: txnOf(form),
    act: { sub: claims.act.sub },
  });
};

/** Another agent takes over a part of what a token allows (RFC 8693); its holder named it in `may_act`. */
const tokenExchange: Flow = async (context, form, client) => {
  const refuse = (name: string, message: string, cause?: unknown) =>
    new OAuthRefusal('invalid_grant', name, message, { cause });
  if (form.need('subject_token_type') !== OAUTH.accessTokenType)
    throw new OAuthRefusal('invalid_request', 'subject-token-type', 'only access tokens are exchanged');
  if (form.get('actor_token') !== undefined)
    throw new OAuthRefusal('invalid_request', 'actor-token', 'the actor is the authenticated client');
  const wanted = form.get('requested_token_type');
  if (wanted !== undefined && wanted !== OAUTH.accessTokenType)
    throw new OAuthRefusal('invalid_request', 'requested-token-type', 'only access tokens are issued');
  const parent = await ownAccessToken(context, form.need('subject_token'));
  if (parent === undefined) throw refuse('subject-token', 'the subject token is not one of ours, or over');
  if (parent.may_act?.sub !== client.id)
    throw refuse('may-act', 'the subject token does not name this actor');
  if (depthOf(parent) >= DEPTH_MAX) throw refuse('depth', `at most ${DEPTH_MAX} hops`);
  const requested = detailsOf(form) ?? parent.authorization_details;
  const chosen = requested.map((detail) => findParent(parent.authorization_details, detail));
  if (chosen.includes(undefined))
    throw new OAuthRefusal(
      'invalid_authorization_details',
      'narrowing',
      'a detail is wider than the subject token',
    );
  const mayAct = form.get('may_act');
  if (mayAct !== undefined && !isAgentId(mayAct))
    throw new OAuthRefusal('invalid_request', 'may-act', '`may_act` is not an agent identifier');
  return await issueAccessToken(context, {
    client: client.id,
    subject: parent.sub,
    details: requested,
    families: chosen.map((index) => parent[CLAIM.family][index ?? 0] ?? ''),
    audience: audienceOf(context, form, requested),
    jkt: client.dpop.jkt,
    notAfter: Math.min(parent.exp, Math.floor(client.attestation.expiresAt / 1000)),
    txn: parent.txn,
    act: { sub: client.id, ...(parent.act === undefined ? {} : { act: parent.act }) },
    mayAct,
    ancestorTags: [...Object.keys(parent[CLAIM.generations]), tag('token', parent.jti)],
  });
};

const flows = new Map<string, Flow>([
  [OAUTH.clientCredentials, clientCredentials],
  [OAUTH.jwtBearer, jwtBearer],
  [OAUTH.tokenExchange, tokenExchange],
]);

/** The claims of an access token of this service that is alive and not revoked; else `undefined`. */
export async function ownAccessToken(
  context: IssuerContext,
  token: string,
): Promise<AccessTokenClaims | undefined> {
  let claims: AccessTokenClaims;
  try {
    const jws = await verifyJws(token, KIND.accessToken, context.keys.issuer.publicJwk);
    claims = readAccessTokenClaims(jws.payload);
  } catch {
    return undefined;
  }
  if (claims.iss !== context.issuer || context.clock.now() >= claims.exp * 1000) return undefined;
  const record = await context.store.token(claims.jti);
  return record?.status === 0 ? claims : undefined;
}

function detailsOf(form: Form): readonly Grant[] | undefined {
  const source = form.get('authorization_details');
  if (source === undefined) return undefined;
  return readRequested(jsonParameter(source, 'invalid_authorization_details', 'details-form'));
}

function readRequested(value: unknown): readonly Grant[] {
  let details: readonly Grant[];
  try {
    details = readDetails(value);
  } catch (cause) {
    throw new OAuthRefusal('invalid_authorization_details', 'details-form', messageOf(cause), { cause });
  }
  if (details.length > 64)
    throw new OAuthRefusal('invalid_authorization_details', 'details-count', 'at most 64 details at a time');
  return details;
}

/** `aud`: the agents asked for (RFC 8707), which must be the places of the details; all of this trust domain. */
function audienceOf(context: IssuerContext, form: Form, details: readonly Grant[]): readonly string[] {
  const places = [...new Set(details.flatMap(({ locations }) => locations))];
  const asked = form.all('resource');
  if (asked.length > 0) {
    if (
      places.some((place) => !asked.includes(place)) ||
      asked.some((resource) => !places.includes(resource))
    )
      throw new OAuthRefusal(
        'invalid_target',
        'resource',
        'the resources are not the locations of the details',
      );
  }
  if (places.length > 64)
    throw new OAuthRefusal('invalid_target', 'resource-count', 'at most 64 places at a time');
  // Robots accept only tokens of their own trust domain's authority; to issue others would be useless at best.
  if (places.some((place) => trustDomainOf(place) !== context.trustDomain))
    throw new OAuthRefusal('invalid_target', 'foreign-location', 'a location is in another trust domain');
  return places;
}

function txnOf(form: Form): string | undefined {
  const txn = form.get('txn');
  if (txn !== undefined && !/^[A-Za-z0-9._~-]{8,128}$/.test(txn))
    throw new OAuthRefusal(
      'invalid_request',
      'txn',
      '`txn` must be 8 to 128 letters, digits, `.`, `_`, `~`, `-`',
    );
  return txn;
}

function depthOf(claims: AccessTokenClaims): number {
  let depth = 0;
  for (let act = claims.act; act !== undefined; act = act.act) depth++;
  return depth;
}

function seconds(context: IssuerContext): number {
  return Math.floor(context.clock.now() / 1000);
}
