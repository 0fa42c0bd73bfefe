import { messageOf } from '../core/errors.ts';
import type { Jws } from '../core/jws.ts';
import { signJws, verifyJws } from '../core/jws.ts';
import { check, v } from '../core/schema.ts';
import { GROUP_CLAIM, KIND, tag } from './claims.ts';
import { agentUri, identifier, readGroupGrantClaims } from './claims-reader.ts';
import { TOKEN_PATHS } from './endpoints.ts';
import { authenticate } from './issuer-auth.ts';
import type { IssuerContext } from './issuer-context.ts';
import { OAuthRefusal } from './issuer-errors.ts';
import { jsonResponse, readForm } from './issuer-request.ts';
import type { RevokeResult } from './issuer-store.ts';
import { ownAccessToken } from './issuer-token.ts';
import { signTime } from './time.ts';

/** Nothing the service issues lives longer than this, in seconds: how long a raised tag is told to others. */
export const LIFE_MAX_S = 8 * 86_400;
/** Tags in one statement. */
const STATEMENT_MAX = 2_000;

/** Whom or what a bulk revocation is about: RFC 9493 formats, and ours for what RFC 9493 does not know. */
export type SubjectIdentifier = v.InferOutput<typeof subjectIdentifier>;

const subjectIdentifier = v.variant('format', [
  v.strictObject({ format: v.literal('iss_sub'), iss: v.string(), sub: agentUri }),
  v.strictObject({ format: v.literal('uri'), uri: agentUri }),
  v.strictObject({ format: v.literal('fealty/client'), uri: agentUri }),
  v.strictObject({ format: v.literal('fealty/task'), id: identifier }),
  v.strictObject({ format: v.literal('fealty/group'), id: identifier }),
  v.strictObject({
    format: v.literal('fealty/device'),
    uri: agentUri,
    device: v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]{0,63}$/)),
  }),
  v.strictObject({ format: v.literal('fealty/grant'), id: identifier }),
  v.strictObject({ format: v.literal('fealty/token'), id: identifier }),
  v.strictObject({ format: v.literal('fealty/owner') }),
]);

/** Reads a `sub_id`. @throws {OAuthRefusal} `invalid_request` */
export function readSubjectIdentifier(value: unknown): SubjectIdentifier {
  try {
    return check(subjectIdentifier, value, '`sub_id`');
  } catch (cause) {
    throw new OAuthRefusal('invalid_request', 'sub-id', messageOf(cause), { cause });
  }
}

/** The revocation tags of a subject identifier. @throws {OAuthRefusal} for another issuer's client. */
export async function tagsOf(context: IssuerContext, subject: SubjectIdentifier): Promise<readonly string[]> {
  switch (subject.format) {
    case 'iss_sub':
      if (subject.iss !== context.issuer)
        throw new OAuthRefusal('invalid_request', 'sub-id', "the subject is another issuer's");
      return [tag('client', subject.sub)];
    case 'uri':
    case 'fealty/client':
      return [tag('client', subject.uri)];
    case 'fealty/task':
      return [tag('task', subject.id)];
    case 'fealty/group':
      return await groupTags(context, subject.id);
    case 'fealty/device':
      return [tag('device', `${subject.uri}#${subject.device}`)];
    case 'fealty/grant':
      return [tag('family', subject.id)];
    case 'fealty/token':
      return [tag('token', subject.id)];
    case 'fealty/owner':
      return [tag('owner', context.trustDomain)];
    default:
      return subject satisfies never;
  }
}

/** A group's end is its task's end, when the coordinator made the task for it. */
async function groupTags(context: IssuerContext, id: string): Promise<readonly string[]> {
  const record = await context.store.token(id);
  const own =
    record?.task !== undefined && (await context.store.coordinatorOf(record.task)) === record.client;
  return [tag('group', id), ...(own && record.task !== undefined ? [tag('task', record.task)] : [])];
}

/** Raises, marks, closes; then tells whoever distributes statements. */
export async function revokeTags(context: IssuerContext, tags: readonly string[]): Promise<RevokeResult> {
  const now = context.clock.now();
  const result = await context.store.revoke({
    tags,
    close: true,
    now,
    until: Math.floor(now / 1000) + LIFE_MAX_S,
  });
  if (context.onRevoked !== undefined)
    context.onRevoked(await signStatement(context, result.sequence - result.raised.length, undefined));
  return result;
}

/** A signed statement of what was raised after `since`. */
export async function signStatement(
  context: IssuerContext,
  since: number,
  nonce: string | undefined,
): Promise<string> {
  const now = context.clock.now();
  const { sequence, raised, more } = await context.store.raisedSince(since, now, STATEMENT_MAX);
  return await signJws(context.keys.status, KIND.generations.typ, {
    iss: context.issuer,
    trust_domain: context.trustDomain,
    iat: Math.floor(now / 1000),
    sequence,
    since: Math.min(since, sequence),
    ...(nonce === undefined ? {} : { nonce }),
    ...(more ? { more } : {}),
    raised,
  });
}

/** What was decided, for the audit record. */
export interface RevokeTrace {
  client?: string;
  token?: string;
  result?: RevokeResult;
}

/** RFC 7009: a client ends a token or a group grant of its own; a named successor may end the group too. */
export async function revocationEndpoint(
  context: IssuerContext,
  request: Request,
  trace: RevokeTrace,
): Promise<() => Response> {
  const form = await readForm(request);
  const token = form.need('token');
  const client = await authenticate(context, request, {
    path: TOKEN_PATHS.revoke,
    clientId: form.get('client_id'),
  });
  trace.client = client.id;
  const found = await ownToken(context, token);
  const done = () => new Response(null, { status: 200, headers: { 'dpop-nonce': context.nonces.make() } });
  // RFC 7009 §2.2: an invalid token is as good as revoked.
  if (found === undefined) return done;
  trace.token = found.jti;
  if (!found.holders.includes(client.id))
    throw new OAuthRefusal('unauthorized_client', 'token-owner', "the token is another client's", {
      status: 403,
    });
  trace.result = await revokeTags(
    context,
    found.kind === 'group' ? await groupTags(context, found.jti) : [tag('token', found.jti)],
  );
  return done;
}

interface OwnToken {
  readonly kind: 'access' | 'group';
  readonly jti: string;
  readonly holders: readonly string[];
}

async function ownToken(context: IssuerContext, token: string): Promise<OwnToken | undefined> {
  for (const [kind, form] of [
    ['access', KIND.accessToken],
    ['group', KIND.groupGrant],
  ] as const) {
    let jws: Jws;
    try {
      jws = await verifyJws(token, form, context.keys.issuer.publicJwk);
    } catch {
      continue;
    }
    const { jti } = jws.payload;
    const record = typeof jti === 'string' ? await context.store.token(jti) : undefined;
    if (record === undefined) continue;
    const successors =
      kind === 'group' ? readGroupGrantClaims(jws.payload)[GROUP_CLAIM].successors : undefined;
    return { kind, jti: record.jti, holders: [record.client, ...(successors ?? [])] };
  }
  return undefined;
}

/** RFC 7662, for the client itself and for the agents a token is for; anybody else learns nothing. */
export async function introspectionEndpoint(
  context: IssuerContext,
  request: Request,
): Promise<() => Response> {
  const form = await readForm(request);
  const token = form.need('token');
  const client = await authenticate(context, request, { path: TOKEN_PATHS.introspect });
  const claims = await ownAccessToken(context, token);
  const known = claims !== undefined && (claims.client_id === client.id || claims.aud.includes(client.id));
  return () =>
    jsonResponse(200, known ? { active: true, token_type: 'DPoP', ...claims } : { active: false }, {
      'dpop-nonce': context.nonces.make(),
    });
}

/** What was revoked after a sequence, signed, for enrolled agents. */
export async function generationsEndpoint(context: IssuerContext, request: Request): Promise<() => Response> {
  await authenticate(context, request, { path: TOKEN_PATHS.generations });
  const { searchParams } = new URL(request.url);
  const since = searchParams.get('since') ?? '0';
  const nonce = searchParams.get('nonce') ?? undefined;
  if (!/^\d{1,15}$/.test(since))
    throw new OAuthRefusal('invalid_request', 'since', '`since` must be a whole number');
  if (nonce !== undefined && !/^[A-Za-z0-9_-]{16,128}$/.test(nonce))
    throw new OAuthRefusal('invalid_request', 'nonce', '`nonce` must be 16 to 128 characters of base64url');
  const generations = await signStatement(context, Number(since), nonce);
  return () => jsonResponse(200, { generations }, { 'dpop-nonce': context.nonces.make() });
}

/** The authority's time for a nonce; for anybody, because who does not know the time has no valid credential yet. */
export async function timeEndpoint(context: IssuerContext, request: Request): Promise<() => Response> {
  const nonce = new URL(request.url).searchParams.get('nonce') ?? '';
  if (!/^[A-Za-z0-9_-]{16,128}$/.test(nonce))
    throw new OAuthRefusal('invalid_request', 'nonce', '`nonce` must be 16 to 128 characters of base64url');
  const time = await signTime(context.keys.status, { iss: context.issuer, at: context.clock.now(), nonce });
  return () => jsonResponse(200, { time });
}
