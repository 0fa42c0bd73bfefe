import { messageOf } from '../core/errors.ts';
import { signJws } from '../core/jws.ts';
import { CLAIM, randomId } from '../core/names.ts';
import { check, v } from '../core/schema.ts';
import { trustDomainOf } from '../identity/agent-id.ts';
import type { GroupBounds, GroupGrantClaims } from './claims.ts';
import { GROUP_CLAIM, KIND, REOPENED_CLAIM, tag } from './claims.ts';
import { identifier, readGroupBounds } from './claims-reader.ts';
import { TOKEN_PATHS } from './endpoints.ts';
import { authenticate } from './issuer-auth.ts';
import type { IssuerContext } from './issuer-context.ts';
import { OAuthRefusal } from './issuer-errors.ts';
import { deviceTags, issuedOr } from './issuer-issue.ts';
import { decideGroup } from './issuer-policy.ts';
import { jsonResponse, readJsonBody } from './issuer-request.ts';

/** Default life of a group grant, in seconds. */
export const GROUP_LIFE_S = 14_400;

/** What was decided, for the audit record. */
export interface GroupTrace {
  client?: string;
  task?: string;
  claims?: GroupGrantClaims;
}

const requestSchema = v.strictObject({
  task: identifier,
  group: v.looseObject({}),
  life: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(7 * 86_400))),
});

/** One grant for a whole task group (GP-01): the coordinator's right to convene bounds it. @throws {OAuthRefusal} */
export async function groupGrantEndpoint(
  context: IssuerContext,
  request: Request,
  trace: GroupTrace,
): Promise<() => Response> {
  const body = await readJsonBody(request);
  const client = await authenticate(context, request, { path: TOKEN_PATHS.groupGrant });
  trace.client = client.id;
  let asked: v.InferOutput<typeof requestSchema>;
  let bounds: GroupBounds;
  try {
    asked = check(requestSchema, body, 'group grant request');
    bounds = readGroupBounds(asked.group);
  } catch (cause) {
    throw new OAuthRefusal('invalid_request', 'group-form', messageOf(cause), { cause });
  }
  trace.task = asked.task;
  const { store, clock, random, issuer, keys } = context;
  const now = clock.now();
  const iat = Math.floor(now / 1000);
  for (const successor of bounds.successors ?? [])
    if (!bounds.trustDomains.includes(trustDomainOf(successor)))
      throw new OAuthRefusal(
        'invalid_request',
        'group-successors',
        'a successor is outside the trust domains',
      );
  const { id: family, right } = decideGroup(await store.grants(client.id), bounds, iat);
  const longest = right.maxLifeS ?? GROUP_LIFE_S;
  const life = asked.life ?? Math.min(GROUP_LIFE_S, longest);
  if (life > longest)
    throw new OAuthRefusal('access_denied', 'group-life', `the owner allows at most ${longest} s`, {
      status: 403,
    });
  if (!(await store.claimTask(asked.task, client.id)))
    throw new OAuthRefusal('access_denied', 'group-task', "the task is another coordinator's", {
      status: 403,
    });
  const jti = randomId(random, 16);
  const exp = Math.min(iat + life, right.until ?? Number.POSITIVE_INFINITY);
  const details = Object.values(bounds.roles).flatMap((role) => role.authorization_details);
  const place = issuedOr(
    await store.issue(
      {
        jti,
        kind: 'group',
        client: client.id,
        subject: client.id,
        task: asked.task,
        jkt: client.dpop.jkt,
        exp,
        families: [family],
        tags: [
          ...new Set([
            tag('owner', context.trustDomain),
            tag('client', client.id),
            tag('task', asked.task),
            tag('family', family),
            ...deviceTags(details),
          ]),
        ],
      },
      now,
    ),
  );
  const claims: GroupGrantClaims = {
    iss: issuer,
    sub: client.id,
    jti,
    iat,
    exp,
    status: { status_list: { idx: place.index, uri: `${issuer}${TOKEN_PATHS.status}/${place.list}` } },
    [CLAIM.agent]: true,
    [CLAIM.task]: asked.task,
    [CLAIM.generations]: place.generations,
    [CLAIM.family]: [family],
    ...(Object.keys(place.reopened ?? {}).length > 0 ? { [REOPENED_CLAIM]: place.reopened } : {}),
    [GROUP_CLAIM]: bounds,
  };
  trace.claims = claims;
  const token = await signJws(keys.issuer, KIND.groupGrant.typ, claims);
  return () =>
    jsonResponse(200, { group_grant: token, expires_in: exp - iat }, { 'dpop-nonce': context.nonces.make() });
}
